"""The explanation of a resource: what is seen, planned and said, and nothing that its reader may have no right to."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from modelport.app.explain import View, explain, near
from modelport.app.history import Ended
from modelport.control.memory import Memory
from modelport.control.queue import Standing
from modelport.render.desired import Desired, Invalid
from modelport.runtimes.base import Problem
from modelport.state.observed import Child, Door, DoorResult, Observed, Obstacle, PodFacts
from tests.state import world

QUIET = Standing(working=False, waited=None, due_in=None, failures=0)
SECRET = "hf_planted-in-every-place"


def told(
    *children: Child,
    desired: Desired | Invalid | None = world.DESIRED,
    memory: Memory | None = None,
    ended: Ended | None = None,
    standing: Standing = QUIET,
    pods: tuple[Child, ...] = (),
    door_waited: float = 0.0,
    sets: tuple[Child, ...] = (),
    **resource: Any,
) -> dict[str, Any]:
    """The explanation, as it comes out of the socket."""
    memory = memory or Memory(world.UID, accepted=world.accepted())
    observed = Observed(
        world.resource(**resource),
        world.NOW,
        children,
        sets,
        pods,
        memory.accepted,
        memory.door,
        door_waited,
        memory.evidence,
        memory.obstacles,
    )
    view = View(observed, desired, memory, standing, ended, moment=1000.0)
    document: dict[str, Any] = json.loads(json.dumps(explain(view), allow_nan=False))
    return document


def test_what_is_as_desired_needs_nothing() -> None:
    document = told(*world.made())
    assert document["plan"] == {"heldBack": None, "apply": [], "delete": []}
    assert document["desired"]["specHash"] == world.DESIRED.spec_hash
    assert {child["kind"] for child in document["inputs"]["children"]} == {"ConfigMap", "Service", "Deployment"}
    assert document["result"] is None


def test_each_write_says_why() -> None:
    config, service, deployment = world.made()
    drifted, older = replace(service, digest=b"other"), replace(deployment, applied_hash="older")
    document = told(drifted, older)
    assert [(step["kind"], step["create"], step["why"]) for step in document["plan"]["apply"]] == [
        ("ConfigMap", True, "nothing of ours has this name"),
        ("Service", False, "others have changed what was applied"),
        ("Deployment", False, f"{deployment.applied_hash} is desired, older was applied"),
    ]
    assert config.name == document["plan"]["apply"][0]["name"]


def test_each_deletion_says_why() -> None:
    children = world.made(deployment=world.counts(1))
    spent = replace(children[0], name="assistant-old", uid="uid-old")
    document = told(*children, spent, sets=(world.replica_set(),))
    assert document["plan"]["delete"] == [
        {"kind": "ConfigMap", "name": "assistant-old", "uid": "uid-old", "why": "no ReplicaSet needs it any more"}
    ]


@pytest.mark.parametrize(
    ("resource", "desired", "held"),
    [
        ({"paused": True}, world.DESIRED, "it is paused by the annotation modelport.io/reconcile"),
        ({"deleting": True}, None, "it is being deleted"),
        ({}, Invalid((Problem("spec.image", "is required"),)), "its spec cannot be rendered: what there is stays"),
    ],
)
def test_what_holds_writes_back_is_said(resource: dict[str, Any], desired: Any, held: str) -> None:
    plan = told(desired=desired, **resource)["plan"]
    assert plan["heldBack"].startswith(held)
    assert len(plan["apply"]) == (3 if "paused" in resource else 0)


def test_what_is_wrong_with_a_spec_is_told() -> None:
    document = told(desired=Invalid((Problem("spec.image", "is required"),)))
    assert document["desired"] == {"problems": ["spec.image: is required"]}
    assert document["status"]["now"]["phase"] == "InvalidSpec"


def test_the_last_end_and_what_comes_next() -> None:
    obstacle = Obstacle("NameTaken", "Service", "assistant", "Service assistant already exists")
    memory = Memory(world.UID, obstacles=(obstacle,), repairs={("Service", "assistant"): [940.0, 990.0]})
    memory.door = Door(1, DoorResult.WRONG, "404")
    memory.ask_again_at, memory.evidence_due = 1008.0, (("uid", "agent", 0), 1030.0)
    ended = Ended("waiting", "NameTaken", None, world.NOW.timestamp() - 2, 0.0123456)
    standing = Standing(working=False, waited=None, due_in=7.5, failures=3)
    document = told(memory=memory, ended=ended, standing=standing)
    assert document["result"] == {
        "result": "waiting",
        "reason": "NameTaken",
        "problem": None,
        "at": "2026-01-02T03:04:03.000+00:00",
        "secondsAgo": 2.0,
        "seconds": 0.012,
    }
    assert document["queue"] == {"working": False, "dueIn": 7.5, "failures": 3}
    told_memory = document["inputs"]["memory"]
    assert told_memory["obstacles"][0]["message"] == "Service assistant already exists"
    assert told_memory["repairs"] == [{"kind": "Service", "name": "assistant", "secondsAgo": [60.0, 10.0]}]
    assert told_memory["door"] == {"generation": 1, "result": "Wrong", "detail": "404"}
    assert (told_memory["question"]["againIn"], told_memory["evidenceDueIn"]) == (8.0, 30.0)


def test_a_door_that_is_never_asked_is_json_too() -> None:
    assert told(door_waited=math.inf)["inputs"]["memory"]["question"]["waited"] is None


def test_neither_the_spec_nor_a_log_is_told() -> None:
    env = [{"name": "TOKEN", "value": SECRET}, {"name": "HARMLESS", "value": SECRET}]
    desired = world.desire(env=env)
    memory = Memory(world.UID, evidence={("uid-pod", "server", 1): f"token {SECRET} refused"})
    ended = world.container("server", restarts=1, terminated_message=f"key {SECRET}", exit_code=1)
    facts = PodFacts("Running", False, None, None, "node-1", None, (ended,), "2026-01-01T00:00:00Z")
    pod = replace(world.replica_set(), kind="Pod", name="pod", facts=facts)
    children = [replace(child, owned=f'{{"v:{SECRET}":{{}}}}') for child in world.made(desired)]
    document = told(*children, desired=desired, memory=memory, pods=(pod,), spec={**world.SPEC, "env": env})
    assert SECRET not in json.dumps(document)
    assert document["inputs"]["pods"][0]["facts"]["containers"][0]["terminatedMessageBytes"] == len(f"key {SECRET}")
    assert document["inputs"]["memory"]["evidence"] == [
        {"podUid": "uid-pod", "container": "server", "run": 1, "bytes": len(f"token {SECRET} refused")}
    ]


def test_names_that_are_near() -> None:
    known = [
        world.resource(name=name, namespace=namespace)
        for namespace, name in (("team-a", "assistant"), ("team-b", "asistant"), ("team-b", "other"), ("x", "zzz"))
    ]
    assert near(("team-b", "assistant"), known)[:2] == ["team-a/assistant", "team-b/asistant"]
    assert near(("nowhere", "qqq"), known) == []

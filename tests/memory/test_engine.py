"""The whole engine against the API server in memory: whatever users, other controllers, the network and Kubernetes do to
it, and whenever it is killed, everything ends as it has to, and nothing happens on the way that never may.

Ten times as many examples: MODELPORT_EFFORT=10.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelport.api.names import ANNOTATION_RECONCILE, LABEL_NAME, PAUSED
from modelport.kube.kinds import (
    CHILD_KINDS,
    DEPLOYMENT,
    MODEL_DEPLOYMENT,
    NAMESPACE,
    SERVICE,
    WATCHED,
    Kind,
)
from tests.memory import controllers
from tests.memory.line import Fault
from tests.memory.world import Key, World

EFFORT = int(os.environ.get("MODELPORT_EFFORT", "1"))
ENDING = "ending"
"""The namespace that users delete now and then."""

KEYS = st.sampled_from([("models", "alpha"), ("models", "alpha"), ("models", "beta"), (ENDING, "alpha")])
KINDS = {kind.name: kind for kind in (*CHILD_KINDS.values(), MODEL_DEPLOYMENT)}
CHILDREN = st.sampled_from(["Deployment", "Service", "ConfigMap"])
NAMED = st.sampled_from(["Deployment", "Service"])
"""Children that have their resource's name."""
OPERATORS = st.sampled_from(["a", "a", "b"])
WATCHES = st.sampled_from([kind.plural for kind in (*WATCHED, MODEL_DEPLOYMENT)])
VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}
SPECS = st.sampled_from(
    [
        VLLM,
        {**VLLM, "replicas": 2},
        {**VLLM, "replicas": 0},
        {**VLLM, "suspend": True},
        {**VLLM, "vllm": {"maxModelLen": 512}},
        {**VLLM, "check": {"timeout": "10s"}, "env": [{"name": "A", "value": "1"}]},
        {"runtime": "triton", "model": {"uri": "pvc://repository", "names": ["a"], "size": "1Gi"}},
        {"runtime": "fastapi", "image": "docker.io/library/app:1", "fastapi": {"app": "app:app"}},
        {**VLLM, "vllm": {"extraArgs": ["--max-model-len=5"]}},
        {**VLLM, "podTemplate": {"spec": {"containers": [{"name": "server", "colour": "red"}]}}},
    ]
)
"""The last but one is invalid, and the last is refused by the API server."""
FAULTS = st.builds(
    Fault,
    answer=st.sampled_from([200, 429, 500, 503, 0, -1]),
    carried_out=st.booleans(),
    late=st.sampled_from([0.0, 0.0, 0.5, 5.0, 30.0]),
    writes_only=st.booleans(),
).filter(lambda fault: fault.carried_out or fault.answer != 200)


def edited(change: Callable[[dict[str, Any]], None], document: dict[str, Any]) -> dict[str, Any]:
    """The parts of an object that users edit, edited, as a merge patch."""
    new = deepcopy({key: document[key] for key in ("spec", "data") if key in document})
    change(new)
    return new


def server_of(deployment: dict[str, Any]) -> dict[str, Any]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one["name"] == "server"), containers[0])


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another image": lambda d: server_of(d).update(image="mine:1"),
    "another variable": lambda d: server_of(d).update(env=[{"name": "HOME", "value": "/mine"}]),
    "no arguments": lambda d: server_of(d).pop("args", None),
    "more replicas": lambda d: d["spec"].update(replicas=5),
    "a variable of their own": lambda d: server_of(d).setdefault("env", []).append({"name": "MINE", "value": "1"}),
    "a sidecar": lambda d: d["spec"]["template"]["spec"]["containers"].append({"name": "mine", "image": "mine:1"}),
}
THEIRS = {
    "a variable of their own": lambda d: any(one["name"] == "MINE" for one in server_of(d).get("env") or ()),
    "a sidecar": lambda d: any(one["name"] == "mine" for one in d["spec"]["template"]["spec"]["containers"]),
}
"""What is added beside ours, and how to see that it is there."""


STEPS = {
    "garbage is collected": controllers.collect_garbage,
    "namespaces end": controllers.end_namespaces,
    "Deployments roll out": controllers.deploy,
    "pods become ready": controllers.run_pods,
    "no model answers": controllers.stop_answering,
}


class Engine(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.added: list[tuple[Kind, str, Callable[[dict[str, Any]], bool], str]] = []
        for name in ("models", ENDING):
            self.world.make_namespace(name)
        self.world.start("a")

    def teardown(self) -> None:
        try:
            self.world.settle()
            for kind, uid, is_there, what in self.added:
                for document in self.world.server.find(kind):
                    assert document["metadata"]["uid"] != uid or is_there(document), f"{what} of {kind.name} is lost"
        finally:
            self.world.close()

    @invariant()
    def nothing_happens_that_never_may(self) -> None:
        self.world.check()

    @rule(seconds=st.sampled_from([0.0015, 0.003, 0.02, 0.3, 2.0, 20.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        self.world.act()
        self.world.run(3.0)
        self.world.act()
        self.world.run(3.0)

    # Users and their ModelDeployments

    @rule(key=KEYS, spec=SPECS)
    def apply(self, key: Key, spec: dict[str, Any]) -> None:
        self.world.apply(MODEL_DEPLOYMENT, key, {"spec": spec})

    @rule(key=KEYS, seconds=st.sampled_from([0.0, 0.0, 0.05]), spec=SPECS)
    def replace(self, key: Key, seconds: float, spec: dict[str, Any]) -> None:
        self.world.send("DELETE", MODEL_DEPLOYMENT, key)
        self.world.run(seconds)
        self.world.apply(MODEL_DEPLOYMENT, key, {"spec": spec})

    @rule(key=KEYS, held=st.booleans())
    def delete(self, key: Key, held: bool) -> None:
        if held:
            self.world.patch(MODEL_DEPLOYMENT, key, {"metadata": {"finalizers": ["example.com/hold"]}})
        self.world.send("DELETE", MODEL_DEPLOYMENT, key)

    @rule(key=KEYS, value=st.sampled_from([PAUSED, None]))
    def pause(self, key: Key, value: str | None) -> None:
        self.world.patch(MODEL_DEPLOYMENT, key, {"metadata": {"annotations": {ANNOTATION_RECONCILE: value}}})

    # Users and the children

    @rule(key=KEYS, what=st.sampled_from(sorted(EDITS)))
    def edit_the_deployment(self, key: Key, what: str) -> None:
        found = self.world.find(DEPLOYMENT, key)
        if found is not None:
            self.world.patch(DEPLOYMENT, key, edited(EDITS[what], found))
            if what in THEIRS:
                self.added.append((DEPLOYMENT, found["metadata"]["uid"], THEIRS[what], what))

    @rule(key=KEYS, kind=CHILDREN, where=st.sampled_from(["labels", "annotations"]))
    def add_a_label_or_annotation(self, key: Key, kind: str, where: str) -> None:
        for found in self.children(kind, key):
            place = (key[0], found["metadata"]["name"])
            self.world.patch(KINDS[kind], place, {"metadata": {where: {"mine": "x"}}})
            self.added.append(
                (
                    KINDS[kind],
                    found["metadata"]["uid"],
                    lambda d: d["metadata"].get(where, {}).get("mine") == "x",
                    where,
                )
            )

    @rule(
        key=KEYS,
        kind=CHILDREN,
        label=st.sampled_from([LABEL_NAME, "modelport.io/role"]),
        value=st.sampled_from([None, "beta"]),
    )
    def change_one_of_our_labels(self, key: Key, kind: str, label: str, value: str | None) -> None:
        for found in self.children(kind, key):
            self.world.patch(KINDS[kind], (key[0], found["metadata"]["name"]), {"metadata": {"labels": {label: value}}})

    @rule(
        key=KEYS,
        ports=st.sampled_from([[{"name": "mine", "port": 1234}], [{"name": "http", "port": 8000, "targetPort": 1}]]),
    )
    def edit_the_service(self, key: Key, ports: list[dict[str, Any]]) -> None:
        self.world.patch(SERVICE, key, {"spec": {"ports": ports}})

    @rule(key=KEYS, kind=CHILDREN, held=st.booleans())
    def delete_children(self, key: Key, kind: str, held: bool) -> None:
        for found in self.children(kind, key):
            place = (key[0], found["metadata"]["name"])
            if held:
                self.world.patch(KINDS[kind], place, {"metadata": {"finalizers": ["example.com/hold"]}})
            self.world.send("DELETE", KINDS[kind], place)

    @rule(key=KEYS, kind=NAMED, labelled=st.booleans())
    def take_the_name(self, key: Key, kind: str, labelled: bool) -> None:
        self.world.send("DELETE", KINDS[kind], key)
        labels = {LABEL_NAME: key[1]} if labelled else {"app": "theirs"}
        spec: dict[str, Any] = {"selector": labels, "ports": [{"port": 80}]}
        if kind == "Deployment":
            containers = [{"name": "theirs", "image": "theirs:1"}]
            template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
            spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 1}
        body = {"metadata": {"name": key[1], "labels": labels}, "spec": spec}
        self.world.server.request("POST", f"{KINDS[kind].path(key[0])}?fieldManager=somebody", body)

    @rule(key=KEYS, kind=NAMED)
    def take_over(self, key: Key, kind: str) -> None:
        self.world.patch(KINDS[kind], key, {"metadata": {"ownerReferences": None}})

    @rule(key=KEYS, kind=NAMED)
    def free_the_name(self, key: Key, kind: str) -> None:
        found = self.world.find(KINDS[kind], key)
        if found is not None and not found["metadata"].get("ownerReferences"):
            self.world.send("DELETE", KINDS[kind], key)

    @rule(key=KEYS, times=st.integers(3, 5))
    def fight(self, key: Key, times: int) -> None:
        for number in range(times):
            found = self.world.find(DEPLOYMENT, key)
            if found is None:
                return
            self.world.patch(DEPLOYMENT, key, edited(lambda d, n=number: server_of(d).update(image=f"m:{n}"), found))  # type: ignore[misc]
            self.world.run(1.0)

    @rule()
    def delete_the_namespace(self) -> None:
        self.world.send("DELETE", NAMESPACE, ("", ENDING))

    @rule()
    def make_the_namespace(self) -> None:
        self.world.make_namespace(ENDING)

    # Kubernetes

    @rule(step=st.sampled_from(sorted(STEPS)))
    def a_controller_acts(self, step: str) -> None:
        STEPS[step](self.world.server)

    # What goes wrong

    @rule(fault=FAULTS, times=st.sampled_from([1, 1, 2, 6]))
    def requests_go_wrong(self, fault: Fault, times: int) -> None:
        for operator in self.world.operators.values():
            operator.session.faults += [fault] * times

    @rule(
        verb=st.sampled_from(["patch", "delete", "get"]),
        kind=st.sampled_from(sorted(KINDS)),
    )
    def a_right_is_taken_away(self, verb: str, kind: str) -> None:
        self.world.forbidden.add((verb, KINDS[kind].plural))

    @rule(kind=CHILDREN)
    def a_policy_refuses(self, kind: str) -> None:
        self.world.refused.add(KINDS[kind].plural)

    @precondition(lambda self: self.world.forbidden or self.world.refused)
    @rule()
    def all_is_allowed(self) -> None:
        self.world.forbidden.clear()
        self.world.refused.clear()

    @rule(plural=WATCHES)
    def events_are_held_back(self, plural: str) -> None:
        self.world.server.history.hold(plural)

    @rule(plural=WATCHES)
    def events_are_told(self, plural: str) -> None:
        self.world.server.history.release(plural)

    @rule(plural=WATCHES)
    def a_watch_is_lost(self, plural: str) -> None:
        self.world.server.history.break_off(plural)

    @rule(plural=WATCHES)
    def a_watch_is_struck_dumb(self, plural: str) -> None:
        self.world.server.history.strike_dumb(plural)

    @rule(plural=WATCHES, changes=st.integers(1, 10))
    def events_are_told_twice(self, plural: str, changes: int) -> None:
        self.world.server.history.repeat(plural, changes)

    @rule()
    def the_history_is_forgotten(self) -> None:
        self.world.server.history.expire()
        self.world.server.expire_pages()

    # Operators

    @rule(name=OPERATORS)
    def an_operator_starts(self, name: str) -> None:
        if name not in self.world.operators:
            self.world.start(name)

    @rule(name=OPERATORS)
    def an_operator_is_killed(self, name: str) -> None:
        if name in self.world.operators:
            self.world.kill(name)

    @rule(name=OPERATORS)
    def an_operator_is_stopped(self, name: str) -> None:
        if name in self.world.operators:
            self.world.operators[name].stop()

    @rule(name=OPERATORS, frozen=st.booleans())
    def an_operator_freezes_or_goes_on(self, name: str, frozen: bool) -> None:
        if name in self.world.operators:
            self.world.operators[name].frozen = frozen

    def children(self, kind: str, key: Key) -> list[dict[str, Any]]:
        """Those that belong to a resource of that name, by their owner reference."""
        found = self.world.server.find(KINDS[kind], key[0])
        return [one for one in found if any(r["name"] == key[1] for r in one["metadata"].get("ownerReferences") or ())]


TestEngine = Engine.TestCase
TestEngine.settings = settings(
    max_examples=100 * EFFORT,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    print_blob=True,
    report_multiple_bugs=False,
)

"""What holds of the status on every path that a resource can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.render.desired import Desired
from modelport.state.observed import Child, Door, DoorResult, Observed, Obstacle
from modelport.state.status import summarise

from .world import (
    AGENT,
    DESIRED,
    FETCHING,
    FRESH,
    LATER,
    LOADING,
    OLD_SET,
    PULLING,
    STARTED,
    container,
    counts,
    desire,
    observe,
    pod,
    replica_set,
    resource,
)

CRASHED = (AGENT, container(waiting_reason="CrashLoopBackOff", exit_code=1, terminated_reason="Error", restarts=1))
TYPO = (AGENT, container("fetch", exit_code=1, terminated_reason="Error", terminated_message="fetch: NotFound: x"))
SHAPES = (FRESH, PULLING, FETCHING, LOADING, STARTED, CRASHED, TYPO)
DESIREDS = (DESIRED, desire(replicas=2), desire(replicas=0), desire(vllm={"maxModelLen": 9}), desire(suspend=True))
OBSTACLES = ("NameTaken", "WaitingForCleanup", "ChildRefused", "Forbidden", "FieldConflict")


@st.composite
def pods(draw: st.DrawFn, desired: Desired) -> tuple[Child, ...]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        containers, old = draw(st.sampled_from(SHAPES)), draw(st.booleans())
        ready = containers is STARTED and draw(st.booleans())
        made.append(
            pod(
                *containers,
                ready=ready,
                name=f"pod-{number}",
                spec_hash="old" if old else desired.spec_hash,
                owner=OLD_SET if old else "uid-rs-current",
                deleting=draw(st.booleans()),
                unschedulable=draw(st.sampled_from([None, None, "0/1 nodes are available: 1 Insufficient cpu."])),
            )
        )
    return tuple(made)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Observed, Desired]:
    desired = draw(st.sampled_from(DESIREDS))
    generation = draw(st.integers(1, 3))
    wanted = draw(st.integers(0, 2))
    facts = counts(
        draw(st.integers(0, 2)),
        wanted,
        seen=draw(st.integers(1, 3)),
        generation=generation,
        deadline_exceeded=draw(st.booleans()),
        replica_failure=draw(st.sampled_from([None, "exceeded quota"])),
    )
    door = Door(draw(st.integers(1, 3)), draw(st.sampled_from(DoorResult)), "detail")
    spec = {**DESIREDS_SPEC, "suspend": desired is DESIREDS[-1]}
    observed = observe(
        facts,
        draw(pods(desired)),
        desired=desired,
        sets=(replica_set(desired.spec_hash), replica_set("old", OLD_SET, draw(st.integers(0, 1)))),
        of=resource(generation, spec=spec, paused=draw(st.booleans())),
        door=draw(st.sampled_from([None, door])),
        door_waited=draw(st.sampled_from([0.0, 10.0])),
        obstacles=draw(st.sampled_from([(), (), tuple(Obstacle(o, "Service", "x", "m") for o in OBSTACLES[:1])])),
    )
    return observed, desired


DESIREDS_SPEC: Mapping[str, Any] = {"runtime": "vllm"}


def conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {item["type"]: item for item in status["conditions"]}


@settings(deadline=None)
@given(st.lists(worlds(), min_size=1, max_size=5))
def test_every_status_is_a_fixed_point_and_keeps_its_promises(steps: list[tuple[Observed, Desired]]) -> None:
    status: dict[str, Any] = {}
    for step, desired in steps:
        observed = replace(step, resource=replace(step.resource, status=status))
        new = summarise(observed, desired)
        again = replace(observed, now=LATER, resource=replace(observed.resource, status=new))
        assert summarise(again, desired) == new
        check(new, observed, desired)
        status = new


def check(status: Mapping[str, Any], observed: Observed, desired: Desired) -> None:
    said = conditions(status)
    assert "Available" in said
    assert not {"Reconciling", "Stalled"} <= set(said)
    assert all(item["observedGeneration"] == observed.resource.generation for item in said.values())
    assert all(said[kind]["status"] == "True" for kind in ("Reconciling", "Stalled") if kind in said)
    live = [p for p in observed.pods if not p.deleting]
    if said.get("Ready", {}).get("status") == "True":
        assert not {"Reconciling", "Stalled"} & set(said)
        assert len(live) == desired.replicas
        for p in live:
            assert p.facts is not None
            assert p.facts.ready  # type: ignore[union-attr]
            assert p.facts.spec_hash == desired.spec_hash  # type: ignore[union-attr]
    if said["Available"]["status"] == "True":
        assert any(p.facts.ready for p in live if p.facts is not None)  # type: ignore[union-attr]

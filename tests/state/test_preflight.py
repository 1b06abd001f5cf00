"""When a new revision is tried first, and when it got through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelport.render.desired import Desired, Strategy
from modelport.state.observed import ContainerFacts
from modelport.state.preflight import needed, passed
from modelport.state.rollout import Pod, rollout
from modelport.state.strategy import Choice

from .test_strategy import OLD_POD, REPLACE, SETS, SURGE, begins, facts, rolls, waiting, wants
from .world import container, desire, observe, pod

TRIES: dict[str, tuple[bool, Desired, object, Strategy]] = {
    "it begins with taking one away": (True, wants(), begins(), REPLACE),
    "a surge turns into taking one away": (True, wants(), rolls(waiting()), REPLACE),
    "the user wants it so": (True, wants(strategy="Replace"), begins(strategy=REPLACE), REPLACE),
    "it surges": (False, wants(), begins(), SURGE),
    "it goes on taking away": (False, wants(), rolls(strategy=REPLACE), REPLACE),
    "the user does not want it": (False, wants(preflight=False), begins(), REPLACE),
    "there is no device to give away": (False, desire(), begins(), REPLACE),
    "nobody serves": (False, wants(), begins(replace(OLD_POD, facts=replace(OLD_POD.facts, ready=False))), REPLACE),  # type: ignore[type-var]
    "nobody shall serve": (False, desire(gpu={"count": 1}, replicas=0), begins(), REPLACE),
    "only how it rolls has changed": (False, wants(strategy="Replace"), observe(facts(), (OLD_POD,), sets=SETS), REPLACE),
}  # fmt: skip


@pytest.mark.parametrize("what", TRIES)
def test_before_a_pod_that_serves_gives_its_device_away(what: str) -> None:
    is_needed, desired, observed, strategy = TRIES[what]
    view = rollout(observed, desired.spec_hash)  # type: ignore[arg-type]
    assert needed(desired, view, Choice(strategy)) is is_needed


def tried(*containers: ContainerFacts, phase: str = "Running") -> Pod:
    child = pod(*containers, phase=phase)
    return Pod(child.name, child.uid, child.facts, True)  # type: ignore[arg-type]


DONE = container("fetch", exit_code=0, terminated_reason="Completed")
NO_SHELL = 'failed to create containerd task: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown'


def test_it_got_through() -> None:
    assert passed(tried(phase="Succeeded"))
    assert passed(tried(DONE, container(exit_code=128, terminated_reason="StartError", terminated_message=NO_SHELL)))
    assert passed(tried(DONE, container(waiting_reason="RunContainerError", waiting_message=NO_SHELL)))


def test_it_did_not_yet() -> None:
    assert not passed(tried())
    assert not passed(tried(DONE, container(waiting_reason="PodInitializing")))
    assert not passed(tried(container("fetch", exit_code=1, terminated_message="fetch: NotFound: x"), container()))
    assert not passed(tried(DONE, container(waiting_reason="ImagePullBackOff", waiting_message="not found")))

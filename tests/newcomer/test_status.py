"""What the operator says to a newcomer, word by word, and that a bad spec leaves what runs as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from modelport.api.names import FIELD_MANAGER, Reason
from tests.cluster import STRATEGIC, Kubectl
from tests.engine.harness import Engine, steady, until
from tests.newcomer.case import Case, cases
from tests.newcomer.words import GOOD, said, versions, written

pytestmark = pytest.mark.apiserver

TABLE = [case for case in cases() if case.status]
UNCHANGED = "; nothing was changed in what runs"
"""What the operator adds to what rendering, and the table, say of an invalid spec where something runs."""
BAD = [case for case in TABLE if case.reason in (Reason.INVALID_SPEC, Reason.CHILD_REFUSED) and not case.before]
"""What is wrong in the spec itself; what is there `before` only stands in the way of what is made anew."""

ELSEWHERE = {
    Reason.FIELD_CONFLICT: "test_refused.py",
    Reason.FORBIDDEN: "test_refused.py",
    Reason.UNAVAILABLE: "test_refused.py",
    Reason.MODEL_MISSING: "tests/state and e2e: the pod's log says so, which only a kubelet can hand out",
    Reason.INTERNAL_ERROR: "tests/engine/test_bad_input.py: no resource that anybody writes should get it",
    Reason.TERMINATING: "below",
}


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_what_the_status_says(case: Case, engine: Engine, kubectl: Kubectl, update: bool) -> None:
    if case.runs is not None:
        kubectl.apply(written(case.runs))
        engine.until_ready("assistant")
    engine.door.status = case.door
    for existing in case.before:
        kubectl.apply(existing)
    foreign = case.before if case.reason == Reason.NAME_TAKEN else ()
    before = [steady("what is there", lambda one=one: there(kubectl, one)) for one in foreign]
    kubectl.apply(case.resource)
    if update:
        found = steady("the status", lambda: look(case, engine), for_seconds=4)
        message = found["message"].removesuffix(UNCHANGED).replace(engine.namespace, "{namespace}")
        case.write_expected(status={"reason": found["phase"], "message": message})
        return
    until_said(case, engine, runs=case.runs is not None)
    after = [there(kubectl, one) for one in foreign]
    assert after == before
    assert FIELD_MANAGER not in {entry["manager"] for one in after for entry in one["metadata"]["managedFields"]}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_runs_is_left_alone(case: Case, engine: Engine, kubectl: Kubectl) -> None:
    good = written(GOOD)
    kubectl.apply(good)
    engine.until_ready("assistant")
    running = versions(engine)
    kubectl.apply(case.resource)
    until_said(case, engine, runs=True)
    assert versions(engine) == running
    assert condition(engine.status("assistant"), "Available") == "True"
    kubectl.apply(good)
    until("Ready again, with nothing played", lambda: engine.ready("assistant"))
    assert versions(engine) == running


@pytest.mark.usefixtures("collected")
def test_delete_and_apply_at_once(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(written(GOOD))
    engine.until_ready("assistant")
    running = versions(engine)
    kubectl("delete", "mdep", "assistant")
    kubectl.apply(written(GOOD))
    engine.until_ready("assistant")
    assert not {uid for uid, _ in versions(engine).values()} & {uid for uid, _ in running.values()}


def test_what_is_held_while_it_is_being_deleted_is_not_told_as_ready(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(written(GOOD))
    engine.until_ready("assistant")
    kubectl("patch", "mdep", "assistant", "--type=merge", "-p", '{"metadata": {"finalizers": ["example.com/hold"]}}')
    kubectl("delete", "mdep", "assistant", "--wait=false")
    said(engine, Reason.TERMINATING, "it is being deleted; Kubernetes removes what belongs to it")
    assert not engine.ready("assistant")
    kubectl("patch", "mdep", "assistant", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


@pytest.mark.usefixtures("collected")
def test_replace_force(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(written(GOOD))
    engine.until_ready("assistant")
    kubectl("replace", "--force", "-f", "-", stdin=json.dumps(written({**GOOD, "vllm": {"maxModelLen": 1024}})))
    engine.until_ready("assistant")
    (deployment,) = engine.items("deployments", "assistant")
    assert "1024" in str(deployment["spec"]["template"])


@pytest.mark.usefixtures("collected")
def test_what_a_deleted_resource_left_is_waited_for(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(written(GOOD))
    engine.until_ready("assistant")
    kubectl("patch", "service", "assistant", "-p", '{"metadata": {"finalizers": ["example.com/hold"]}}')
    kubectl("delete", "mdep", "assistant")
    kubectl.apply(written(GOOD))
    until("WaitingForCleanup", lambda: engine.status("assistant").get("phase") == Reason.WAITING_FOR_CLEANUP)
    kubectl("patch", "service", "assistant", "-p", '{"metadata": {"finalizers": null}}')
    engine.until_ready("assistant")


def test_every_reason_is_in_the_table() -> None:
    assert {case.reason for case in TABLE} | set(ELSEWHERE) == {str(reason) for reason in Reason}


def there(kubectl: Kubectl, one: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it is now, with who wrote what of it."""
    which = (one["kind"], one["metadata"]["name"])
    return dict(kubectl("get", *which, "-o", "json", "--show-managed-fields").json())


def look(case: Case, engine: Engine) -> dict[str, Any]:
    """The status of the newest generation, with what the case plays of pods and Deployment."""
    document = engine.find(f"{engine.at}/{case.resource['metadata']['name']}") or {}
    if document["status"]["observedGeneration"] != document["metadata"]["generation"]:
        return {}
    name = document["metadata"]["name"]
    if case.pods is not None:
        engine.play(name, case.pods)
    if case.deployment is not None:
        engine.api.request(
            "PATCH", f"{engine.path('deployments', name)}/status", {"status": case.deployment}, STRATEGIC
        )
    return dict(document["status"])


def until_said(case: Case, engine: Engine, *, runs: bool) -> None:
    """The exact words of the case, and nothing else, stand in the status in the end."""
    assert case.status is not None
    message = case.status["message"] + (UNCHANGED if runs and case.reason == Reason.INVALID_SPEC else "")
    said(engine, case.reason, message, lambda: look(case, engine))


def condition(status: Mapping[str, Any], kind: str) -> str:
    return next((str(c["status"]) for c in status["conditions"] if c["type"] == kind), "")

"""What users read, state by state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelport.api.names import Reason
from modelport.render.desired import Invalid
from modelport.runtimes.base import Problem
from modelport.state.observed import Door, DoorResult, Observed, Obstacle
from modelport.state.question import question_due
from modelport.state.status import broken, event_for, summarise, worth_writing_in

from .world import (
    AGENT,
    ANSWERED,
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
    made,
    observe,
    pod,
    replica_set,
    resource,
    told,
    up,
    words,
)

PROVED = pod(*STARTED, ready=True)
TWO = desire(replicas=2)
ZERO = desire(replicas=0)
READY = told(up())
CHANGED = desire(vllm={"maxModelLen": 512})
OLD_POD = pod(*STARTED, ready=True, name="pod-0", owner=OLD_SET)
ROLLING_SETS = (replica_set(uid=OLD_SET), replica_set(CHANGED.spec_hash))


def progressing(reason: str, available: bool = False) -> dict[str, str]:
    ready = {"Ready": f"False {reason}"}
    return {**ready, "Available": "True Ready" if available else f"False {reason}", "Reconciling": f"True {reason}"}


def stalled(reason: str) -> dict[str, str]:
    return {"Ready": f"False {reason}", "Available": f"False {reason}", "Stalled": f"True {reason}"}


TABLE: dict[str, tuple[Observed, dict[str, str]]] = {
    "nothing but the children is there": (observe(counts(0, seen=0), sets=()), progressing("Creating")),
    "a pod is there of which nothing is known": (observe(counts(0), (pod(),)), progressing("Creating")),
    "the node pulls images": (observe(counts(0), (pod(*PULLING),)), progressing("Pending")),
    "the model is being fetched": (observe(counts(0), (pod(*FETCHING),)), progressing("Fetching")),
    "the server loads": (observe(counts(0), (pod(*LOADING),)), progressing("Loading")),
    "the server has started, its model has not answered": (
        observe(counts(0), (pod(*STARTED),)),
        progressing("Loading"),
    ),
    "the pod has proved its model and the Service was not asked": (
        observe(counts(1), (PROVED,)),
        progressing("Asking", available=True),
    ),
    "the Service has answered": (up(), {"Ready": "True Ready", "Available": "True Ready"}),
    "the Service asks for a key": (
        up(door=Door(1, DoorResult.AUTH_REQUIRED, "401")),
        {"Ready": "True Ready", "Available": "True Ready"},
    ),
    "the Service cannot be reached yet": (
        up(door=Door(1, DoorResult.UNREACHABLE, "refused"), door_waited=9.0),
        progressing("Asking", available=True),
    ),
    "the Service cannot be reached for 10 s": (
        up(door=Door(1, DoorResult.UNREACHABLE, "refused"), door_waited=10.0),
        {"Ready": "True Ready", "Available": "True Ready"},
    ),
    "the Service answers wrongly": (up(door=Door(1, DoorResult.WRONG, "500")), progressing("WrongAnswer")),
    "the Service had answered for another generation": (
        up(of=resource(2)),
        progressing("Asking", available=True),
    ),
    "the pod is ready and its Deployment has not counted it": (
        observe(counts(0), (PROVED,)),
        progressing("Creating"),
    ),
    "the Deployment counts a pod that is being deleted": (
        observe(counts(1), (replace(PROVED, deleting=True),), door=ANSWERED),
        progressing("Creating"),
    ),
    "the Deployment's controller has not seen the newest spec": (
        observe(counts(1, generation=2), (PROVED,), door=ANSWERED),
        progressing("Creating", available=True),
    ),
    "an old pod is left": (
        observe(counts(1, replicas=2), (PROVED, OLD_POD), door=ANSWERED),
        progressing("RollingOut", available=True),
    ),
    "a ready pod of somebody else carries our label": (
        observe(counts(1), (pod(*STARTED, ready=True, owner="uid-other"),), door=ANSWERED),
        progressing("Creating"),
    ),
    "a child is missing": (
        observe(counts(1), (PROVED,), door=ANSWERED, children=made(deployment=counts(1))[1:]),
        progressing("Creating", available=True),
    ),
    "the name is taken": (
        observe(obstacles=(Obstacle("NameTaken", "ConfigMap", "x", "taken"),), children=()),
        stalled("NameTaken"),
    ),
    "leftovers have to go first": (
        observe(obstacles=(Obstacle("WaitingForCleanup", "Service", "x", "wait"),), children=()),
        progressing("WaitingForCleanup"),
    ),
    "a right is missing": (
        observe(obstacles=(Obstacle("Forbidden", "Service", "x", "no"),), children=()),
        stalled("Forbidden"),
    ),
    "somebody takes a field back again and again": (
        up(obstacles=(Obstacle("FieldConflict", "Service", "assistant", "conflict"),)),
        progressing("FieldConflict", available=True),
    ),
    "a quota allows no pod": (
        observe(
            counts(0, replica_failure='pods "a-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1')
        ),
        progressing("QuotaExceeded"),
    ),
    "the deadline has passed": (
        observe(counts(0, deadline_exceeded=True), (pod(*LOADING),)),
        stalled("DeadlineExceeded"),
    ),
    "the resource is being deleted": (up(of=resource(deleting=True)), progressing("Terminating", available=True)),
}


@pytest.mark.parametrize("state", TABLE)
def test_conditions(state: str) -> None:
    observed, expected = TABLE[state]
    status = told(observed)
    assert words(status) == expected
    assert status["observedGeneration"] == observed.resource.generation
    assert status["phase"] == expected["Ready"].split()[1]
    assert all(item["observedGeneration"] == observed.resource.generation for item in status["conditions"])


def test_an_invalid_spec_is_stalled_and_what_runs_is_left_alone() -> None:
    status = told(up(of=resource(2, READY)), Invalid((Problem("spec.vllm.extraArgs", "repeats --port"),)))
    assert words(status) == {"Ready": "False InvalidSpec", "Available": "True Ready", "Stalled": "True InvalidSpec"}
    assert status["message"].startswith("spec.vllm.extraArgs: repeats --port")
    assert (status["url"], status["model"], status["ready"]) == (READY["url"], READY["model"], "1/1")


def test_the_counts_and_names_of_a_ready_resource() -> None:
    assert {key: value for key, value in READY.items() if key not in ("conditions", "children")} == {
        "observedGeneration": 1,
        "phase": "Ready",
        "message": "assistant has answered",
        "ready": "1/1",
        "url": "http://assistant.models.svc:8000",
        "model": "assistant",
        "gpus": 0,
        "replicas": 1,
        "readyReplicas": 1,
        "provedHash": DESIRED.spec_hash,
        "selector": "modelport.io/name=assistant,modelport.io/role=server",
    }
    assert [child["kind"] for child in READY["children"]] == ["ConfigMap", "Deployment", "Service"]


MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "ANSWERED": ({}, "assistant has answered"),
    "a key is set": ({"door": Door(1, DoorResult.AUTH_REQUIRED, "401")}, "through the Service it asks for the key"),
    "no way to the Service": ({"door": None, "door_waited": 11.0}, "the Service could not be asked"),
    "wrong": ({"door": Door(1, DoorResult.WRONG, "POST / answered 500: Bearer abc")}, "500: Bearer [redacted]"),
}


@pytest.mark.parametrize("what", MESSAGES)
def test_the_message_says_what_is_known_of_the_service(what: str) -> None:
    changes, expected = MESSAGES[what]
    assert expected in told(up(**changes))["message"]


def test_a_model_that_nobody_can_ask_is_ready_and_says_so() -> None:
    assert "HTTP only, model not asked" in told(up(), replace(DESIRED, asked=False))["message"]


def test_ready_stays_while_a_later_question_finds_nobody() -> None:
    status = told(up(of=resource(1, READY), door=Door(1, DoorResult.UNREACHABLE, "refused")))
    assert status == READY


def test_a_restarted_operator_finds_nothing_to_say() -> None:
    assert summarise(up(of=resource(1, READY), door=None, now=LATER), DESIRED) == READY


CREATION: list[tuple[str, Observed]] = [
    ("the children were applied", observe(counts(0, seen=0), sets=())),
    ("the Deployment's controller has seen it", observe(counts(0, updated=0, replicas=0), sets=())),
    ("there is a ReplicaSet", observe(counts(0, updated=0, replicas=0))),
    ("there is a pod", observe(counts(0), (pod(*FRESH),))),
    ("the pod is ready", observe(counts(0), (PROVED,))),
    ("the Deployment has counted it, the Service has answered", up()),
]


def test_creation_in_one_step_takes_two_writes_and_one_event() -> None:
    written: dict[str, Any] = {}
    writes, events = [], []
    for what, observed in CREATION:
        status = summarise(replace(observed, resource=resource(1, written)), DESIRED)
        if status != written and not worth_writing_in(written, status, since_written=1.0, since_other=0.0):
            events.append(event_for(written, status))
            written = status
            writes.append((what, status["phase"]))
    assert writes == [("the children were applied", "Creating"), (CREATION[-1][0], "Ready")]
    assert [event.reason for event in events if event] == ["Ready"]


def test_a_roll_out_says_what_the_new_pod_does_while_the_old_one_answers() -> None:
    def at(*containers: Any, ready: bool = False) -> Observed:
        facts = counts(1, generation=2, seen=2, replicas=2)
        new = pod(*containers, ready=ready, spec_hash=CHANGED.spec_hash)
        return observe(facts, (OLD_POD, new), desired=CHANGED, sets=ROLLING_SETS, of=resource(2, READY))

    first = told(at(), CHANGED)
    assert words(first) == progressing("RollingOut", available=True)
    assert (
        first["message"]
        == "rolling out, the previous revision answers meanwhile: Kubernetes is starting and stopping pods"
    )
    assert told(at(*FETCHING), CHANGED)["message"].endswith("the pod is fetching the model")
    assert words(told(at(*STARTED, ready=True), CHANGED)) == progressing("RollingOut", available=True)


def test_right_after_a_new_template_was_applied_nothing_is_ready() -> None:
    facts = counts(1, generation=2, seen=1, replicas=1, updated=1)
    observed = observe(facts, (OLD_POD,), desired=CHANGED, sets=(replica_set(uid=OLD_SET),), of=resource(2, READY))
    assert words(told(observed, CHANGED)) == progressing("RollingOut", available=True)


def test_trouble_of_the_old_revision_is_no_trouble_of_the_new_one() -> None:
    old = pod(*LOADING[:-1], replace(LOADING[-1], exit_code=1, restarts=1), name="pod-0", owner=OLD_SET)
    facts = counts(0, generation=2, seen=2, replicas=2)
    observed = observe(facts, (old, pod(*LOADING, spec_hash=CHANGED.spec_hash)), desired=CHANGED, sets=ROLLING_SETS)
    assert words(told(observed, CHANGED)) == progressing("RollingOut")


def test_scaling_up_keeps_answering_and_ends_ready() -> None:
    second = pod(*LOADING, name="pod-2")
    status = told(observe(counts(1, wanted=2), (PROVED, second), desired=TWO, of=resource(2, READY)), TWO)
    assert words(status) == progressing("Scaling", available=True)
    later = observe(
        counts(2, wanted=2), (PROVED, pod(*STARTED, ready=True, name="pod-2")), desired=TWO, of=resource(2, status)
    )
    done = told(replace(later, door=Door(2, DoorResult.ANSWERED, "")), TWO)
    assert words(done) == {"Ready": "True Ready", "Available": "True Ready"}
    assert done["ready"] == "2/2"


def test_scaled_to_zero_after_proof_is_ready() -> None:
    going = told(
        observe(counts(1, wanted=0, generation=2, seen=1), (PROVED,), desired=ZERO, of=resource(2, READY)), ZERO
    )
    assert words(going) == progressing("Scaling", available=True)
    gone = told(observe(counts(0, wanted=0, generation=2, seen=2), desired=ZERO, of=resource(2, going)), ZERO)
    assert words(gone) == {"Ready": "True ScaledToZero", "Available": "False ScaledToZero"}


def test_at_zero_without_proof_ready_is_unknown() -> None:
    status = told(observe(counts(0, wanted=0), desired=ZERO), ZERO)
    assert words(status) == {"Ready": "Unknown ScaledToZero", "Available": "False ScaledToZero"}


def test_a_template_changed_at_zero_has_no_proof() -> None:
    zero = told(observe(counts(0, wanted=0), desired=ZERO, of=resource(1, READY)), ZERO)
    changed = desire(replicas=0, vllm={"maxModelLen": 512})
    facts = counts(0, wanted=0, generation=2, seen=1)
    first = told(observe(facts, desired=changed, sets=(replica_set(wanted=0),), of=resource(2, zero)), changed)
    assert words(first) == progressing("RollingOut")
    both = (replica_set(wanted=0, uid=OLD_SET), replica_set(changed.spec_hash, wanted=0))
    settled = observe(counts(0, wanted=0, generation=2, seen=2), desired=changed, sets=both, of=resource(2, first))
    assert words(told(settled, changed))["Ready"] == "Unknown ScaledToZero"


def test_a_template_changed_on_the_way_to_zero_has_no_proof() -> None:
    """One edit of both: the template that answered is another one."""
    changed = desire(replicas=0, vllm={"maxModelLen": 512})
    both = (replica_set(wanted=0, uid=OLD_SET), replica_set(changed.spec_hash, wanted=0))
    gone = observe(counts(0, wanted=0, generation=2, seen=2), desired=changed, sets=both, of=resource(2, READY))
    assert words(told(gone, changed))["Ready"] == "Unknown ScaledToZero"


@pytest.mark.parametrize(
    ("first", "second", "news"), [("exit code 1", "exit code 139", True), ("3.11 GiB", "3.12 GiB", False)]
)
def test_only_numbers_that_differ_with_each_try_are_no_news(first: str, second: str, news: bool) -> None:
    def crashed(text: str) -> Observed:
        ended = container(
            waiting_reason="CrashLoopBackOff",
            exit_code=1,
            terminated_reason="Error",
            terminated_message=f"app: X: {text}",
        )
        return observe(counts(0), (pod(AGENT, ended),))

    before = told(crashed(first))
    after = told(replace(crashed(second), resource=resource(1, before)))
    assert (after != before) is news


def test_suspended_has_no_ready_condition() -> None:
    suspended = desire(suspend=True)
    of = resource(2, READY, spec={"suspend": True})
    leaving = told(observe(counts(1, wanted=0, generation=2, seen=1), (PROVED,), desired=suspended, of=of), suspended)
    assert words(leaving) == {"Available": "True Ready", "Reconciling": "True Suspended"}
    gone = observe(counts(0, wanted=0, generation=2, seen=2), desired=suspended, of=replace(of, status=leaving))
    assert words(told(gone, suspended)) == {"Available": "False Suspended"}


def test_paused_is_shown_and_takes_no_truth_away() -> None:
    status = told(up(of=resource(1, READY, paused=True)))
    assert words(status) == {"Ready": "True Ready", "Available": "True Ready"}
    assert status["phase"] == "Paused"
    assert status["message"].startswith("paused by the annotation modelport.io/reconcile")


def test_paused_before_a_change_was_carried_out_is_not_ready() -> None:
    status = told(up(of=resource(2, READY, paused=True)), CHANGED)
    assert words(status) == {"Ready": "False Paused", "Available": "True Ready"}


def test_a_pod_that_stops_answering_is_said_so_and_another_one_still_answers() -> None:
    pods = (pod(*STARTED, ready=True), pod(*STARTED, name="pod-2"))
    before = told(
        observe(counts(2, wanted=2), (pods[0], replace(pods[1], facts=pods[0].facts)), desired=TWO, door=ANSWERED), TWO
    )
    status = told(observe(counts(1, wanted=2), pods, desired=TWO, door=ANSWERED, of=resource(1, before)), TWO)
    assert words(status) == progressing("NotAnswering", available=True)


def test_a_deleted_pod_takes_ready_away_at_once_and_gives_it_back() -> None:
    gone = observe(counts(1), (replace(PROVED, deleting=True),), door=ANSWERED, of=resource(1, READY))
    status = told(gone)
    assert words(status) == progressing("Pending")
    assert words(told(up(of=resource(1, status)))) == {"Ready": "True Ready", "Available": "True Ready"}


def test_transition_times_move_only_with_the_status() -> None:
    loading = told(observe(counts(0), (pod(*LOADING),)))
    later = summarise(up(of=resource(1, loading), now=LATER), DESIRED)
    times = {item["type"]: item["lastTransitionTime"] for item in later["conditions"]}
    assert times == {"Ready": "2026-01-02T03:09:05Z", "Available": "2026-01-02T03:09:05Z"}
    fetching = summarise(observe(counts(0), (pod(*FETCHING),), of=resource(1, loading), now=LATER), DESIRED)
    assert {item["lastTransitionTime"] for item in fetching["conditions"]} == {"2026-01-02T03:04:05Z"}


def test_counts_alone_are_written_every_half_minute() -> None:
    other = {**READY, "replicas": 2}
    assert worth_writing_in(READY, other, since_written=29.0, since_other=29.0) == 1.0
    assert worth_writing_in(READY, other, since_written=30.0, since_other=29.0) == 0.0
    assert worth_writing_in(READY, {**READY, "observedGeneration": 2}, since_written=0.0, since_other=0.0) == 0.0


def test_counts_alone_wait_a_moment_for_the_words_that_belong_to_them() -> None:
    other = {**READY, "replicas": 2}
    assert worth_writing_in(READY, other, since_written=1000.0, since_other=0.5) == 1.5
    assert worth_writing_in(READY, other, since_written=1000.0, since_other=2.0) == 0.0


def test_each_cause_is_worth_one_warning() -> None:
    oom = told(
        observe(counts(0), (pod(*LOADING[:-1], replace(LOADING[-1], terminated_reason="OOMKilled", exit_code=137)),))
    )
    event = event_for(READY, oom)
    assert event is not None
    assert (event.type, event.reason) == ("Warning", Reason.OUT_OF_MEMORY)
    assert event_for(oom, oom) is None
    assert event_for({}, told(observe(counts(0), (pod(*LOADING),)))) is None


def test_the_service_is_asked_once_the_pods_have_proved_the_model() -> None:
    assert question_due(observe(counts(1), (PROVED,)), DESIRED)
    assert not question_due(observe(counts(0), (PROVED,)), DESIRED)
    assert not question_due(observe(counts(1), (pod(*STARTED),)), DESIRED)
    assert not question_due(observe(counts(0, wanted=0), desired=ZERO), ZERO)
    ending = pod(*STARTED, ready=True, name="pod-0", deleting=True)
    assert not question_due(observe(counts(1), (PROVED, ending)), DESIRED), "it may be the one that answers"
    lost = pod(*STARTED, name="pod-0", deleting=True)
    assert question_due(observe(counts(1), (PROVED, lost)), DESIRED), "a lost node keeps its pods for ever"


def test_a_waiting_pod_names_what_has_to_exist() -> None:
    desired = desire(vllm={"apiKey": {"name": "key", "key": "token"}})
    status = told(observe(counts(0), (pod(*PULLING, spec_hash=desired.spec_hash),), desired=desired), desired)
    assert "Secret key" in status["message"]


def test_where_the_operator_fails_nothing_more_is_claimed_than_was_said_last() -> None:
    status = broken(resource(2, READY), LATER, "it fails")
    assert words(status) == {
        "Ready": "Unknown InternalError",
        "Available": "True Ready",
        "Stalled": "True InternalError",
    }
    assert (status["phase"], status["message"], status["observedGeneration"]) == ("InternalError", "it fails", 2)
    assert (status["url"], status["provedHash"]) == (READY["url"], READY["provedHash"])
    assert broken(resource(2, status), LATER, "it fails") == status, "a status is a fixed point"
    event = event_for(READY, status)
    assert event is not None
    assert (event.type, event.reason) == ("Warning", "InternalError")
    assert words(broken(resource(), LATER, "it fails")) == {
        "Ready": "Unknown InternalError",
        "Stalled": "True InternalError",
    }


def test_a_resource_that_the_operator_failed_on_is_judged_anew() -> None:
    failed = broken(resource(1, READY), LATER, "it fails")
    assert words(told(up(resource(1, failed)))) == {"Ready": "True Ready", "Available": "True Ready"}
    fresh = broken(resource(), LATER, "it fails")
    assert told(observe(counts(0, seen=0), sets=(), of=resource(1, fresh)))["phase"] == "Creating"


def test_a_child_that_is_being_deleted_is_said_to_be_and_what_holds_it() -> None:
    going = tuple(
        replace(child, deleting=True, held_by=("example.com/hold",)) if child.kind == "Service" else child
        for child in made(DESIRED, counts(1))
    )
    status = told(replace(up(), children=going))
    assert words(status) == {**progressing("WaitingForCleanup"), "Available": "True Ready"}
    assert status["message"] == (
        "Service assistant is being deleted, held by its finalizer example.com/hold; it is made anew when it is gone"
    )

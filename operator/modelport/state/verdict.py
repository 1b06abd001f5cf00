"""What is true of a resource now: ready or not, why, and whether time will mend it.

Pure, and a fixed point: judged again with its own words as the old status, a resource gets the same verdict. It must
never say ready of a generation whose pods have not all proved their model.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelport.api.names import ANNOTATION_RECONCILE, PAUSED, Reason
from modelport.render.desired import Desired, Invalid
from modelport.state.diagnosis import diagnose
from modelport.state.observed import Door, DoorResult, Observed
from modelport.state.past import NO_PAST, Past
from modelport.state.plan import held, leaving
from modelport.state.progress import progress
from modelport.state.redact import sentence
from modelport.state.rollout import Rollout, acted_on, as_desired, pods_proved, rolled_out

DOOR_PATIENCE = 10.0
"""Seconds for which Ready waits for a definite answer through the Service."""

_STALLING = frozenset({Reason.NAME_TAKEN, Reason.CHILD_REFUSED, Reason.FORBIDDEN})
"""Obstacles that time alone cannot remove."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ready` is the status of the condition, None where there is to be no such condition."""

    ready: str | None
    reason: Reason
    message: str
    reconciling: bool = False
    stalled: bool = False
    wrong: bool = False
    """Clients get wrong answers, whatever the pods have proved."""


def judge(observed: Observed, desired: Desired | Invalid | None, view: Rollout, past: Past) -> Verdict:
    """The first of these that applies."""
    if desired is None or observed.resource.deleting:
        return _waiting(Reason.TERMINATING, "it is being deleted; Kubernetes removes what belongs to it")
    if isinstance(desired, Invalid):
        runs = "; nothing was changed in what runs" if view.deployment is not None else ""
        return _stalled(Reason.INVALID_SPEC, desired.message + runs)
    if observed.obstacles:
        obstacle = observed.obstacles[0]
        return _stopped(Reason(obstacle.reason), sentence(obstacle.message, longest=1000))
    if observed.resource.paused and not as_desired(desired, observed):
        command = f"kubectl annotate mdep {observed.resource.name} {ANNOTATION_RECONCILE}-"
        text = f"the spec has not been carried out, as {ANNOTATION_RECONCILE} is {PAUSED}; go on with `{command}`"
        return Verdict("False", Reason.PAUSED, text)
    if observed.resource.spec.get("suspend"):
        return _suspended(desired, observed, view)
    if gone := leaving(desired, observed):
        what = f"{gone[0].kind} {gone[0].name} is being deleted{held(gone[0])}"
        return _waiting(Reason.WAITING_FOR_CLEANUP, f"{what}; it is made anew when it is gone")
    if rolled_out(desired, observed, view):
        return _at_zero(desired, past) if desired.replicas == 0 else _asked(desired, observed, past)
    return _unfinished(desired, observed, view, past)


def _unfinished(desired: Desired, observed: Observed, view: Rollout, past: Past) -> Verdict:
    """Pods are missing, or have not proved their model yet."""
    cause = diagnose(observed, desired.spec_hash)
    if desired.tried and cause is not None:
        text = f"the new revision was tried without a GPU, and the previous one goes on serving: {cause.message}"
        return _stalled(cause.reason, text) if cause.terminal else _waiting(cause.reason, text)
    if cause is not None and cause.terminal:
        return _stalled(cause.reason, cause.message)
    late = acted_on(view.facts, desired.replicas) and view.facts is not None and view.facts.deadline_exceeded
    if late and not pods_proved(desired, view):
        waited_for = f"{progress(desired, view, NO_PAST).message}; a larger spec.model.size gives it more time"
        why = cause.message if cause is not None else waited_for
        return _stalled(Reason.DEADLINE_EXCEEDED, f"not ready within {desired.deadline:.0f} s: {why}")
    if cause is not None:
        return _waiting(cause.reason, cause.message)
    state = progress(desired, view, past)
    return _waiting(state.reason, state.message)


def _asked(desired: Desired, observed: Observed, past: Past) -> Verdict:
    """All pods have proved it: what remains is the question through the Service."""
    door = observed.door if observed.door and observed.door.generation == observed.resource.generation else None
    if door is not None and door.result is DoorResult.WRONG:
        detail = sentence(door.detail)
        text = f"through the Service the model answers wrongly: {detail}; correct spec.check or the model"
        return Verdict("False", Reason.WRONG_ANSWER, text, reconciling=True, wrong=True)
    definite = door is not None and door.result is not DoorResult.UNREACHABLE
    if not definite and past.ready_now:
        return Verdict("True", past.reason, past.message)
    if not definite and observed.door_waited < DOOR_PATIENCE:
        return _waiting(
            Reason.ASKING, "every pod has proved the model; it is being asked once more through the Service"
        )
    return Verdict("True", Reason.READY, _answered(desired, door if definite else None))


def _answered(desired: Desired, door: Door | None) -> str:
    proof = (
        f"{desired.model} has answered"
        if desired.asked
        else f"{desired.model} answers HTTP only, model not asked (give spec.check.request a question that proves it)"
    )
    if door is None:
        return f"{proof} in every pod; the Service could not be asked by the operator (a NetworkPolicy may forbid it)"
    if door.result is DoorResult.AUTH_REQUIRED:
        return f"{proof} in every pod; through the Service it asks for the key"
    return proof


def _at_zero(desired: Desired, past: Past) -> Verdict:
    if past.proved_hash == desired.spec_hash:
        return Verdict("True", Reason.SCALED_TO_ZERO, "scaled to zero; the model had answered before")
    return Verdict(
        "Unknown", Reason.SCALED_TO_ZERO, "scaled to zero before the model could be asked; scale up to prove it"
    )


def _suspended(desired: Desired, observed: Observed, view: Rollout) -> Verdict:
    gone = as_desired(desired, observed) and acted_on(view.facts, desired.replicas) and not view.pods
    if gone and view.facts is not None and view.facts.replicas == 0:
        return Verdict(None, Reason.SUSPENDED, "suspended: no pod runs; set spec.suspend to false to go on")
    return Verdict(None, Reason.SUSPENDED, "suspended: the pods are being taken away", reconciling=True)


def _stopped(reason: Reason, message: str) -> Verdict:
    return _stalled(reason, message) if reason in _STALLING else _waiting(reason, message)


def _stalled(reason: Reason, message: str) -> Verdict:
    return Verdict("False", reason, message, stalled=True)


def _waiting(reason: Reason, message: str) -> Verdict:
    return Verdict("False", reason, message, reconciling=True)

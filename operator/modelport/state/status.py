"""The status that users read: conditions, words and counts, and when it is worth a write or an Event.

Pure. A message holds no counter that flaps and no time; `lastTransitionTime` moves only when a condition's status does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from modelport.api.names import (
    ANNOTATION_RECONCILE,
    LABEL_NAME,
    LABEL_ROLE,
    ROLE_SERVER,
    ConditionType,
    Reason,
)
from modelport.render.desired import Desired, Invalid
from modelport.state.observed import Observed, Resource
from modelport.state.past import Past, Status, condition
from modelport.state.plan import ours
from modelport.state.rollout import Rollout, rollout
from modelport.state.strategy import rolling
from modelport.state.verdict import Verdict, judge

COUNTS_EVERY, COUNTS_STAND = 30.0, 2.0
"""Seconds between writes that only bring other counts, and for which those have to differ before: the words that belong to
them often follow at once."""

_API_VERSIONS = {"ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1"}
_COUNTS = frozenset({"ready", "replicas", "readyReplicas", "children"})
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+\.\d+|\d{5,}")
"""Addresses, sizes and times, which differ from one try to the next; not exit codes, HTTP statuses and counts."""
_CALM = frozenset(
    {
        Reason.READY,
        Reason.SCALED_TO_ZERO,
        Reason.SUSPENDED,
        Reason.PAUSED,
        Reason.CREATING,
        Reason.PENDING,
        Reason.FETCHING,
        Reason.LOADING,
        Reason.ASKING,
        Reason.ROLLING_OUT,
        Reason.SCALING,
        Reason.WAITING_FOR_CLEANUP,
        Reason.TERMINATING,
    }
)
"""Reasons that nobody has to be warned of."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is worth an Event: `type` is Normal or Warning."""

    type: str
    reason: str
    message: str


def summarise(observed: Observed, desired: Desired | Invalid | None) -> dict[str, Any]:
    """The whole new status."""
    resource = observed.resource
    rendered = desired if isinstance(desired, Desired) else None
    view = rollout(observed, rendered.spec_hash if rendered is not None else None)
    past = Past.of(resource.status, resource.generation)
    verdict = _steady(judge(observed, desired, view, past), past)
    stamp = observed.now.strftime(_TIME)
    status = {
        "observedGeneration": resource.generation,
        "phase": str(Reason.PAUSED if resource.paused else verdict.reason),
        "message": _for_people(verdict, paused=resource.paused),
        **_counts(observed, rendered, view),
        "rollout": _rollout(observed, view),
        "provedHash": _proved_hash(verdict, rendered) or resource.status.get("provedHash"),
        "selector": f"{LABEL_NAME}={resource.name},{LABEL_ROLE}={ROLE_SERVER}",
        "children": _children(observed),
        "conditions": [
            _stamped({**stated, "observedGeneration": resource.generation}, resource.status, stamp)
            for stated in _conditions(verdict, view)
        ],
    }
    return {key: value for key, value in status.items() if value is not None}


def broken(resource: Resource, now: datetime, message: str) -> dict[str, Any]:
    """The status of a resource on which the operator itself fails: what was said last of it, and that nobody knows more."""
    stamp, available = now.strftime(_TIME), condition(resource.status, ConditionType.AVAILABLE)
    said = {"reason": str(Reason.INTERNAL_ERROR), "message": message}
    told = {ConditionType.READY: "Unknown", ConditionType.STALLED: "True"}
    stated = [
        _stamped(
            {"type": str(kind), "status": status, **said, "observedGeneration": resource.generation},
            resource.status,
            stamp,
        )
        for kind, status in told.items()
    ]
    return {
        **resource.status,
        "observedGeneration": resource.generation,
        "phase": said["reason"],
        "message": message,
        "conditions": [stated[0], *([dict(available)] if available else []), stated[1]],
    }


def worth_writing_in(written: Status, new: Status, since_written: float, since_other: float) -> float:
    """Seconds until a status that is another than the written one is worth a write, from the seconds since that was written
    and for which there has been another: words at once, mere counts at most once in half a minute."""
    if _words(written) != _words(new):
        return 0.0
    return max(0.0, COUNTS_EVERY - since_written, COUNTS_STAND - since_other)


def event_for(old: Status, new: Status) -> Event | None:
    """One when the resource becomes ready, one for each new cause why it is not, one for each decision about a roll-out."""
    before, after = condition(old, ConditionType.READY), condition(new, ConditionType.READY)
    reason, message = after.get("reason", ""), after.get("message", "")
    if after.get("status") == "True":
        return Event("Normal", reason, message) if before.get("status") != "True" else None
    same = (before.get("reason"), before.get("message")) == (reason, message)
    if reason and not same and reason not in _CALM:
        return Event("Warning", reason, message)
    decision = new.get("rollout")
    return Event("Normal", str(Reason.ROLLING_OUT), decision) if decision and decision != old.get("rollout") else None


def _steady(verdict: Verdict, past: Past) -> Verdict:
    """With the last words where only numbers in them differ: a log's addresses and sizes are no news."""
    same = past.known and past.same_generation and past.reason is verdict.reason
    if same and _NUMBERS.sub("#", past.message) == _NUMBERS.sub("#", verdict.message):
        return replace(verdict, message=past.message)
    return verdict


def _conditions(verdict: Verdict, view: Rollout) -> Iterator[dict[str, Any]]:
    said = {"reason": str(verdict.reason), "message": verdict.message}
    if verdict.ready is not None:
        yield {"type": str(ConditionType.READY), "status": verdict.ready, **said}
    if view.available and not verdict.wrong:
        words = {"reason": str(Reason.READY), "message": "a pod's model answers"}
        yield {"type": str(ConditionType.AVAILABLE), "status": "True", **words}
    else:
        yield {"type": str(ConditionType.AVAILABLE), "status": "False", **said}
    if verdict.reconciling:
        yield {"type": str(ConditionType.RECONCILING), "status": "True", **said}
    if verdict.stalled:
        yield {"type": str(ConditionType.STALLED), "status": "True", **said}


def _stamped(stated: dict[str, Any], old: Status, now: str) -> dict[str, Any]:
    before = condition(old, ConditionType(stated["type"]))
    since = before.get("lastTransitionTime") if before.get("status") == stated["status"] else None
    return {**stated, "lastTransitionTime": since or now}


def _for_people(verdict: Verdict, *, paused: bool) -> str:
    if not paused or verdict.reason is Reason.PAUSED:
        return verdict.message
    return f"paused by the annotation {ANNOTATION_RECONCILE}, nothing is written to its children; {verdict.message}"


def _counts(observed: Observed, desired: Desired | None, view: Rollout) -> dict[str, Any]:
    old = observed.resource.status
    written = observed.resource.spec.get("replicas")
    deployed = view.facts.wanted if view.facts is not None else written if isinstance(written, int) else 1
    wanted = desired.replicas if desired is not None else deployed
    return {
        "ready": f"{view.ready}/{wanted}",
        "url": desired.url if desired is not None else old.get("url"),
        "model": desired.model if desired is not None else old.get("model"),
        "gpus": desired.gpus if desired is not None else old.get("gpus"),
        "replicas": view.facts.replicas if view.facts is not None else 0,
        "readyReplicas": view.ready,
    }


def _rollout(observed: Observed, view: Rollout) -> str | None:
    """What was decided, as long as it is carried out: by this process, or by one before it."""
    if view.facts is None or not rolling(view.facts):
        return None
    told = observed.rollout if observed.rollout is not None else observed.resource.status.get("rollout")
    return told or None


def _proved_hash(verdict: Verdict, desired: Desired | None) -> str | None:
    """The template that is proved now; at zero nothing is."""
    return desired.spec_hash if desired is not None and desired.replicas and verdict.ready == "True" else None


def _children(observed: Observed) -> list[dict[str, str]]:
    made = [child for child in ours(observed).values() if child.kind in _API_VERSIONS and not child.deleting]
    return [
        {"apiVersion": _API_VERSIONS[child.kind], "kind": child.kind, "name": child.name, "uid": child.uid}
        for child in sorted(made, key=lambda child: (child.kind, child.name))[:64]
    ]


def _words(status: Mapping[str, Any]) -> dict[str, Any]:
    """All but counts and times."""
    conditions = [
        {key: value for key, value in item.items() if key != "lastTransitionTime"}
        for item in status.get("conditions") or ()
    ]
    return {**{key: value for key, value in status.items() if key not in _COUNTS}, "conditions": conditions}

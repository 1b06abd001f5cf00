"""Why a resource is as it is: what a reconcile would look at, plan and say now, and how the last one ended.

Made on demand of what is in memory, by the pure functions that reconcile itself uses. It must never tell what a spec
says, what a log said, or the last words of a container: whoever may read them has kubectl, and who reaches this page may
have no right to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from pydantic.alias_generators import to_camel

from modelport.api.names import ANNOTATION_RECONCILE
from modelport.app.history import Ended
from modelport.control.memory import Memory
from modelport.control.queue import Standing
from modelport.render.desired import Desired, Invalid
from modelport.state.observed import Child, Key, Observed, PodFacts, Resource
from modelport.state.plan import Apply, Delete, ours, plan
from modelport.state.status import summarise

Json = dict[str, Any]
_UNTOLD = frozenset({"spec", "status", "owned", "terminated_message"})
_NEAR = 5


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known about one resource at a moment."""

    observed: Observed
    desired: Desired | Invalid | None
    memory: Memory
    standing: Standing
    ended: Ended | None
    moment: float
    """On the clock of the memory."""


def explain(view: View) -> Json:
    """The whole explanation, from what was seen to what comes next."""
    observed = view.observed
    return {
        "resource": _plain(observed.resource),
        "inputs": {
            "children": _plain(observed.children),
            "replicaSets": _plain(observed.replica_sets),
            "pods": [_pod(pod) for pod in observed.pods],
            "memory": _memory(view),
        },
        "desired": _desired(view.desired),
        "plan": _plan(view.desired, observed),
        "status": {"written": _words(observed.resource.status), "now": _words(summarise(observed, view.desired))},
        "result": _result(view.ended, observed.now),
        "queue": _plain(view.standing),
    }


def near(key: Key, known: Iterable[Resource]) -> list[str]:
    """What is called like it: first the same name elsewhere, then names that look like it."""
    namespace, name = key
    places = [f"{one.namespace}/{one.name}" for one in known]
    same = [place for place in places if place.endswith(f"/{name}")][:_NEAR]
    alike = get_close_matches(f"{namespace}/{name}", places, _NEAR)
    return list(dict.fromkeys([*same, *alike]))[:_NEAR]


def _memory(view: View) -> Json:
    memory, now = view.memory, view.moment
    waited = view.observed.door_waited
    due = memory.evidence_due
    return {
        "accepted": [
            {"kind": kind, "name": name, "appliedHash": applied, "digest": digest.hex()}
            for (kind, name), (applied, digest) in memory.accepted.items()
        ],
        "obstacles": _plain(memory.obstacles),
        "repairs": [
            {"kind": kind, "name": name, "secondsAgo": [_rounded(now - at) for at in times]}
            for (kind, name), times in memory.repairs.items()
        ],
        "door": _plain(memory.door),
        "question": {
            "generation": memory.asked_generation,
            "asking": memory.asking,
            "unanswered": memory.unanswered,
            "waited": None if math.isinf(waited) else _rounded(waited),
            "againIn": _rounded(max(0.0, memory.ask_again_at - now)),
        },
        "evidence": [
            {"podUid": uid, "container": container, "run": run, "bytes": len(text)}
            for (uid, container, run), text in memory.evidence.items()
        ],
        "evidenceDueIn": None if due is None else _rounded(max(0.0, due[1] - now)),
    }


def _desired(desired: Desired | Invalid | None) -> Json | None:
    if desired is None:
        return None
    if isinstance(desired, Invalid):
        return {"problems": [str(problem) for problem in desired.problems]}
    children = [
        {"kind": child.kind, "name": child.name, "appliedHash": child.applied_hash} for child in desired.children
    ]
    return {"specHash": desired.spec_hash, "replicas": desired.replicas, "asked": desired.asked, "children": children}


def _plan(desired: Desired | Invalid | None, observed: Observed) -> Json:
    """What would be written and deleted; also of a paused resource, and then it is said that nothing is."""
    held = _held_back(desired, observed.resource)
    if not isinstance(desired, Desired):
        return {"heldBack": held, "apply": [], "delete": []}
    steps = plan(desired, replace(observed, resource=replace(observed.resource, paused=False)))
    present = ours(observed)
    return {
        "heldBack": held,
        "apply": [
            {"kind": step.child.kind, "name": step.child.name, "create": step.create, "why": _why(step, present)}
            for step in steps.apply
        ],
        "delete": [{**_plain(step), "why": _why_not(step)} for step in steps.delete],
    }


def _held_back(desired: Desired | Invalid | None, resource: Resource) -> str | None:
    if resource.deleting:
        return "it is being deleted"
    if isinstance(desired, Invalid):
        return "its spec cannot be rendered: what there is stays as it is"
    return f"it is paused by the annotation {ANNOTATION_RECONCILE}" if resource.paused else None


def _why(step: Apply, present: Any) -> str:
    if step.create:
        return "nothing of ours has this name"
    applied = present[(step.child.kind, step.child.name)].applied_hash
    if applied != step.child.applied_hash:
        return f"{step.child.applied_hash} is desired, {applied} was applied"
    return "others have changed what was applied"


def _why_not(step: Delete) -> str:
    return "no ReplicaSet needs it any more" if step.kind == "ConfigMap" else "it is not desired any more"


def _words(status: Any) -> Json:
    """What a status says in words."""
    said = {key: status.get(key) for key in ("phase", "message", "observedGeneration")}
    conditions = [
        {key: condition.get(key) for key in ("type", "status", "reason", "lastTransitionTime")}
        for condition in status.get("conditions") or ()
    ]
    return {**said, "conditions": conditions}


def _result(ended: Ended | None, now: datetime) -> Json | None:
    if ended is None:
        return None
    at = datetime.fromtimestamp(ended.at, UTC)
    return {
        "result": ended.result,
        "reason": ended.reason,
        "problem": ended.problem,
        "at": at.isoformat(timespec="milliseconds"),
        "secondsAgo": _rounded((now - at).total_seconds()),
        "seconds": _rounded(ended.seconds),
    }


def _pod(pod: Child) -> Json:
    """With the length of each container's last words instead of them."""
    told: Json = _plain(pod)
    if isinstance(pod.facts, PodFacts):
        for container, facts in zip(told["facts"]["containers"], pod.facts.containers, strict=True):
            container["terminatedMessageBytes"] = len(facts.terminated_message or "")
    return told


def _plain(value: Any) -> Any:
    """Data as JSON, with the API's way of writing names, without what is empty or not to be told."""
    if is_dataclass(value) and not isinstance(value, type):
        return dict(_told(value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return _rounded(value) if isinstance(value, float) else value


def _told(value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if field.name not in _UNTOLD and content is not None:
            yield to_camel(field.name), _plain(content)


def _rounded(seconds: float) -> float:
    return round(seconds, 3)

"""From a resource down to the container that keeps it from being ready: what `modelport why` prints.

Pure. It must never show a raw message or log: only what the diagnosis shows of them, and Kubernetes' own words for states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelport.state.diagnosis import Diagnosis, diagnose
from modelport.state.observed import Child, ContainerFacts, Observed, PodFacts, ReplicaSetFacts
from modelport.state.plan import held, ours
from modelport.state.rollout import Pod, Rollout, rollout

SHOWN = 3
"""Pods that are shown of those that are not ready; pods of one template fail alike."""


@dataclass(frozen=True, slots=True)
class Link:
    """One object or container, how it is, and what it has made."""

    kind: str
    name: str
    state: str
    words: str = ""
    """The last words of a container, or what else says why it fails, where the diagnosis has found it."""
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer."""

    chain: Link
    phase: str
    """What the status says, in one word."""
    message: str
    """And in a sentence, with its advice."""
    cause: Diagnosis | None
    """What the pods say."""
    current: bool
    """The status is about this generation."""


def why(observed: Observed) -> Why:
    """Why the resource is as it is, from what is there."""
    resource, status = observed.resource, observed.resource.status
    spec_hash = _current(observed)
    view, cause = rollout(observed, spec_hash), diagnose(observed, spec_hash)
    current = status.get("observedGeneration") == resource.generation
    phase, message = str(status.get("phase") or "Unknown"), str(status.get("message") or "")
    seen = "" if current else ", which the operator has not seen yet"
    state = f"{phase}, generation {resource.generation}{seen}"
    links = tuple(_children(observed, view, cause))
    return Why(Link("ModelDeployment", resource.name, state, links=links), phase, message, cause, current)


def _current(observed: Observed) -> str | None:
    """The spec hash of the current template: that which is being tried, else that of the newest ReplicaSet."""
    trials, newest = rollout(observed, None).trials, _newest(observed)
    if trials:
        return trials[0].facts.spec_hash
    return newest.spec_hash if newest is not None else None


def _newest(observed: Observed) -> ReplicaSetFacts | None:
    deployment = next((child.uid for child in ours(observed).values() if child.kind == "Deployment"), None)
    sets = (child.facts for child in observed.replica_sets if child.owner_uid == deployment)
    return max(
        (facts for facts in sets if isinstance(facts, ReplicaSetFacts)), key=lambda facts: facts.revision, default=None
    )


def _children(observed: Observed, view: Rollout, cause: Diagnosis | None) -> Iterator[Link]:
    for child in sorted(
        ours(observed).values(), key=lambda child: (child.kind == "Deployment", child.kind, child.name)
    ):
        if child.kind == "Deployment":
            yield _deployment(child, view, cause)
        else:
            yield Link(child.kind, child.name, f"is being deleted{held(child)}" if child.deleting else "is there")


def _deployment(child: Child, view: Rollout, cause: Diagnosis | None) -> Link:
    facts = view.facts
    if child.deleting or facts is None:
        return Link("Deployment", child.name, f"is being deleted{held(child)}" if child.deleting else "is there")
    parts = [f"{facts.ready} of {facts.wanted} ready", f"{facts.updated} of the current template"]
    parts += ["its deadline is over"] if facts.deadline_exceeded else []
    parts += ["Kubernetes makes no further pod"] if facts.replica_failure is not None else []
    words = cause.words if cause is not None and facts.replica_failure is not None and not cause.pod else ""
    return Link("Deployment", child.name, ", ".join(parts), words, tuple(_pods(view, cause)))


def _pods(view: Rollout, cause: Diagnosis | None) -> Iterator[Link]:
    """Those that try a revision, those that are not ready, that of the diagnosis first; of the rest, how many there are."""
    ended = () if any(pod.current for pod in view.pods) else view.ended
    waiting = [pod for pod in (*view.trials, *view.pods, *ended) if not pod.facts.ready]
    waiting.sort(key=lambda pod: (cause is None or pod.name != cause.pod, not pod.current))
    for pod in waiting[:SHOWN]:
        its_own = cause if cause is not None and cause.pod == pod.name else None
        yield _pod(pod, its_own, trial=pod in view.trials)
    if len(waiting) > SHOWN:
        yield Link("Pod", f"and {len(waiting) - SHOWN} more", "not ready either")
    for pod in view.pods:
        if pod.facts.ready:
            yield Link("Pod", pod.name, f"ready on {pod.facts.node}{_age(pod)}")


def _pod(pod: Pod, cause: Diagnosis | None, *, trial: bool) -> Link:
    facts = pod.facts
    where = f" on {facts.node}" if facts.node else ", on no node yet"
    where += ", tries the new revision" if trial else ""
    words = cause.words if cause is not None and not cause.container else ""
    links = (_container(container, facts, cause) for container in facts.containers)
    return Link("Pod", pod.name, f"{facts.phase}{where}, not ready{_age(pod)}", words, tuple(links))


def _age(pod: Pod) -> str:
    return "" if pod.current else ", of an older template"


def _container(container: ContainerFacts, pod: PodFacts, cause: Diagnosis | None) -> Link:
    words = cause.words if cause is not None and cause.container == container.name else ""
    return Link("Container", container.name, ", ".join(_states(container)), words)


def _states(container: ContainerFacts) -> Iterator[str]:
    if container.running:
        ready = "ready" if container.ready else "started, not ready" if container.started else "starting"
        yield f"running, {ready}"
    elif container.waiting_reason is not None:
        yield f"waiting: {container.waiting_reason}"
    elif container.exit_code == 0:
        yield "done"
    if container.exit_code is not None and (container.exit_code or not container.init):
        because = f" ({container.terminated_reason})" if container.terminated_reason not in (None, "Error") else ""
        yield f"ended with exit code {container.exit_code}{because}"
    if container.restarts:
        yield f"restarted {container.restarts} time{'s' if container.restarts > 1 else ''}"

"""What is going on while nothing is wrong: the words between Creating and Ready.

Pure. The words change only when the pods have really got further: what merely lags behind (Kubernetes' own counts, a pod
of which nothing is known yet) keeps the last ones, so that it costs no write.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelport.api.names import CONTAINER_FETCH, CONTAINER_SERVER, Reason
from modelport.render.desired import Desired
from modelport.state.past import Past
from modelport.state.references import references
from modelport.state.rollout import Pod, Rollout, pods_proved

_BEFORE_PODS = frozenset(
    {
        Reason.CREATING,
        Reason.WAITING_FOR_CLEANUP,
        Reason.NAME_TAKEN,
        Reason.CHILD_REFUSED,
        Reason.FORBIDDEN,
        Reason.FIELD_CONFLICT,
        Reason.INVALID_SPEC,
        Reason.INTERNAL_ERROR,
        Reason.SUSPENDED,
        Reason.PAUSED,
        Reason.TERMINATING,
    }
)
_ORDER = (Reason.NOT_ANSWERING, Reason.LOADING, Reason.FETCHING, Reason.PENDING)
"""From the furthest to the least: the pod that is furthest speaks for all."""


@dataclass(frozen=True, slots=True)
class State:
    """One word and one sentence."""

    reason: Reason
    message: str


def progress(desired: Desired, view: Rollout, past: Past) -> State:
    """Where the pods that are wanted now stand."""
    if desired.tried:
        return State(Reason.ROLLING_OUT, _TRIED)
    if pods_proved(desired, view) and past.same_generation and past.known and past.reconciling:
        return State(past.reason, past.message)
    stages = {_stage(pod, past) for pod in view.pods if pod.current and not pod.facts.ready}
    stage = next((reason for reason in _ORDER if reason in stages), None)
    motive = _motive(desired, view, past)
    if motive is not None:
        told = _words(stage, desired) if stage is not None else "Kubernetes is starting and stopping pods"
        return State(motive, f"{_headline(motive, desired, view)}: {told}")
    return State(stage, _words(stage, desired)) if stage is not None else _nothing_known(past)


def _motive(desired: Desired, view: Rollout, past: Past) -> Reason | None:
    """Why pods change although the resource was up before."""
    facts = view.facts
    old_template = any(not pod.current for pod in view.pods) or bool(view.running - {desired.spec_hash})
    behind = facts is not None and facts.updated < facts.replicas
    if old_template or behind or (view.hashes and desired.spec_hash not in view.hashes):
        return Reason.ROLLING_OUT
    resized = past.wanted != desired.replicas and past.proved_hash == desired.spec_hash
    if resized or (past.same_generation and past.known and past.reason is Reason.SCALING):
        return Reason.SCALING
    return None


def _headline(motive: Reason, desired: Desired, view: Rollout) -> str:
    if motive is Reason.SCALING:
        return f"scaling to {desired.replicas}"
    answers = any(pod.facts.ready and not pod.current for pod in view.pods)
    return "rolling out, the previous revision answers meanwhile" if answers else "rolling out"


def _nothing_known(past: Past) -> State:
    if not past.known or past.reason in _BEFORE_PODS:
        return State(Reason.CREATING, "Deployment, Service and ConfigMap are there; Kubernetes is making the pod")
    return State(Reason.PENDING, "Kubernetes is making a new pod")


def _stage(pod: Pod, past: Past) -> Reason | None:
    """How far a pod has got; None while its node has said nothing."""
    containers = {container.name: container for container in pod.facts.containers}
    if not containers or pod.facts.node is None:
        return None
    server, fetch = containers.get(CONTAINER_SERVER), containers.get(CONTAINER_FETCH)
    if server is not None and server.running:
        silent = server.started and past.same_generation and (past.ready or past.reason is Reason.NOT_ANSWERING)
        return Reason.NOT_ANSWERING if silent else Reason.LOADING
    return Reason.FETCHING if fetch is not None and fetch.running else Reason.PENDING


def _words(stage: Reason, desired: Desired) -> str:
    if stage is not Reason.PENDING:
        return _TEXT[stage]
    needed = references(desired)
    mounts = f"mounts the volumes (they have to exist: {', '.join(needed)})" if needed else "mounts the volumes"
    return f"the node pulls the images and {mounts}"


_TRIED = (
    "a pod without GPU tries the new revision first: it pulls the images, mounts the volumes and asks the model's source; "
    "the previous revision answers meanwhile"
)
_TEXT = {
    Reason.NOT_ANSWERING: "the model has stopped answering; its pod is out of the Service until it answers again",
    Reason.LOADING: "the server is running; its model has not answered yet",
    Reason.FETCHING: "the pod is fetching the model",
}

"""How far the pods are: which are alive, which belong to the current template, and whether all of them have proved the
model. Pure; what a pod's readiness means (its model has answered) is decided by the probes that were rendered.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from modelport.render.desired import Desired
from modelport.state.observed import Child, DeploymentFacts, Observed, PodFacts, ReplicaSetFacts
from modelport.state.plan import differing, leaving, ours

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that is alive, and whether it belongs to what is desired now."""

    name: str
    uid: str
    facts: PodFacts
    current: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """Our Deployment, the templates of its ReplicaSets, and its pods that are alive, the youngest first."""

    deployment: Child | None
    facts: DeploymentFacts | None
    hashes: frozenset[str | None]
    """Spec hashes of its ReplicaSets."""
    running: frozenset[str | None]
    """Spec hashes of those that want pods."""
    pods: tuple[Pod, ...]
    trials: tuple[Pod, ...]
    """Pods that try a revision without its devices."""
    ended: tuple[Pod, ...]
    """Pods that its node rejected or put out, the youngest first; Kubernetes makes others in their place."""

    @property
    def available(self) -> bool:
        """Whether some pod's model answers, of whatever revision: the pods say so, and Kubernetes has counted one."""
        return self.facts is not None and self.facts.available > 0 and self.ready > 0

    @property
    def ready(self) -> int:
        """Pods whose model has answered."""
        return sum(pod.facts.ready for pod in self.pods)


def rollout(observed: Observed, spec_hash: str | None) -> Rollout:
    """The pods of our own Deployment, of which those with that spec hash are current; those of a predecessor with the same
    name do not count."""
    deployment = next((c for c in ours(observed).values() if c.kind == "Deployment"), None)
    facts = deployment.facts if deployment is not None and isinstance(deployment.facts, DeploymentFacts) else None
    uid = deployment.uid if deployment is not None else None
    sets = {rs.uid: rs.facts for rs in observed.replica_sets if uid is not None and rs.owner_uid == uid}
    templates = [template for template in sets.values() if isinstance(template, ReplicaSetFacts)]
    pods = _pods(observed, sets.keys(), spec_hash)
    return Rollout(
        deployment,
        facts,
        hashes=frozenset(template.spec_hash for template in templates),
        running=frozenset(template.spec_hash for template in templates if template.wanted > 0),
        pods=tuple(pod for pod in pods if pod.facts.phase not in _ENDED),
        trials=tuple(_pods(observed, {observed.resource.uid}, spec_hash)),
        ended=tuple(pod for pod in pods if pod.facts.phase in _ENDED),
    )


def _pods(observed: Observed, owners: Collection[str], spec_hash: str | None) -> list[Pod]:
    """Those of these owners that stay, the youngest first."""
    pods = [
        Pod(child.name, child.uid, child.facts, child.facts.spec_hash == spec_hash)
        for child in observed.pods
        if isinstance(child.facts, PodFacts) and child.owner_uid in owners and not child.deleting
    ]
    return sorted(pods, key=lambda pod: (pod.facts.created, pod.name), reverse=True)


def as_desired(desired: Desired, observed: Observed) -> bool:
    """Whether every child is there, is ours and says what it should."""
    return (
        not desired.held
        and not observed.obstacles
        and not differing(desired, observed)
        and not leaving(desired, observed)
    )


def acted_on(facts: DeploymentFacts | None, wanted: int) -> bool:
    """Whether the Deployment's controller has seen the newest spec, with that many replicas."""
    return facts is not None and facts.observed_generation >= facts.generation and facts.wanted == wanted


def pods_proved(desired: Desired, view: Rollout) -> bool:
    """Whether all pods that are wanted are there, of the current template, and each has proved its model."""
    proved = sum(pod.current and pod.facts.ready for pod in view.pods)
    return proved == len(view.pods) == desired.replicas


def rolled_out(desired: Desired, observed: Observed, view: Rollout) -> bool:
    """Whether nothing is left to do but to ask through the Service: the pods have proved it and Kubernetes agrees."""
    facts = view.facts
    return (
        facts is not None
        and acted_on(facts, desired.replicas)
        and facts.replicas == facts.updated == facts.ready == desired.replicas
        and pods_proved(desired, view)
        and as_desired(desired, observed)
    )

"""What to write and what to delete, so that the children become what is desired.

Pure. It must never plan a write to an object that is not ours by its owner's uid: a name that something else has is
planned as a creation, which the API server refuses and `judge_existing` then explains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from modelport.api.names import GROUP, KIND, Reason
from modelport.render.desired import Child as DesiredChild
from modelport.render.desired import Desired
from modelport.state.observed import Child, DeploymentFacts, Observed, Obstacle, ReplicaSetFacts, Resource
from modelport.state.ownership import covers

_ORDER = ("ConfigMap", "Service", "Deployment")


@dataclass(frozen=True, slots=True)
class Apply:
    """Write a child by server-side apply; `create`: nothing of ours is there, so it must not merge into anything."""

    child: DesiredChild
    create: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object of ours, and only that very one."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Writes in their order, then deletions. Empty when all is as it should be."""

    apply: tuple[Apply, ...] = ()
    delete: tuple[Delete, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopt:
    """What has the name is ours: apply it."""


def plan(desired: Desired, observed: Observed) -> Plan:
    """Nothing while the resource is paused or being deleted."""
    if observed.resource.deleting or observed.resource.paused:
        return Plan()
    apply = differing(desired, observed)
    return Plan(apply, tuple(_unwanted(desired, observed, apply)))


def differing(desired: Desired, observed: Observed) -> tuple[Apply, ...]:
    """The children that are missing or not as desired, in the order in which they are written."""
    present = ours(observed)
    wanted = (child for child in desired.children if not (desired.held and child.kind == "Deployment"))
    steps = (_step(child, present.get((child.kind, child.name)), observed) for child in wanted)
    return tuple(sorted((step for step in steps if step is not None), key=lambda step: _ORDER.index(step.child.kind)))


def ours(observed: Observed) -> Mapping[tuple[str, str], Child]:
    """(kind, name) -> the children that belong to this very resource."""
    return {(c.kind, c.name): c for c in observed.children if c.owner_uid == observed.resource.uid}


def judge_existing(existing: Child, manager: str, resource: Resource) -> Adopt | Obstacle:
    """What to do about an object that has a child's name, after the API server refused to create the child."""
    what = f"{existing.kind} {existing.name}"
    predecessor = existing.owner == f"{KIND}.{GROUP}/{resource.name}" and existing.owner_uid != resource.uid
    if existing.deleting or predecessor:
        whose = "a deleted resource of the same name" if predecessor else "an earlier object"
        text = f"{what} of {whose} is still there{held(existing)}; waiting until it is gone"
        return Obstacle(Reason.WAITING_FOR_CLEANUP, existing.kind, existing.name, text)
    if existing.owner_uid == resource.uid:
        return Adopt()
    holder = f"belongs to {existing.owner}" if existing.owner else f"was made by {manager}"
    text = f"{what} already exists and {holder}; rename this {KIND}, or delete that {existing.kind}"
    return Obstacle(Reason.NAME_TAKEN, existing.kind, existing.name, text)


def leaving(desired: Desired, observed: Observed) -> tuple[Child, ...]:
    """What is wanted, ours, and being deleted: it is made anew when it is gone."""
    present = ours(observed)
    found = (present.get((child.kind, child.name)) for child in desired.children)
    return tuple(child for child in found if child is not None and child.deleting)


def held(child: Child) -> str:
    """What keeps an object that is being deleted, for a sentence about it."""
    words = f", held by its finalizer{'s' if len(child.held_by) > 1 else ''} {', '.join(child.held_by)}"
    return words if child.held_by else ""


def _step(child: DesiredChild, present: Child | None, observed: Observed) -> Apply | None:
    if present is None:
        return Apply(child, create=True)
    if present.deleting:
        return None  # its deletion is an event, and then it is missing
    if present.applied_hash != child.applied_hash or _drifted(child, present, observed):
        return Apply(child, create=False)
    return None


def _drifted(child: DesiredChild, present: Child, observed: Observed) -> bool:
    """Whether somebody changed what we applied. What the API server answered to our own apply is never drift, whatever
    it made of it; before this process has applied the child, the manifest is what its owned paths are compared with."""
    applied_hash, digest = observed.accepted.get((child.kind, child.name), (None, b""))
    if applied_hash == child.applied_hash:
        return present.digest != digest
    return not covers(present.owned, child.manifest)


def _unwanted(desired: Desired, observed: Observed, apply: tuple[Apply, ...]) -> Iterator[Delete]:
    wanted = {(child.kind, child.name) for child in desired.children}
    spent = _spent_config_maps(wanted, observed, apply)
    for key, child in ours(observed).items():
        if key not in wanted and not child.deleting and (child.kind != "ConfigMap" or child.name in spent):
            yield Delete(child.kind, child.name, child.uid)


def _spent_config_maps(wanted: Set[tuple[str, str]], observed: Observed, apply: tuple[Apply, ...]) -> frozenset[str]:
    """Those that no revision of the Deployment can need any more.

    As long as the Deployment is not as desired, or its controller has not acted on it, a revision may be about to come
    back. No ReplicaSet with today's configuration means that not all of them are known yet; and one that is being deleted
    counts until it is gone.
    """
    if not _settled(observed) or any(step.child.kind == "Deployment" for step in apply):
        return frozenset()
    sets = (child.facts for child in observed.replica_sets)
    used = {name for facts in sets if isinstance(facts, ReplicaSetFacts) for name in facts.config_maps}
    if not used & {name for kind, name in wanted if kind == "ConfigMap"}:
        return frozenset()
    return frozenset(c.name for c in ours(observed).values() if c.kind == "ConfigMap" and c.name not in used)


def _settled(observed: Observed) -> bool:
    """Whether our Deployment is there and its controller has acted on what it says."""
    return any(
        isinstance(child.facts, DeploymentFacts)
        and not child.deleting
        and child.facts.observed_generation >= child.facts.generation
        for child in ours(observed).values()
    )

"""What the operator knows about a resource and no watch tells it. Lost at a restart without harm.

It must never hold anything that a decision would need to be right: only what spares a write, a read or a question.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from modelport.control.cache import Name
from modelport.state.observed import Door, EvidenceKey, Key, Obstacle, Resource


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A child that another manager keeps changing: what is told of it, and when it is tried again."""

    obstacle: Obstacle
    until: float
    pause: float


@dataclass(slots=True)
class Memory:
    """About one resource, for as long as its uid lives."""

    uid: str
    accepted: dict[Name, tuple[str, bytes]] = field(default_factory=dict)
    """What the API server made of our last apply: (applied hash, digest)."""
    obstacles: tuple[Obstacle, ...] = ()
    repairs: dict[Name, list[float]] = field(default_factory=dict)
    """When drift of a child was repaired, within the last ten minutes."""
    left_alone: dict[Name, LeftAlone] = field(default_factory=dict)
    door: Door | None = None
    asked_generation: int = -1
    asked_since: float = 0.0
    """When the question through the Service was first asked for that generation."""
    asking: bool = False
    ask_again_at: float = 0.0
    unanswered: int = 0
    evidence: dict[EvidenceKey, str] = field(default_factory=dict)
    """At most one: what the diagnosis asked for last."""
    evidence_due: tuple[EvidenceKey, float] | None = None
    """When something that goes on is looked at next."""
    trial: Obstacle | None = None
    """What keeps a new revision from being tried without its devices."""
    rollout: str | None = None
    """How the present roll-out makes room, and why; empty where there was nothing to decide, None where nobody knows."""
    status_written_at: float = float("-inf")
    status_differs_since: float | None = None
    """Since when the status would be another than the written one."""


class Memories:
    """One memory for each resource."""

    def __init__(self) -> None:
        self._memories: dict[Key, Memory] = {}

    def of(self, resource: Resource) -> Memory:
        """The memory of this very resource; one that was made anew starts with an empty one."""
        key = (resource.namespace, resource.name)
        memory = self._memories.get(key)
        if memory is None or memory.uid != resource.uid:
            memory = self._memories[key] = Memory(resource.uid)
        return memory

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._memories.pop(key, None)

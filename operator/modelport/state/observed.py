"""Frozen projections of what the watches saw: the only input of the decisions besides the desired children.

Bodies are never kept. `project_*` functions (state/project.py) make these from the API server's JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from modelport.render.desired import SURGE, Strategy

Key = tuple[str, str]
"""(namespace, name) of a ModelDeployment: what the queue holds."""
EvidenceKey = tuple[str, str, int]
"""(pod uid, container, number of its run); without a container, what hinders the pod's volumes."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A ModelDeployment as the watch saw it."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    paused: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    generation: int
    observed_generation: int
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int
    deadline_exceeded: bool
    """Condition Progressing is False with reason ProgressDeadlineExceeded."""
    replica_failure: str | None
    """Message of condition ReplicaFailure (quota, admission), while true."""
    strategy: Strategy = SURGE
    template_hash: str | None = None
    """Of the template as it was rendered."""


@dataclass(frozen=True, slots=True)
class ReplicaSetFacts:
    wanted: int
    revision: int
    spec_hash: str | None
    config_maps: frozenset[str]
    """ConfigMaps that its pod template references."""


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    name: str
    init: bool
    """It has to end before the next one begins; a native sidecar does not."""
    ready: bool
    started: bool
    restarts: int
    running: bool
    waiting_reason: str | None
    waiting_message: str | None
    terminated_reason: str | None
    """Of the current state, else of the last one; with exit_code and message from the same."""
    exit_code: int | None
    terminated_message: str | None
    image: str | None
    memory_limit: str | None = None
    """Its limit, as the pod's spec says it."""
    running_since: str | None = None
    """When its present run began (RFC 3339)."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    phase: str
    ready: bool
    spec_hash: str | None
    unschedulable: str | None
    """Message of condition PodScheduled while it is False."""
    node: str | None
    rejected: str | None
    """Why its node did not take it, or put it out: `Reason: message` of a pod that has failed as a whole."""
    containers: tuple[ContainerFacts, ...]
    created: str


@dataclass(frozen=True, slots=True)
class Child:
    """Any object of ours, or one that carries our label."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    owner_uid: str | None
    """uid of the controlling ModelDeployment; for ReplicaSets and Pods, of their own controller."""
    resource_name: str
    """Value of the label modelport.io/name."""
    deleting: bool
    applied_hash: str | None
    digest: bytes | None
    """16 bytes over the paths that we own (managedFields of manager `modelport`, operation Apply): whoever changes a value of ours
    takes its path. None where we own nothing."""
    facts: DeploymentFacts | ReplicaSetFacts | PodFacts | None = None
    owner: str | None = None
    """The controlling owner as kubectl would name it: ModelDeployment.modelport.io/assistant."""
    owned: str | None = None
    """The paths that we own, as the API server writes them (FieldsV1), without the owner reference. Children of the same
    shape share one string, so that thousands of them cost no memory."""
    held_by: tuple[str, ...] = ()
    """The finalizers that it waits for while it is being deleted."""


class DoorResult(StrEnum):
    """What became of the question through the Service."""

    ANSWERED = "Answered"
    AUTH_REQUIRED = "AuthRequired"
    """401 or 403: the door was reached; the agents, who have the key, are the proof."""
    WRONG = "Wrong"
    UNREACHABLE = "Unreachable"


@dataclass(frozen=True, slots=True)
class Door:
    """The last answer through the Service, and the generation that it is about."""

    generation: int
    result: DoorResult
    detail: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A child that could not be written: name taken, leftover that has to go first, refused, forbidden, fought over."""

    reason: str
    """A member of api.names.Reason: NameTaken, WaitingForCleanup, ChildRefused, QuotaExceeded, Unavailable, Forbidden, FieldConflict."""
    kind: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about one resource may look at."""

    resource: Resource
    now: datetime
    children: tuple[Child, ...] = ()
    """Deployment, Service, ConfigMaps that carry the resource's label."""
    replica_sets: tuple[Child, ...] = ()
    pods: tuple[Child, ...] = ()
    accepted: Mapping[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """(kind, name) -> (applied hash, digest taken from our own apply's answer): the fixed point that drift is measured against."""
    door: Door | None = None
    door_waited: float = 0.0
    """Seconds since the question through the Service was first asked for this generation, without a definite answer."""
    evidence: Mapping[EvidenceKey, str] = field(default_factory=dict)
    """What was read because a diagnosis asked for it: the tail of a log, or the kubelet's words about mounts."""
    obstacles: tuple[Obstacle, ...] = ()
    """What stood in the way of the last writes of this generation."""
    rollout: str | None = None
    """How the present roll-out makes room, and why; empty where there was nothing to decide, None where this process does not know."""

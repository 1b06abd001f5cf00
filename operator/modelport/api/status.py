"""What a user reads in a ModelDeployment's status. Written only through /status, and only when it changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .model import Model


class Condition(Model):
    """One statement about the resource, in the shape of Kubernetes' own conditions."""

    type: Annotated[str, Field(max_length=316)]
    """Ready, Available, Reconciling or Stalled."""
    status: Literal["True", "False", "Unknown"]
    """Whether the statement holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one word; docs/reasons.md lists them all."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in a sentence, and what to do."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=-1)]
    """The generation of the spec that the statement is about."""


class ChildReference(Model):
    """An object that the operator made for this resource."""

    api_version: str
    """Its apiVersion."""
    kind: str
    """Its kind."""
    name: str
    """Its name; it is in the same namespace."""
    uid: str
    """Its uid."""


class ModelDeploymentStatus(Model):
    """What the operator knows about the resource."""

    observed_generation: int = -1
    """The generation of the spec that this status is about; -1 until the operator has seen the resource."""
    phase: str | None = None
    """One word for people: the reason of the most telling condition."""
    message: str | None = None
    """One sentence for people: what is going on, and what to do about it."""
    ready: str | None = None
    """Ready and wanted replicas, such as 1/2."""
    url: str | None = None
    """Where clients inside the cluster reach the model."""
    model: str | None = None
    """The first served name, or the source."""
    gpus: int | None = None
    """GPUs of all replicas together."""
    replicas: int | None = None
    """Pods that exist."""
    ready_replicas: int | None = None
    """Pods whose model has answered."""
    rollout: str | None = None
    """How the present roll-out makes room for its pods, and why: surge (new pods first) or replace (old ones away first)."""
    proved_hash: str | None = None
    """Hash of what the spec says about the pods when their model answered last, as in the annotation modelport.io/spec-hash."""
    selector: str | None = None
    """Label selector of the pods, for the scale subresource."""
    children: (
        Annotated[list[ChildReference], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"})]
        | None
    ) = None
    """What the operator made for this resource."""
    conditions: (
        Annotated[
            list[Condition],
            Field(
                max_length=16,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            ),
        ]
        | None
    ) = None
    """Ready, Available, and while they are true Reconciling and Stalled."""

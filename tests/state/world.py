"""Builds observed states for the tables: a resource, the children that render makes of it, ReplicaSets and pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from modelport.render.desired import Desired, Identity
from modelport.state.observed import (
    Child,
    ContainerFacts,
    DeploymentFacts,
    Door,
    DoorResult,
    Observed,
    PodFacts,
    ReplicaSetFacts,
    Resource,
)
from modelport.state.status import summarise
from tests.render.cases import rendered

NAMESPACE, NAME, UID = "models", "assistant", "uid-resource"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 9, 5, tzinfo=UTC)
DEPLOYMENT_UID, CURRENT_SET, OLD_SET = "uid-deployment", "uid-rs-current", "uid-rs-old"
SPEC: dict[str, Any] = {"runtime": "vllm", "model": {"uri": "hf://owner/repo@main", "size": "1Gi"}}


def desire(**fields: Any) -> Desired:
    """What is rendered from a vLLM resource with these further fields."""
    return rendered({**SPEC, **fields}, Identity(NAMESPACE, NAME, UID))


DESIRED = desire()


def resource(generation: int = 1, status: Mapping[str, Any] | None = None, **changes: Any) -> Resource:
    base = Resource(NAMESPACE, NAME, UID, generation, "5", False, False, SPEC, status or {})
    return replace(base, **changes)


def made(desired: Desired = DESIRED, deployment: DeploymentFacts | None = None, **changes: Any) -> tuple[Child, ...]:
    """The children as they are after they were applied."""
    return tuple(
        replace(
            Child(
                kind=child.kind,
                namespace=NAMESPACE,
                name=child.name,
                uid=DEPLOYMENT_UID if child.kind == "Deployment" else f"uid-{child.name}-{child.kind}",
                resource_version="7",
                owner_uid=UID,
                resource_name=NAME,
                deleting=False,
                applied_hash=child.applied_hash,
                digest=b"d",
                facts=(deployment or counts(0, seen=0)) if child.kind == "Deployment" else None,
            ),
            **changes,
        )
        for child in desired.children
    )


def accepted(desired: Desired = DESIRED) -> dict[tuple[str, str], tuple[str, bytes]]:
    """What an operator remembers that has applied them."""
    return {(child.kind, child.name): (child.applied_hash, b"d") for child in desired.children}


def counts(ready: int, wanted: int = 1, seen: int = 1, generation: int = 1, **changes: Any) -> DeploymentFacts:
    """A Deployment all of whose `wanted` pods exist and are of the newest template."""
    exist = wanted if seen >= generation else 0
    return replace(
        DeploymentFacts(generation, seen, wanted, exist, exist, ready, ready, False, None),
        **changes,
    )


TODAYS_MAP = next(child.name for child in DESIRED.children if child.kind == "ConfigMap")


def replica_set(
    spec_hash: str = DESIRED.spec_hash,
    uid: str = CURRENT_SET,
    wanted: int = 1,
    maps: tuple[str, ...] = (TODAYS_MAP,),
) -> Child:
    facts = ReplicaSetFacts(wanted, 1, spec_hash, frozenset(maps))
    return Child("ReplicaSet", NAMESPACE, uid, uid, "8", DEPLOYMENT_UID, NAME, False, None, None, facts)


def container(name: str = "server", **changes: Any) -> ContainerFacts:
    return replace(
        ContainerFacts(
            name,
            name == "fetch",
            False,
            False,
            0,
            False,
            None,
            None,
            None,
            None,
            None,
            f"registry.example.com/{name}:1",
        ),
        **changes,
    )


FRESH: tuple[ContainerFacts, ...] = ()
PULLING = (container("agent", waiting_reason="PodInitializing"), container(waiting_reason="PodInitializing"))
AGENT = container("agent", running=True, started=True)
FETCHING = (AGENT, container("fetch", running=True), container(waiting_reason="PodInitializing"))
LOADING = (AGENT, container("fetch", ready=True, exit_code=0), container(running=True))
STARTED = (AGENT, container("fetch", ready=True, exit_code=0), container(running=True, started=True, ready=True))


def pod(
    *containers: ContainerFacts,
    ready: bool = False,
    name: str = "pod-1",
    spec_hash: str = DESIRED.spec_hash,
    owner: str = CURRENT_SET,
    deleting: bool = False,
    **changes: Any,
) -> Child:
    facts = PodFacts("Running" if containers else "Pending", ready, spec_hash, None, "node-1" if containers else None, None, containers, "2026-01-02T00:00:00Z")  # fmt: skip
    facts = replace(facts, **changes)
    return Child("Pod", NAMESPACE, name, f"uid-{name}", "9", owner, NAME, deleting, None, None, facts)


ANSWERED = Door(1, DoorResult.ANSWERED, "")


def observe(
    deployment: DeploymentFacts | None = None,
    pods: tuple[Child, ...] = (),
    *,
    desired: Desired = DESIRED,
    sets: tuple[Child, ...] | None = None,
    of: Resource | None = None,
    **changes: Any,
) -> Observed:
    """A resource whose children were applied, with this Deployment and these pods."""
    base = Observed(
        resource=of or resource(),
        now=NOW,
        children=made(desired, deployment),
        replica_sets=(replica_set(desired.spec_hash),) if sets is None else sets,
        pods=pods,
        accepted=accepted(desired),
    )
    return replace(base, **changes)


def up(of: Resource | None = None, **changes: Any) -> Observed:
    """One pod that has proved its model, and a Service that has answered."""
    return observe(counts(1), (pod(*STARTED, ready=True),), **{"of": of, "door": ANSWERED, **changes})


def told(observed: Observed, desired: Any = DESIRED, now: datetime = NOW) -> dict[str, Any]:
    """The new status, after checking what holds of every status."""
    status = summarise(replace(observed, now=now), desired)
    again = summarise(replace(observed, now=LATER, resource=replace(observed.resource, status=status)), desired)
    assert again == status, "a status is a fixed point"
    return status


def words(status: Mapping[str, Any]) -> dict[str, str]:
    """Condition -> `Status Reason`."""
    return {item["type"]: f"{item['status']} {item['reason']}" for item in status["conditions"]}

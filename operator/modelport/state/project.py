"""From the API server's JSON to the frozen projections that decisions are made on.

Each object is looked at once, when it arrives. Pure; it must never keep a reference to a body, except for the spec and
the status of a ModelDeployment, which are ours to interpret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelport.api.names import (
    ANNOTATION_APPLIED_HASH,
    ANNOTATION_RECONCILE,
    ANNOTATION_SPEC_HASH,
    ANNOTATION_TEMPLATE_HASH,
    LABEL_NAME,
    PAUSED,
)
from modelport.render.desired import SURGE, Strategy
from modelport.state import ownership
from modelport.state.observed import (
    Child,
    ContainerFacts,
    DeploymentFacts,
    PodFacts,
    ReplicaSetFacts,
    Resource,
)

Raw = Mapping[str, Any]

_REVISION = "deployment.kubernetes.io/revision"


def project_resource(raw: Raw) -> Resource:
    """A ModelDeployment."""
    metadata = raw["metadata"]
    return Resource(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        deleting="deletionTimestamp" in metadata,
        paused=_annotations(metadata).get(ANNOTATION_RECONCILE) == PAUSED,
        spec=raw.get("spec") or {},
        status=raw.get("status") or {},
    )


def project_child(raw: Raw) -> Child:
    """A Deployment, Service, ConfigMap, ReplicaSet or Pod; `kind` has to be filled in, as LISTs leave it out."""
    metadata, kind = raw["metadata"], raw["kind"]
    controller = next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), None)
    facts = _FACTS.get(kind)
    owned = None if kind in _MADE_BY_OTHERS else _owned(raw)
    return Child(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner_uid=controller["uid"] if controller else None,
        resource_name=(metadata.get("labels") or {}).get(LABEL_NAME, ""),
        deleting="deletionTimestamp" in metadata,
        applied_hash=_annotations(metadata).get(ANNOTATION_APPLIED_HASH),
        digest=ownership.digest(owned) if owned else None,
        facts=facts(raw) if facts else None,
        owner=_owner(controller) if controller else None,
        owned=owned,
        held_by=tuple(metadata.get("finalizers") or ()) if "deletionTimestamp" in metadata else (),
    )


def owned_digest(raw: Raw) -> bytes | None:
    """16 bytes over what we own of an object, None where we own nothing."""
    owned = _owned(raw)
    return ownership.digest(owned) if owned else None


def _owned(raw: Raw) -> str | None:
    tree = ownership.entry(raw)
    return ownership.shape(tree) if tree else None


def _owner(reference: Raw) -> str:
    group = reference["apiVersion"].rpartition("/")[0]
    return f"{reference['kind']}{'.' if group else ''}{group}/{reference['name']}"


def _annotations(metadata: Raw) -> Raw:
    return metadata.get("annotations") or {}


def _spec_hash(metadata: Raw) -> str | None:
    """Of a pod or a pod template, which may carry it as an annotation or as a label."""
    return _annotations(metadata).get(ANNOTATION_SPEC_HASH) or (metadata.get("labels") or {}).get(ANNOTATION_SPEC_HASH)


def _condition(status: Raw, kind: str) -> Raw:
    return next((item for item in status.get("conditions") or () if item["type"] == kind), {})


def _deployment(raw: Raw) -> DeploymentFacts:
    status = raw.get("status") or {}
    failure = _condition(status, "ReplicaFailure")
    return DeploymentFacts(
        generation=raw["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        wanted=raw["spec"].get("replicas", 1),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        deadline_exceeded=_condition(status, "Progressing").get("reason") == "ProgressDeadlineExceeded",
        replica_failure=failure.get("message", "") if failure.get("status") == "True" else None,
        strategy=_strategy(raw["spec"].get("strategy") or {}),
        template_hash=_annotations(raw["metadata"]).get(ANNOTATION_TEMPLATE_HASH),
    )


def _strategy(raw: Raw) -> Strategy:
    """We write whole numbers of pods; what others write instead is put right."""
    update = raw.get("rollingUpdate") or {}
    surge, unavailable = update.get("maxSurge"), update.get("maxUnavailable")
    return Strategy(surge, unavailable) if isinstance(surge, int) and isinstance(unavailable, int) else SURGE


def _replica_set(raw: Raw) -> ReplicaSetFacts:
    template = raw["spec"].get("template") or {}
    revision = _annotations(raw["metadata"]).get(_REVISION, "0")
    return ReplicaSetFacts(
        wanted=raw["spec"].get("replicas", 1),
        revision=int(revision) if revision.isdigit() else 0,
        spec_hash=_spec_hash(template.get("metadata") or {}),
        config_maps=frozenset(_config_maps(template.get("spec") or {})),
    )


def _config_maps(pod: Raw) -> Iterator[str]:
    """Names of the ConfigMaps that a pod with this spec needs or may use."""
    for volume in pod.get("volumes") or ():
        yield (volume.get("configMap") or {}).get("name", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield (source.get("configMap") or {}).get("name", "")
    for container in [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]:
        for source in container.get("envFrom") or ():
            yield (source.get("configMapRef") or {}).get("name", "")
        for variable in container.get("env") or ():
            yield ((variable.get("valueFrom") or {}).get("configMapKeyRef") or {}).get("name", "")


def _pod(raw: Raw) -> PodFacts:
    status, spec = raw.get("status") or {}, raw["spec"]
    scheduled = _condition(status, "PodScheduled")
    return PodFacts(
        phase=status.get("phase", "Pending"),
        ready=_condition(status, "Ready").get("status") == "True",
        spec_hash=_spec_hash(raw["metadata"]),
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else None,
        node=spec.get("nodeName"),
        rejected=f"{status['reason']}: {status.get('message', '')}" if status.get("reason") else None,
        containers=(
            *_containers(spec.get("initContainers"), status.get("initContainerStatuses"), init=True),
            *_containers(spec.get("containers"), status.get("containerStatuses"), init=False),
        ),
        created=raw["metadata"].get("creationTimestamp") or "",
    )


def _containers(specs: list[Raw] | None, statuses: list[Raw] | None, *, init: bool) -> Iterator[ContainerFacts]:
    by_name = {spec["name"]: spec for spec in specs or ()}
    for status in statuses or ():
        yield _container(by_name.get(status["name"], {}), status, init)


def _container(spec: Raw, status: Raw, init: bool) -> ContainerFacts:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return ContainerFacts(
        name=status["name"],
        init=init and spec.get("restartPolicy") != "Always",
        ready=status.get("ready", False),
        started=bool(status.get("started")),
        restarts=status.get("restartCount", 0),
        running="running" in state,
        waiting_reason=waiting.get("reason"),
        waiting_message=waiting.get("message"),
        terminated_reason=ended.get("reason"),
        exit_code=ended.get("exitCode"),
        terminated_message=ended.get("message"),
        image=spec.get("image") or status.get("image"),
        running_since=(state.get("running") or {}).get("startedAt"),
        memory_limit=((spec.get("resources") or {}).get("limits") or {}).get("memory"),
    )


_FACTS: Mapping[str, Callable[[Raw], DeploymentFacts | ReplicaSetFacts | PodFacts]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "Pod": _pod,
}
_MADE_BY_OTHERS = frozenset({"ReplicaSet", "Pod"})

"""A pod that tries all of a new revision that needs no GPU, before an old pod gives its own away. Pure.

On a node where the old pods run it pulls the images, mounts every volume with what the user refers to, and asks the model's source
for a first byte with the pod's own credentials. It fetches nothing and starts no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modelport.api.names import (
    ANNOTATION_SPEC_HASH,
    ANNOTATION_TEMPLATE_HASH,
    CONTAINER_FETCH,
    LABEL_NAME,
    LABEL_ROLE,
    ROLE_PREFLIGHT,
)

from .containers import NO_GPU
from .desired import Desired, Identity
from .metadata import owner

Raw = Mapping[str, Any]

_LITTLE = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
SHELL = "/bin/sh"
_NOTHING = [SHELL, "-c", "exit 0"]
_DROPPED = ("args", "ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def name_of(resource: str, desired: Desired) -> str:
    """One for each template."""
    return f"{resource}-preflight-{desired.template_hash[:10]}"


def preflight(identity: Identity, desired: Desired, nodes: Iterable[str]) -> dict[str, Any]:
    """The pod, for one of these nodes."""
    metadata, spec = desired.template["metadata"], desired.template["spec"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name_of(identity.name, desired),
            "namespace": identity.namespace,
            "labels": {**(metadata.get("labels") or {}), LABEL_NAME: identity.name, LABEL_ROLE: ROLE_PREFLIGHT},
            "annotations": {
                ANNOTATION_SPEC_HASH: desired.spec_hash,
                ANNOTATION_TEMPLATE_HASH: desired.template_hash,
            },
            "ownerReferences": [owner(identity)],
        },
        "spec": {
            **spec,
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 1,
            "affinity": _on(nodes, spec.get("affinity") or {}),
            "initContainers": list(_steps(spec.get("initContainers") or ())),
            "containers": [_idle(container) for container in spec["containers"]],
        },
    }


def _steps(containers: Iterable[Raw]) -> Iterator[dict[str, Any]]:
    """What is done before the server starts: the source is only asked. Of sidecars, only the image is wanted."""
    for container in containers:
        if container["name"] == CONTAINER_FETCH:
            yield {**container, "args": [*container["args"], "--check"]}
        else:
            yield {key: value for key, value in _idle(container).items() if key != "restartPolicy"}


def _idle(container: Raw) -> dict[str, Any]:
    """The same image, volumes and environment, and nothing to do."""
    kept = {key: value for key, value in container.items() if key not in _DROPPED}
    env = [*(one for one in container.get("env") or () if one["name"] != NO_GPU["name"]), NO_GPU]
    return {**kept, "command": _NOTHING, "env": env, "resources": _LITTLE}


def _on(nodes: Iterable[str], affinity: Raw) -> dict[str, Any]:
    """Where the pods may run anyway, and on one of these nodes."""
    node = affinity.get("nodeAffinity") or {}
    here = {"key": "metadata.name", "operator": "In", "values": sorted(nodes)}
    terms = (node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    narrowed = [{**term, "matchFields": [*(term.get("matchFields") or ()), here]} for term in terms]
    return {**affinity, "nodeAffinity": {**node, _REQUIRED: {"nodeSelectorTerms": narrowed}}}

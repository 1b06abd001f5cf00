"""The user's `podTemplate` over ours, and what it may not take away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelport.api.names import CONTAINER_AGENT, CONTAINER_SERVER
from modelport.runtimes.base import Problem

from .containers import NO_GPU
from .desired import Invalid
from .metadata import selector
from .strategic import PatchError, merge_pod_template

ROOT = "spec.podTemplate"
_GRACE = "terminationGracePeriodSeconds"


def override(template: Mapping[str, Any], patches: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | Invalid:
    """The template with the patches applied in their order."""
    result = dict(template)
    for patch in patches:
        try:
            result = merge_pod_template(result, patch)
        except PatchError as error:
            return Invalid((Problem(ROOT + error.path, str(error)),))
    problems = tuple(_lost(template, result, name))
    return Invalid(problems) if problems else _with_gpus(result)


def _with_gpus(template: dict[str, Any]) -> dict[str, Any]:
    """Devices that only the patch asks for (a slice of a GPU, a resource claim) are not hidden from the server."""
    containers = [_with_its_gpus(item) for item in template["spec"]["containers"]]
    return {**template, "spec": {**template["spec"], "containers": containers}}


def _with_its_gpus(container: Any) -> Any:
    env = _items(container.get("env")) if isinstance(container, Mapping) else ()
    if NO_GPU not in env or container.get("name") != CONTAINER_SERVER or not _asks_for_devices(container):
        return container
    return {**container, "env": [variable for variable in env if variable != NO_GPU]}


def _asks_for_devices(container: Mapping[str, Any]) -> bool:
    resources = _part(container, "resources")
    extended = [key for kind in ("requests", "limits") for key in _part(resources, kind) if "/" in key]
    return bool(resources.get("claims") or extended)


def grace_seconds(patches: Sequence[Mapping[str, Any]], default: int) -> int:
    """The grace period that the patches end with: the drain may then take as long as it leaves."""
    for patch in reversed(patches):
        spec = patch.get("spec")
        given = spec.get(_GRACE) if isinstance(spec, Mapping) else None
        if isinstance(given, int) and not isinstance(given, bool):
            return given
    return default


def _lost(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> Iterator[Problem]:
    metadata = _part(after, "metadata")
    labels = _part(metadata, "labels")
    if not isinstance(metadata.get("annotations", {}), Mapping):
        yield Problem(f"{ROOT}.metadata.annotations", "has to be a map of texts, such as team: vision")
    for label, value in selector(name).items():
        if labels.get(label) != value:
            advice = f"has to stay {value}: the Service and the Deployment find their pods by it"
            yield Problem(f"{ROOT}.metadata.labels.{label}", advice)
    spec = _part(after, "spec")
    if CONTAINER_SERVER not in _names(spec.get("containers")):
        advice = "the container `server` may not be removed: change its fields, or set spec.image and spec.env"
        yield Problem(f"{ROOT}.spec.containers", advice)
    needs_agent = CONTAINER_AGENT in _names(_part(before, "spec").get("initContainers"))
    if needs_agent and CONTAINER_AGENT not in _names(spec.get("initContainers")):
        advice = "the container `agent` may not be removed: it proves that the model answers (see check.disabled)"
        yield Problem(f"{ROOT}.spec.initContainers", advice)


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, Mapping) else {}


def _names(containers: Any) -> list[str]:
    return [item["name"] for item in _items(containers) if isinstance(item, Mapping) and "name" in item]


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()

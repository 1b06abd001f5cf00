"""What Kubernetes and the kernel take at most, told before they refuse it: one argument or variable, the annotations of a
pod, and all of its description together.

Pure. It must never count what somebody else adds to an object later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelport.api.names import ANNOTATION_SPEC_HASH
from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes.base import Problem

from .hashing import canonical

LONGEST_ARGUMENT = (128 << 10) - 1
"""Bytes of one argument, or of NAME=value; the kernel's 128 KiB hold a last byte of its own. All of them together have
2 MiB, which is more than fits into a description."""
LONGEST_ANNOTATIONS = 256 << 10
"""Bytes of all keys and values."""
_OWN_ANNOTATION = len(ANNOTATION_SPEC_HASH) + 16
LARGEST_DESCRIPTION = 1 << 20
"""Bytes of a pod template, and of the record of its fields that the API server keeps beside it. etcd takes 1.5 MiB, and the
objects that are made of the template carry more."""
_RECORD, _ITEM_RECORD = 7, 32
"""Bytes in that record for each key of a map, and for each item that is told from others by its name."""

_TEMPLATE = "spec.podTemplate"
_IN_A_FILE = "put it into a file, such as a key of a ConfigMap that spec.podTemplate mounts"


def problems(spec: ModelDeploymentSpec, template: Mapping[str, Any]) -> Iterator[Problem]:
    """What is too large in a pod template, in the paths of the spec that it was made from."""
    for place in ("initContainers", "containers"):
        for container in _maps(template["spec"].get(place)):
            yield from _of_container(spec, container, f"{_TEMPLATE}.spec.{place}[{container.get('name')}]")
    yield from _of_annotations((template.get("metadata") or {}).get("annotations") or {})
    size = len(canonical(template))
    stored = size + _record(template) if size > LARGEST_DESCRIPTION // 10 else size
    if stored > LARGEST_DESCRIPTION:
        yield Problem(
            _heaviest(spec),
            f"the description of a pod takes {stored} bytes with it, and {LARGEST_DESCRIPTION} fit: put long texts and many"
            " variables into a ConfigMap, and mount it or name it in envFrom (spec.podTemplate)",
        )


def _of_container(spec: ModelDeploymentSpec, container: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for field in ("command", "args"):
        for index, text in enumerate(_list(container.get(field))):
            if (size := _bytes(text)) > LONGEST_ARGUMENT:
                yield _too_long(f"{path}.{field}[{index}]", size, "an argument")
    of_user = {variable.name: variable.value for variable in spec.env or ()}
    for variable in _maps(container.get("env")):
        name, value = variable.get("name"), variable.get("value")
        if (size := _bytes(name) + len("=") + _bytes(value)) > LONGEST_ARGUMENT:
            at = "spec" if isinstance(name, str) and of_user.get(name) == value else path
            yield _too_long(f"{at}.env[{name}].value", size, "a variable with its name")


def _too_long(path: str, size: int, what: str) -> Problem:
    return Problem(
        path, f"has {size} bytes as {what}, and the kernel of the node takes {LONGEST_ARGUMENT}: {_IN_A_FILE}"
    )


def _of_annotations(annotations: Any) -> Iterator[Problem]:
    if not isinstance(annotations, Mapping):
        return
    size = _OWN_ANNOTATION + sum(_bytes(key) + _bytes(value) for key, value in annotations.items())
    if size > LONGEST_ANNOTATIONS:
        advice = "keep what is long in a ConfigMap"
        yield Problem(
            f"{_TEMPLATE}.metadata.annotations",
            f"have {size} bytes with the operator's own, and Kubernetes takes {LONGEST_ANNOTATIONS}: {advice}",
        )


def _record(value: Any) -> int:
    """About how many bytes the record of who owns which field takes for a value."""
    if isinstance(value, Mapping):
        return sum(len(key) + _RECORD + _record(below) for key, below in value.items())
    return sum(_ITEM_RECORD + _bytes(item.get("name")) + _record(item) for item in _maps(value))


def _heaviest(spec: ModelDeploymentSpec) -> str:
    """The field of the spec that takes most of it."""
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    runtime = str(spec.runtime)
    parts = {
        _TEMPLATE: written.get("podTemplate"),
        "spec.env": written.get("env"),
        f"spec.{runtime}.extraArgs": written.get(runtime, {}).get("extraArgs"),
    }
    return max(parts, key=lambda path: len(canonical(parts[path])))


def _bytes(text: Any) -> int:
    return len(text.encode()) if isinstance(text, str) else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]

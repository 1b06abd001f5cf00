"""User > profile > platform > built-in: one function over fragments of a spec.

Maps are merged, lists whose items have a name are merged by it, everything else is replaced. The pod templates of the
layers are not merged here: each is a patch, and they are applied one after the other, the user's last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.api.names import Runtime
from modelport.api.spec import ModelDeploymentSpec

from .desired import Invalid
from .platform import Platform
from .validation import validate

Fragment = Mapping[str, Any]
POD_TEMPLATE = "podTemplate"
BUILT_IN: Fragment = {"replicas": 1}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a user's spec means on this platform."""

    spec: ModelDeploymentSpec
    pod_templates: tuple[Fragment, ...]
    """Patches of the pod template, in the order in which they are applied."""


def resolve(user: Fragment, platform: Platform) -> Resolved | Invalid:
    """The user's spec over the platform's defaults over what is built in."""
    secrets = [{"name": name} for name in platform.image_pull_secrets]
    installation = merge(platform.defaults, {"imagePullSecrets": secrets} if secrets else {})
    layers = [user, _applicable(installation, user), BUILT_IN]
    merged: Fragment = {}
    for layer in reversed(layers):
        merged = merge({key: value for key, value in layer.items() if key != POD_TEMPLATE}, merged)
    spec = validate({**merged, POD_TEMPLATE: user[POD_TEMPLATE]} if user.get(POD_TEMPLATE) is not None else merged)
    if isinstance(spec, Invalid):
        return spec
    patches = [layer[POD_TEMPLATE] for layer in reversed(layers) if _mapping(layer.get(POD_TEMPLATE))]
    return Resolved(spec, tuple(patches))


def merge(over: Fragment, under: Fragment) -> dict[str, Any]:
    """`over` where it says something, else `under`. A null says nothing."""
    result = dict(under)
    for key, value in over.items():
        if value is not None:
            result[key] = _merge_value(value, under[key]) if key in under else value
    return result


def _merge_value(over: Any, under: Any) -> Any:
    if isinstance(over, Mapping) and isinstance(under, Mapping):
        return merge(over, under)
    if _is_keyed(over) and _is_keyed(under):
        named = {item["name"]: item for item in over}
        kept = [named.pop(item["name"], item) for item in under]
        return kept + [item for item in over if item["name"] in named]
    return over


def _is_keyed(value: Any) -> bool:
    """A list that is merged item by item; an empty one replaces."""
    items = isinstance(value, Sequence) and not isinstance(value, str) and bool(value)
    return items and all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in value)


def _applicable(defaults: Fragment, user: Fragment) -> Fragment:
    """The defaults that mean something for this user: no options of another runtime, no GPU options without a GPU, and
    no task for a model that is asked another question."""
    others = {str(runtime) for runtime in Runtime if runtime != user.get("runtime")}
    result = {key: value for key, value in defaults.items() if key not in others}
    if user.get("runtime") != Runtime.VLLM or _mapping(user.get("check")).get("request") is not None:
        result["check"] = {key: value for key, value in _mapping(result.get("check")).items() if key != "task"}
    gpu = merge(_mapping(user.get("gpu")), _mapping(defaults.get("gpu")))
    if "count" not in gpu:
        result.pop("gpu", None)
        if isinstance(result.get("vllm"), Mapping):
            result["vllm"] = {k: v for k, v in result["vllm"].items() if k != "gpuMemoryUtilization"}
    return result


def _mapping(value: Any) -> Fragment:
    return value if isinstance(value, Mapping) else {}

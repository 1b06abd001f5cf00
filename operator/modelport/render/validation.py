"""A raw spec becomes a validated one, or problems in words for people. Must never raise, whatever it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes.base import Problem

from .desired import Invalid
from .hashing import canonical

_QUOTED_LENGTH = 60


def validate(raw: Mapping[str, Any]) -> ModelDeploymentSpec | Invalid:
    """The spec, checked as strictly as the API server does: "3" is no number."""
    try:
        document = canonical(raw)
    except (TypeError, ValueError, RecursionError) as error:
        return Invalid((Problem("spec", f"is not JSON: {error}"),))
    try:
        return ModelDeploymentSpec.model_validate_json(document, strict=True)
    except ValidationError as error:
        return Invalid(_problems(raw, error))


def field_path(root: str, raw: Any, keys: Sequence[str | int]) -> str:
    """The path as people read it: items of lists by their name, where they have one."""
    path, here = root, raw
    for key in keys:
        if isinstance(here, Sequence) and not isinstance(here, str) and isinstance(key, int) and key < len(here):
            here = here[key]
            name = here.get("name") if isinstance(here, Mapping) else None
            path += f"[{name if isinstance(name, str) else key}]"
        elif isinstance(here, Mapping):
            here = here.get(key)
            path += f".{key}"
        else:  # pydantic goes on with the members of a union, which are no fields
            break
    return path


def _problems(raw: Mapping[str, Any], error: ValidationError) -> tuple[Problem, ...]:
    """One problem per field: the members of a union (number or text) each report their own."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        path = field_path("spec", raw, item["loc"]) + str((item.get("ctx") or {}).get("path", ""))
        message = _message(item)
        if message not in found.setdefault(path, []):
            found[path].append(message)
    return tuple(Problem(path, " or ".join(messages)) for path, messages in found.items())


def _message(item: Any) -> str:
    kind, text = item["type"], item["msg"]
    if kind == "rule":
        return str(text)
    if kind == "missing":
        return "is required"
    for prefix in ("Input ", "String ", "List ", "Dictionary ", "Value error, "):
        text = text.removeprefix(prefix)
    given = item["input"]
    if isinstance(given, str | int | float) and len(str(given)) <= _QUOTED_LENGTH:
        return f"{given!r} {text}"
    return str(text)

"""A raw spec becomes a validated one, or problems in words for people. Must never raise, whatever it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from pydantic import ValidationError

from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes.base import Problem

from .desired import Invalid
from .hashing import canonical

_QUOTED_LENGTH, _LONGEST_NAME = 60, 253
DEEPEST = 100
"""Maps and lists in one another: more than any part of a pod or of a model's configuration has."""


def validate(raw: Mapping[str, Any]) -> ModelDeploymentSpec | Invalid:
    """The spec, checked as strictly as the API server does: "3" is no number."""
    if problems := tuple(Problem(f"spec.{key}", said) for key, value in raw.items() if (said := _beyond(value))):
        return Invalid(problems)
    try:
        document = canonical(raw)
    except (TypeError, ValueError, RecursionError) as error:
        return Invalid((Problem("spec", f"is not JSON: {error}"),))
    try:
        return ModelDeploymentSpec.model_validate_json(document, strict=True)
    except ValidationError as error:
        return Invalid(_problems(raw, error))


def _beyond(value: Any) -> str | None:
    """What no child can carry."""
    level = [value]
    for _ in range(DEEPEST):
        if any(isinstance(item, int) and not -(2**63) <= item < 2**64 for item in level):
            return "holds a number that has more than 64 bits"
        if any(isinstance(item, float) and not isfinite(item) for item in level):
            return "holds a number that JSON has no form for"
        held = [item.values() if isinstance(item, Mapping) else item for item in level if isinstance(item, _HOLDERS)]
        level = [below for of_one in held for below in of_one]
        if not level:
            return None
    return f"is nested more than {DEEPEST} levels deep"


_HOLDERS = (Mapping, list)


def field_path(root: str, raw: Any, keys: Sequence[str | int]) -> str:
    """The path as people read it: items of lists by their name, where they have one."""
    path, here = root, raw
    for key in keys:
        if isinstance(here, Sequence) and not isinstance(here, str) and isinstance(key, int) and key < len(here):
            here = here[key]
            name = here.get("name") if isinstance(here, Mapping) else None
            path += f"[{name if isinstance(name, str) and len(name) <= _LONGEST_NAME else key}]"
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
    text = text.replace(" after validation", "")
    given = item["input"]
    if isinstance(given, str | int | float) and len(str(given)) <= _QUOTED_LENGTH:
        return f"{given!r} {text}"
    return str(text)

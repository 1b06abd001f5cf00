"""Fields that the API does not know, for offline use: in the cluster the API server says the same before we see the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from modelport.api.spec import POD_TEMPLATE as TEMPLATE_SCHEMA
from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes.base import Problem

from .resolve import POD_TEMPLATE
from .validation import field_path

TEMPLATE_FIELDS = frozenset({*TEMPLATE_SCHEMA["properties"], "$patch", "$retainKeys"})
"""What may stand in a podTemplate beside the directives of strategic merge."""
_LONGEST_NAME = 100
"""No field has a longer one; comparing takes time by the length."""


def unknown_fields(raw: Mapping[str, Any], root: str = "spec") -> Iterator[Problem]:
    """One problem for each, with the nearest name that exists."""
    for keys, known in _unknown(raw, ModelDeploymentSpec, ()):
        close = get_close_matches(str(keys[-1])[:_LONGEST_NAME], known, n=1)
        advice = f"; did you mean {close[0]}?" if close else ""
        yield Problem(field_path(root, raw, keys), f"there is no such field{advice}")


def _unknown(
    value: Any, model: type[BaseModel], keys: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            if isinstance(item, Mapping):  # and not a list in a list, which validation refuses
                yield from _unknown(item, model, (*keys, index))
    if not isinstance(value, Mapping):
        return
    fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    for key, item in value.items():
        if key not in fields:
            yield (*keys, key), list(fields)
        elif key == POD_TEMPLATE and isinstance(item, Mapping):
            yield from (((*keys, key, inner), list(TEMPLATE_FIELDS)) for inner in item if inner not in TEMPLATE_FIELDS)
        elif (inner := _model_in(fields[key])) is not None:
            yield from _unknown(item, inner, (*keys, key))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is about: X, X | None, list[X] or Annotated[list[X], ...] | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)

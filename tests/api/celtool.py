"""Evaluates CEL rules outside of an API server, with the engine from PyPI and the one function that it lacks.

It must never stand in for the API server: that the server accepts and words the rules so is tested on a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import NoneType
from typing import Any, get_args

import cel
from pydantic import BaseModel

from modelport.api.model import Form, Model, Rule


@cache
def _program(expression: str) -> Any:
    return cel.compile(expression)


def evaluate(expression: str, value: Any) -> Any:
    """What the expression gives for `self`."""
    context = cel.Context()
    context.add_variable("self", value)
    context.add_function("format", lambda text, values: text % tuple(values))
    return _program(expression).execute(context)


def models(root: type[Model]) -> list[type[Model]]:
    """The model and all that occur in it, each once."""
    found: dict[type[Model], None] = {root: None}
    for field in root.model_fields.values():
        for kind in _parts(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found.update(dict.fromkeys(models(kind)))  # type: ignore[arg-type]
    return list(found)


def forms(root: type[Model]) -> dict[Rule, Form]:
    """The forms of single values in a model and all that occur in it."""
    found: dict[Rule, Form] = {}
    for model in models(root):
        for field in model.model_fields.values():
            for part in (*field.metadata, *_parts(field.annotation)):
                if isinstance(part, Form):
                    found[part.rule] = part
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation and everything inside its brackets, metadata included."""
    if annotation is not NoneType:
        yield annotation
        for inner in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
            yield from _parts(inner)

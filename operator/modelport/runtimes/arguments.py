"""Typed fields become flags. What users add in extraArgs was checked by the schema's own rules. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import BaseModel


def flags(options: BaseModel, leave_out: Collection[str] = ()) -> Iterator[str]:
    """Every set field as the long option of the same name: max_model_len=4096 -> --max-model-len=4096, False -> --no-X."""
    for field in type(options).model_fields:
        value = getattr(options, field)
        if value is None or field in leave_out:
            continue
        option = field.replace("_", "-")
        if value is True:
            yield f"--{option}"
        elif value is False:
            yield f"--no-{option}"
        else:
            yield f"--{option}={value}"

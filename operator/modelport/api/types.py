"""Scalars and the base model that the spec and the status are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """A rule over several fields, once in CEL for the API server and once in Python for `modelport render`.

    `holds` gets the validated model; `message` says what to write instead. A test evaluates both forms on the same inputs.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]


class Model(BaseModel):
    """Base of all API objects: camelCase outside, immutable, unknown keys dropped (a newer CRD may know more than we do)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self


IntOrString = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i|[eE][0-9]+)?$"
Quantity = Annotated[
    int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN})
]
"""A Kubernetes quantity such as `2`, `500m` or `16Gi`."""

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=16)]
"""A length of time such as `500ms`, `10s`, `5m` or `1h`."""

DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253)]
"""The name of a Kubernetes object."""

SecretKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]


_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY_UNITS = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def seconds(duration: str) -> float:
    """The length of a `Duration` in seconds."""
    for unit in ("ms", "s", "m", "h"):
        number = duration.removesuffix(unit)
        if number != duration and number.replace(".", "", 1).isdigit():
            return float(number) * _DURATION_UNITS[unit]
    raise ValueError(f"{duration!r} is no duration: write a number and ms, s, m or h, such as 30s")


def amount(quantity: int | str) -> float:
    """The value of a `Quantity` in its base unit (bytes, cores, pieces)."""
    text = str(quantity)
    for unit in sorted(_QUANTITY_UNITS, key=len, reverse=True):
        number = text.removesuffix(unit)
        if (number != text or not unit) and number.replace(".", "", 1).isdigit():
            return float(number) * _QUANTITY_UNITS[unit]
    return float(text)  # exponent form, 1e3; anything else raises ValueError

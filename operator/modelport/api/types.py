"""Scalars, references and the base model that the spec and the status are made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RuleReason = Literal["FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]


@dataclass(frozen=True)
class Told:
    """A message that names values: the CEL expression and the Python function that give the same text."""

    cel: str
    python: Callable[[Any], str]


@dataclass(frozen=True)
class Rule:
    """A rule over several fields, once in CEL for the API server and once in Python for `modelport render`.

    Both get the object that the rule belongs to: CEL as `self`, `holds` as the validated model. The message says what
    to write instead. A test evaluates both forms on the same inputs.
    """

    cel: str
    message: str | Told
    holds: Callable[[Any], bool]
    path: str = ""
    """The field below the object that the user should look at, such as `.triton`."""
    reason: RuleReason = "FieldValueForbidden"
    """How the API server words it: the field is forbidden, invalid or required."""

    def validation(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        says = {"messageExpression": self.message.cel} if isinstance(self.message, Told) else {"message": self.message}
        return {"rule": self.cel, **says, **({"fieldPath": self.path} if self.path else {}), "reason": self.reason}

    def tell(self, value: Any) -> str:
        """What to write instead, for an object that breaks the rule."""
        return self.message.python(value) if isinstance(self.message, Told) else self.message


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
                raise PydanticCustomError("rule", "{message}", {"message": rule.tell(self), "path": rule.path})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        if cls.rules:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = [rule.validation() for rule in cls.rules]
        return schema


@dataclass(frozen=True)
class IntOrString:
    """A value that is a number of at least `minimum`, or a text of the form `pattern`."""

    pattern: str
    minimum: int

    def check(self, value: int | str) -> int | str:
        """The value, or ValueError."""
        if isinstance(value, str) and (len(value) > INT_OR_STRING_LENGTH or not re.search(self.pattern, value)):
            raise ValueError(f"should match '{self.pattern}'")
        if isinstance(value, int) and value < self.minimum:
            raise ValueError(f"should be greater than or equal to {self.minimum}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bounds = {"pattern": self.pattern, "maxLength": INT_OR_STRING_LENGTH, "minimum": self.minimum}
        return {"x-kubernetes-int-or-string": True, **bounds}


INT_OR_STRING_LENGTH = 64

SCALED = r"[1-9][0-9]*(\.[0-9]+[kmgt]|[kKmMgGtT])?"
"""A number above zero in vLLM's own form: k, m, g, t are powers of 1000 and take decimals, K, M, G, T powers of 1024."""
ScaledInt = Annotated[int | str, IntOrString(f"^{SCALED}$", minimum=1)]
"""Tokens or bytes, such as 8192, 8k or 64M."""
ScaledIntOrAuto = Annotated[int | str, IntOrString(f"^({SCALED}|auto|-1)$", minimum=-1)]
"""As above; -1 and auto let vLLM choose."""

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i|[eE][0-9]+)?$"
Quantity = Annotated[int | str, IntOrString(QUANTITY_PATTERN, minimum=0)]
"""A Kubernetes quantity such as `2`, `500m` or `16Gi`."""

DURATION_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)$"
Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=16)]
"""A length of time such as `500ms`, `10s`, `5m` or `1h`."""

DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253)]
"""The name of a Kubernetes object."""

SecretKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]

ModelUri = Annotated[str, Field(pattern=r"^(hf|https|pvc)://[^\s]+$", max_length=2048)]
"""Where a model can be fetched from."""

Argument = Annotated[str, Field(min_length=1, max_length=4096)]
"""One word of a command line."""

ATOMIC = {"x-kubernetes-list-type": "atomic"}
"""Schema extras of a list that is replaced as a whole."""


def keyed(*keys: str) -> dict[str, Any]:
    """Schema extras of a list whose items are merged by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class LocalObjectReference(Model):
    """An object of the same namespace, by name."""

    name: DnsName
    """Name of the object."""


class SecretKeyReference(Model):
    """One key of a Secret of the same namespace. The operator never reads it; the kubelet gives it to the pod."""

    name: DnsName
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""


class ConfigMapKeyReference(Model):
    """One key of a ConfigMap of the same namespace."""

    name: DnsName
    """Name of the ConfigMap."""
    key: SecretKey
    """Key in the ConfigMap."""


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

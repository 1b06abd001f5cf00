"""Scalars and references that the spec and the status are made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from .model import Form, Model, Rule, int_or_text, text

_SCALED = r"[1-9][0-9]*(\.[0-9]+[kmgt]|[kKmMgGtT])?"
_SCALED_WORDS = "a number, or one with a suffix: k, m, g, t (thousands; 1.5k), K, M, G, T (1024s; whole numbers only)"
ScaledInt = Annotated[int | str, int_or_text(f"^{_SCALED}$", f"write {_SCALED_WORDS}")]
"""Tokens or bytes in vLLM's own form, such as 8192, 8k or 64M."""
ScaledIntOrAuto = Annotated[int | str, int_or_text(f"^({_SCALED}|auto|-1)$", f"write auto, -1, {_SCALED_WORDS}")]
"""As above; -1 and auto let vLLM choose."""

Quantity = Annotated[
    int | str,
    int_or_text(
        r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$",
        "write a Kubernetes quantity without spaces, such as 16Gi, 500m or 2",
    ),
]
"""A Kubernetes quantity such as `2`, `500m` or `16Gi`."""

_DURATION_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)$"
Duration = Annotated[
    str,
    Form(
        Rule(
            f"self.matches(r'{_DURATION_PATTERN}') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",
            "write a number and its unit, ms, s, m or h, from 1s to 24h, such as 10s",
            lambda it: re.fullmatch(_DURATION_PATTERN, it) is not None and 1 <= seconds(it) <= 86400,
            reason="FieldValueInvalid",
        ),
        {"type": "string", "maxLength": 16},
    ),
]
"""A length of time such as `10s`, `5m` or `1h`."""

DNS_NAME = "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
DnsName = Annotated[
    str,
    text(
        DNS_NAME,
        "write the name of an object: lower-case letters, digits, dashes and dots, a letter or digit at both ends",
    ),
]
"""The name of a Kubernetes object."""

DataKey = Annotated[
    str, text("^[-._a-zA-Z0-9]+$", "write a key of the object: letters, digits, dashes, underscores, dots")
]
"""A key of a Secret or a ConfigMap."""

ModelUri = Annotated[
    str,
    text(
        r"^(hf|https|pvc)://[^\s]+$",
        "write hf://owner/repo, https://host/file or pvc://claim/path",
        max_length=2048,
    ),
]
"""Where a model can be fetched from."""

Argument = Annotated[str, Field(min_length=1, max_length=4096)]
"""One word of a command line."""

ATOMIC = {"x-kubernetes-list-type": "atomic"}
"""Schema extras of a list that is replaced as a whole."""


class LocalObjectReference(Model):
    """An object of the same namespace, by name."""

    name: DnsName
    """Name of the object."""


class SecretKeyReference(Model):
    """One key of a Secret of the same namespace. The operator never reads it; the kubelet gives it to the pod."""

    name: DnsName
    """Name of the Secret."""
    key: DataKey
    """Key in the Secret."""


class ConfigMapKeyReference(Model):
    """One key of a ConfigMap of the same namespace."""

    name: DnsName
    """Name of the ConfigMap."""
    key: DataKey
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

"""Hashes that do not depend on the order in which somebody wrote the keys of a map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no blanks."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    return text.encode()


def short_hash(value: Any, size: int = 8) -> str:
    """`size` bytes of BLAKE2b over the canonical form, as lower-case hex."""
    return blake2b(canonical(value), digest_size=size).hexdigest()


def _plain(value: Any) -> Any:
    """A read-only view of a map is a map."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")

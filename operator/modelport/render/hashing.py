"""Hashes that do not depend on the order in which somebody wrote the keys of a map."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no blanks. TypeError for what is no JSON, or very deep."""
    return orjson.dumps(value, _plain, orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def short_hash(value: Any, size: int = 8) -> str:
    """`size` bytes of BLAKE2b over the canonical form, as lower-case hex."""
    return blake2b(canonical(value), digest_size=size).hexdigest()


def _plain(value: Any) -> Any:
    """A read-only view of a map is a map."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")

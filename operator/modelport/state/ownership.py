"""Which fields of an object are ours, and whether they still say what we applied.

The API server's managedFields are the record: whoever changes or removes a value that we applied takes its path out of
our entry. So drift made by anybody, while the operator ran or not, shows as a path that we own no longer. What others
add beside our fields is never looked at. Pure; it must never keep a body.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from modelport.api.names import FIELD_MANAGER

Tree = Mapping[str, Any]
"""FieldsV1: `f:` a field, `k:` an item by its keys, `v:` an item by its value, `i:` by its index, `.` the path itself."""

_MISSING = object()
_IDENTITY = frozenset({"apiVersion", "kind", "metadata", "status"})
_OWNED_METADATA = ("labels", "annotations")
"""The metadata that ownership is recorded for; the owner reference is compared as such, by its uid."""


def entry(raw: Mapping[str, Any]) -> Tree | None:
    """What we applied of the object and still own, or None."""
    for item in raw["metadata"].get("managedFields") or ():
        if item.get("manager") == FIELD_MANAGER and item.get("operation") == "Apply" and not item.get("subresource"):
            return item.get("fieldsV1") or None
    return None


def digest(raw: Mapping[str, Any], tree: Tree) -> bytes:
    """16 bytes over the owned paths and the values at them; changes exactly when one of them does."""
    return blake2b(_canonical(_values(raw, tree)).encode(), digest_size=16).digest()


def shape(tree: Tree) -> str:
    """The owned paths alone, in a form that children of the same shape share."""
    metadata = {key: below for key, below in tree.get("f:metadata", {}).items() if key != "f:ownerReferences"}
    rest = {key: below for key, below in tree.items() if key != "f:metadata"}
    return sys.intern(_canonical({**rest, "f:metadata": metadata} if metadata else rest))


def covers(owned: str | None, manifest: Mapping[str, Any]) -> bool:
    """Whether we own every path of the manifest, and so every value in it is still as it was applied."""
    if owned is None:
        return False
    tree = _parse(owned)
    metadata = manifest.get("metadata", {})
    claimed = {key: metadata[key] for key in _OWNED_METADATA if key in metadata}
    rest = {key: value for key, value in manifest.items() if key not in _IDENTITY}
    return _covered({"metadata": claimed, **rest}, tree)


def _values(value: Any, tree: Tree) -> Any:
    if not tree or value is None:
        return value  # a leaf, an atomic list or map, or something that somebody removed
    return {key: key == "." or _values(_at(value, key), below) for key, below in tree.items()}


def _at(value: Any, step: str) -> Any:
    """What lies one step below, or None."""
    kind, rest = step[:1], step[2:]
    if kind == "f":
        return value.get(rest) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return None
    wanted = _decoded(rest)
    if kind == "k":
        return next((item for item in value if _has_keys(item, wanted)), None)
    if kind == "v":
        return wanted if wanted in value else None
    return value[wanted] if wanted < len(value) else None


def _has_keys(item: Any, keys: Mapping[str, Any]) -> bool:
    """Whether it is the item with those keys; a key that it leaves out has the server's default."""
    return isinstance(item, Mapping) and all(item.get(key, value) == value for key, value in keys.items())


def _covered(value: Any, tree: Tree) -> bool:
    if value is None or value in ({}, []) or not tree:
        return True  # nothing that could be claimed, or owned as a whole
    if isinstance(value, Mapping):
        return all(_child_covered(below, tree.get(f"f:{key}", _MISSING)) for key, below in value.items())
    if isinstance(value, list):
        return all(_child_covered(item, _item_tree(item, tree)) for item in value)
    return True


def _child_covered(value: Any, tree: Any) -> bool:
    if tree is _MISSING:
        return value is None or value in ({}, [])
    return _covered(value, tree)


def _item_tree(item: Any, tree: Tree) -> Any:
    if not isinstance(item, Mapping):
        return tree.get(f"v:{json.dumps(item)}", _MISSING)
    found = (below for step, below in tree.items() if step[:2] == "k:" and _has_keys(item, _decoded(step[2:])))
    return next(found, _MISSING)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)
def _decoded(text: str) -> Any:
    return json.loads(text)


@lru_cache(maxsize=256)
def _parse(owned: str) -> Tree:
    tree: Tree = json.loads(owned)
    return tree

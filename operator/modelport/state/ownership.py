"""Which fields of an object are ours, and whether they still say what we applied.

The API server's managedFields are the record: whoever changes or removes a value that we applied takes its path out of
our entry. So drift made by anybody, while the operator ran or not, shows as a path that we own no longer, and no value
has to be compared (the server may well have written ours in another form). What others add beside our fields is never
looked at. Pure; it must never keep a body.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

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


def shape(tree: Tree) -> str:
    """The owned paths in the server's own order, as one string that children of the same shape share."""
    metadata = {key: below for key, below in tree.get("f:metadata", {}).items() if key != "f:ownerReferences"}
    rest = {key: below for key, below in tree.items() if key != "f:metadata"}
    return sys.intern(orjson.dumps({**rest, "f:metadata": metadata} if metadata else rest).decode())


def digest(shape: str) -> bytes:
    """16 bytes that change when an owned path comes or goes."""
    return blake2b(shape.encode(), digest_size=16).digest()


def covers(owned: str | None, manifest: Mapping[str, Any]) -> bool:
    """Whether we own every path of the manifest, and so every value in it is still as it was applied."""
    if owned is None:
        return False
    tree = _parse(owned)
    metadata = manifest.get("metadata", {})
    claimed = {key: metadata[key] for key in _OWNED_METADATA if key in metadata}
    rest = {key: value for key, value in manifest.items() if key not in _IDENTITY}
    return _covered({"metadata": claimed, **rest}, tree)


def _covered(value: Any, tree: Tree) -> bool:
    if not tree or _claims_nothing(value):
        return True  # owned as a whole
    if isinstance(value, Mapping):
        return all(_child_covered(below, tree.get(f"f:{key}", _MISSING)) for key, below in value.items())
    if isinstance(value, list):
        return all(_child_covered(item, below) for item, below in _item_trees(value, tree))
    return True


def _child_covered(value: Any, tree: Any) -> bool:
    return _claims_nothing(value) if tree is _MISSING else _covered(value, tree)


def _claims_nothing(value: Any) -> bool:
    """Null, an empty map and an empty list are dropped by the API server."""
    return value is None or (not value and isinstance(value, list | Mapping))


def _item_trees(items: list[Any], tree: Tree) -> Iterator[tuple[Any, Any]]:
    """Each item of a list with what is owned of it; items of one list have the same keys, and there may be thousands."""
    first = next((step for step in tree if step[:2] == "k:"), None)
    names = tuple(_decoded(first[2:])) if first is not None else ()
    by_given: dict[tuple[str, ...], Tree] = {}
    for item in items:
        if not isinstance(item, Mapping):
            yield item, tree.get(f"v:{json.dumps(item)}", _MISSING)
            continue
        keys = {name: item[name] for name in names if item.get(name) is not None}
        if len(keys) == len(names):
            yield item, tree.get(f"k:{_canonical(keys)}", _MISSING)
            continue
        if tuple(keys) not in by_given:
            by_given[tuple(keys)] = _by_keys(tree, tuple(keys))
        yield item, by_given[tuple(keys)].get(_canonical(list(keys.values())), _MISSING)


def _by_keys(tree: Tree, names: tuple[str, ...]) -> Tree:
    """What is owned of a list's items, found by some of their keys: a key that an item leaves out has the server's default."""
    found: dict[str, Any] = {}
    for step, below in tree.items():
        if step[:2] == "k:":
            keys = _decoded(step[2:])
            found.setdefault(_canonical([keys.get(name) for name in names]), below)
    return found


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=4096)
def _decoded(text: str) -> Any:
    return json.loads(text)


@lru_cache(maxsize=256)
def _parse(owned: str) -> Tree:
    tree: Tree = orjson.loads(owned)
    return tree

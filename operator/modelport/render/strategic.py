"""Kubernetes' strategic merge patch, for pod templates: what `kubectl patch --type=strategic` would give.

The rules are the API server's own (a test compares the two): maps are merged, null removes, lists with a merge key are
merged item by item, other lists are replaced; `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/...` and
`$setElementOrder/...` are read. Never changes its arguments.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_SCALARS = "$deleteFromPrimitiveList/"
ELEMENT_ORDER = "$setElementOrder/"

Fields = Mapping[str, Mapping[str, Any]]


class PatchError(Exception):
    """A patch that cannot be applied; `path` is where in the patch."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def merge_pod_template(template: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template with the patch applied."""
    return _merge_map(template, patch, "PodTemplateSpec", "")


@cache
def _types() -> Mapping[str, Fields]:
    text = files(__package__).joinpath("mergekeys/podtemplate.json").read_text(encoding="utf-8")
    types: Mapping[str, Fields] = json.loads(text)
    return types


def _merge_map(original: Mapping[str, Any], patch: Mapping[str, Any], kind: str | None, path: str) -> dict[str, Any]:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return dict(_bare(patch))
    if directive == "delete":
        return {}
    if DIRECTIVE in patch:
        raise _bad_directive(directive, path)
    fields = _types().get(kind or "", {})
    result = _retained(original, patch, path)
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith(ELEMENT_ORDER):
            continue
        name = key.removeprefix(DELETE_SCALARS)
        here = f"{path}.{name}"
        if name != key:
            gone = _places(_list(value, here))
            if name in result:
                result[name] = [item for item in _list(result[name], here) if _identity(item) not in gone]
        elif value is None:
            result.pop(name, None)
        elif name not in result:
            _set(result, name, value)
        else:
            result[name] = _merge_value(result[name], value, fields.get(name, {}), here)
    return _ordered(result, patch, fields)


def _merge_value(original: Any, patch: Any, field: Mapping[str, Any], path: str) -> Any:
    if isinstance(original, Mapping):
        if not isinstance(patch, Mapping):
            raise PatchError(path, f"is {_kind(patch)} where a map is needed")
        return _merge_map(original, patch, field.get("type"), path)
    if isinstance(original, list):
        items = _list(patch, path)
        if "key" in field:
            return _merge_list(original, items, field, path)
        if field.get("merge"):
            known = _places(original)
            added = [items[index] for identity, index in _places(items).items() if identity not in known]
            return _arranged([*original, *added], items, original)
        return _bare(items)
    return _plain(patch)


def _merge_list(original: Sequence[Any], patch: Sequence[Any], field: Mapping[str, Any], path: str) -> list[Any]:
    """Lists of maps with a merge key: items of equal keys are merged, new ones come first, as the API server has it."""
    key = field["key"]
    for index, item in enumerate(patch):
        if not isinstance(item, Mapping):
            raise PatchError(f"{path}[{index}]", f"is {_kind(item)} where a map is needed")
        if item.get(DIRECTIVE, "delete") not in ("replace", "delete"):
            raise _bad_directive(item[DIRECTIVE], f"{path}[{index}]")
        if item.get(DIRECTIVE) != "replace" and key not in item:
            raise PatchError(f"{path}[{index}]", f"needs `{key}`, by which the items of this list are merged")
    plain = [item for item in patch if DIRECTIVE not in item]
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_bare(item) for item in plain]
    gone = _places([item for item in patch if item.get(DIRECTIVE) == "delete"], key)
    kept = [item for item in original if _identity(item, key) not in gone]
    merged, places = list(kept), _places(kept, key)
    for item in plain:
        place = places.setdefault(_identity(item, key), len(merged))
        if place < len(merged):
            merged[place] = _merge_map(merged[place], item, field.get("type"), f"{path}[{item[key]}]")
        else:
            merged.append(_bare(item))
    return _arranged(merged, plain, kept, key)


def _arranged(
    merged: Sequence[Any], patch: Sequence[Any], original: Sequence[Any], key: str | None = None
) -> list[Any]:
    """The order that the API server gives a merged list: the patch's order among its items, the original's among the
    others, and of two such items the one from the patch first unless both were in the original in the other order."""

    wanted, known = _places(patch, key), _places(original, key)
    others = deque(item for item in merged if _identity(item, key) not in wanted)
    theirs = [item for item in merged if _identity(item, key) in wanted]
    patched = deque(sorted(theirs, key=lambda item: wanted[_identity(item, key)]))
    result: list[Any] = []
    while patched and others:
        left, right = known[_identity(others[0], key)], known.get(_identity(patched[0], key), -1)
        result.append(others.popleft() if left < right else patched.popleft())
    return [*result, *others, *patched]


def _places(items: Sequence[Any], key: str | None = None) -> dict[str, int]:
    """Where each item stands first. Lists may have thousands of items, so nothing here is looked for one by one."""
    places: dict[str, int] = {}
    for index, item in enumerate(items):
        places.setdefault(_identity(item, key), index)
    return places


def _identity(item: Any, key: str | None = None) -> str:
    """What tells an item of a merged list from the others: the value of the key, or a scalar itself; as JSON, or for a text
    what no other JSON begins with."""
    value = item.get(key) if key is not None and isinstance(item, Mapping) else item
    return f'"{value}' if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _ordered(result: dict[str, Any], patch: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The lists for which the patch gives an order of their own."""
    for directive, order in patch.items():
        name = directive.removeprefix(ELEMENT_ORDER)
        if name != directive and isinstance(result.get(name), list) and isinstance(order, list):
            result[name] = _arranged(result[name], order, result[name], fields.get(name, {}).get("key"))
    return result


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    if RETAIN_KEYS not in patch:
        return dict(original)
    keys = _list(patch[RETAIN_KEYS], f"{path}.{RETAIN_KEYS}")
    for key, value in patch.items():
        if value is not None and not key.startswith("$") and key not in keys:
            raise PatchError(f"{path}.{RETAIN_KEYS}", f"has to name `{key}` as well, which this patch sets")
    return {key: value for key, value in original.items() if key in keys}


def _set(target: dict[str, Any], name: str, value: Any) -> None:
    """A value where there was none; one that only says what to remove leaves nothing."""
    if not (isinstance(value, Mapping) and DIRECTIVE in value):
        target[name] = _plain(value)


def _bare(value: Any) -> Any:
    """What the API server takes as it stands: directives in it do nothing, for nothing is there that they could change."""
    if isinstance(value, Mapping):
        return {k: _bare(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_bare(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """A value for a field that was not there: without nulls, and without the maps that only say what to remove."""
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if v is not None and not k.startswith("$")}
        return {k: _plain(v) for k, v in kept.items() if not (isinstance(v, Mapping) and DIRECTIVE in v)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value if not (isinstance(item, Mapping) and DIRECTIVE in item)]
    return value


def _bad_directive(directive: Any, path: str) -> PatchError:
    return PatchError(f"{path}.{DIRECTIVE}", f"{directive!r} is neither replace nor delete")


def _list(value: Any, path: str) -> Sequence[Any]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise PatchError(path, f"is {_kind(value)} where a list is needed: begin each of its items with a dash")


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, Sequence) and not isinstance(value, str) else f"{value!r}"

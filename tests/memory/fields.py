"""Server-side apply: who owns which fields, what a new configuration changes, and what it takes away.

A port of the API server's own structured-merge-diff, as far as our objects need it: a field set is a set of paths, and a
path a tuple of steps as FieldsV1 writes them (`f:` a field, `k:` an item by its keys, `v:` an item by its value). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tests.memory.schema import UNTYPED, Type

Path = tuple[str, ...]
FieldSet = frozenset[Path]
NONE: FieldSet = frozenset()

_ABSENT: Any = object()


class UnknownField(Exception):  # noqa: N818 - as the API server calls it
    """A configuration has a field that its kind does not; `path` is where."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{text(path)}: field not declared in schema")


class Comparison(NamedTuple):
    """What differs between two values."""

    added: FieldSet
    removed: FieldSet
    modified: FieldSet


def claimed(value: Any, kind: Type) -> FieldSet:
    """The fields that a configuration is about. Raises UnknownField."""
    return frozenset(_claimed(value, kind, ()))


def compared(old: Any, new: Any, kind: Type) -> Comparison:
    """Which fields come, go and change from one value to the other; an added map or item counts itself as well."""
    found = Comparison(*(set() for _ in range(3)))  # type: ignore[arg-type]
    _compare(old, new, kind, (), found)
    return Comparison(*map(frozenset, found))


def merged(live: Any, applied: Any, kind: Type) -> Any:
    """The live value with the applied one over it."""
    if live is _ABSENT:
        return applied
    if applied is _ABSENT:
        return live
    if isinstance(live, Mapping) and isinstance(applied, Mapping) and not kind.atomic_map:
        both = {key: live.get(key, _ABSENT) for key in [*live, *(key for key in applied if key not in live)]}
        return {
            key: merged(value, applied.get(key, _ABSENT), kind.at(key) or UNTYPED) for key, value in both.items()
        } or dict(applied)
    if isinstance(live, list) and isinstance(applied, list) and not kind.atomic_list:
        return _merged_items(live, applied, kind) or applied
    return applied


def pruned(value: Any, last: FieldSet, managed: FieldSet, kind: Type) -> Any:
    """Without what one manager applied last and nobody (itself included) claims any more."""
    before, claims = _with_named(last, kind), _with_named(managed, kind)
    if before <= claims:
        return value
    everything = _with_named(claimed(value, kind), kind)
    left = _without(value, tree(before), kind)
    left = _without(value, tree(everything - _with_named(claimed(left, kind), kind) - claims), kind)
    return _without(value, tree((everything - _with_named(claimed(left, kind), kind)) & before), kind)


@lru_cache(maxsize=4096)
def tree(fields: FieldSet) -> dict[str, Any]:
    """FieldsV1: steps that lead to others, with `.` where a path that others begin with is itself in the set. Shared by
    all who ask, and never to be changed."""
    root: dict[str, Any] = {}
    for path in ordered(fields):
        node = root
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _plain(root)


def ordered(fields: FieldSet) -> list[Path]:
    """As the API server goes through them: of one map or list first what is owned itself, then what leads further."""
    return sorted(fields, key=lambda path: [(n < len(path), "fkvi".index(s[0]), s) for n, s in enumerate(path, 1)])


def text(path: Path) -> str:
    """As the API server names it in a conflict: `.spec.containers[name="server"].image`."""
    return "".join(_step_text(step) for step in path)


def _claimed(value: Any, kind: Type, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and not kind.atomic_map:
        for key, below in value.items():
            at = kind.at(key)
            here = (*path, f"f:{key}")
            if at is None:
                raise UnknownField(here)
            yield from _claimed(below, at, here)
            if not kind.named(key) or below is None or below == {}:
                yield here
    elif isinstance(value, list) and not kind.atomic_list:
        for step, item in zip(_steps(value, kind), value, strict=True):
            yield from _claimed(item, kind.item, (*path, step))
            yield (*path, step)
    else:
        yield path


def _compare(old: Any, new: Any, kind: Type, path: Path, into: Comparison) -> None:
    if old == new:
        return
    sides = [side for side in (old, new) if side is not _ABSENT]
    if all(isinstance(side, Mapping) for side in sides) and not kind.atomic_map and any(sides):
        left, right = ({} if side is _ABSENT else side for side in (old, new))
        for key in {**left, **right}:
            below = kind.at(key) or UNTYPED
            _compare(left.get(key, _ABSENT), right.get(key, _ABSENT), below, (*path, f"f:{key}"), into)
    elif all(isinstance(side, list) for side in sides) and not kind.atomic_list and any(sides):
        left, right = (
            {} if side is _ABSENT else dict(zip(_steps(side, kind), side, strict=True)) for side in (old, new)
        )
        for step in {**left, **right}:
            _compare(left.get(step, _ABSENT), right.get(step, _ABSENT), kind.item, (*path, step), into)
    elif len(sides) == 2:
        into.modified.add(path)  # type: ignore[attr-defined]
    if old is _ABSENT:
        into.added.add(path)  # type: ignore[attr-defined]
    if new is _ABSENT:
        into.removed.add(path)  # type: ignore[attr-defined]


def _merged_items(live: list[Any], applied: list[Any], kind: Type) -> list[Any]:
    """In the order of the applied list, with the live list's other items where they stood among the shared ones."""
    left, right = (dict(zip(_steps(side, kind), side, strict=True)) for side in (live, applied))
    waiting, steps = list(left), list(right)
    shared = [step for step in steps if step in left]
    found: list[str] = []
    while waiting or steps:
        if waiting and steps:
            if waiting[0] == steps[0]:
                waiting.pop(0)
                found.append(steps.pop(0))
                shared = shared[1:]
                continue
            if waiting[0] in right and shared and shared[0] != waiting[0]:
                waiting.pop(0)
                continue
        if waiting and waiting[0] not in right:
            found.append(waiting.pop(0))
            continue
        if waiting and waiting[0] in found:
            waiting.pop(0)
        if steps:
            shared = shared[1:] if shared and shared[0] == steps[0] else shared
            found.append(steps.pop(0))
    return [merged(left.get(step, _ABSENT), right.get(step, _ABSENT), kind.item) for step in found]


def _with_named(fields: FieldSet, kind: Type) -> FieldSet:
    """With every declared field that leads to one of them."""
    found = set(fields)
    for path in fields:
        here: Type | None = kind
        for length, step in enumerate(path[:-1], 1):
            if here is None:
                break
            if step.startswith("f:"):
                if here.named(step[2:]):
                    found.add(path[:length])
                here = here.at(step[2:])
            else:
                here = here.item
    return frozenset(found)


def _without(value: Any, gone: Mapping[str, Any], kind: Type) -> Any:
    """The value without those fields; None where nothing is left of it."""
    if isinstance(value, Mapping) and not kind.atomic_map:
        kept = {
            key: _without(below, gone[f"f:{key}"], kind.at(key) or UNTYPED) if f"f:{key}" in gone else below
            for key, below in value.items()
            if not _itself(gone.get(f"f:{key}"))
        }
        return {key: below for key, below in kept.items() if below is not None} or None
    if isinstance(value, list) and not kind.atomic_list:
        items = [
            _without(item, gone[step], kind.item) if step in gone else item
            for step, item in zip(_steps(value, kind), value, strict=True)
            if not _itself(gone.get(step))
        ]
        return items or None
    return value


def _itself(node: Mapping[str, Any] | None) -> bool:
    """Whether the path to this node is in the set."""
    return node is not None and (not node or "." in node)


def _steps(items: list[Any], kind: Type) -> list[str]:
    return [_step(item, kind) for item in items]


def _step(item: Any, kind: Type) -> str:
    if not kind.keys:
        return f"v:{json.dumps(item)}"
    keys = {key: item.get(key, kind.item.default(key)) for key in sorted(kind.keys)}
    return "k:" + json.dumps({k: v for k, v in keys.items() if v is not None}, separators=(",", ":"))


def _plain(node: dict[str, Any]) -> dict[str, Any]:
    return {} if node.keys() == {"."} else {key: _plain(below) for key, below in node.items()}


@lru_cache(maxsize=1024)
def _step_text(step: str) -> str:
    kind, content = step[:2], step[2:]
    if kind == "f:":
        return f".{content}"
    if kind == "k:":
        return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(content).items()) + "]"
    return f"[={content}]"

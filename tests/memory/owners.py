"""The owners of an object's fields: what a write adds to one's and takes from others', and whom it would offend. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tests.memory import fields
from tests.memory.fields import NONE, FieldSet, compared
from tests.memory.schema import Type, type_of

Json = Mapping[str, Any]

NEVER_OWNED = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in ("name", "namespace", "creationTimestamp", "uid", "generation", "resourceVersion")
    }
)


class Manager(NamedTuple):
    """Who wrote, and how."""

    name: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        through = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.name}"{through}'


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns, and when that last changed the object (empty: it never did)."""

    fields: FieldSet
    time: str


Managers = Mapping[Manager, Owned]


class Conflicts(Exception):  # noqa: N818 - an answer, not a mistake
    """Fields that others own, and that an apply without force would take from them."""

    def __init__(self, found: Mapping[Manager, FieldSet]) -> None:
        self.causes: list[Json] = []
        for manager in sorted(found):
            how = f" using {manager.api_version}" if manager.operation == "Update" else ""
            said = {"reason": "FieldManagerConflict", "message": f"conflict with {manager}{how}"}
            self.causes += [{**said, "field": fields.text(path)} for path in fields.ordered(found[manager])]
        super().__init__(_sentence(self.causes))


def updated(
    old: Json | None, new: Json, managers: Managers, name: str, now: str, subresource: str
) -> dict[Manager, Owned]:
    """After a POST, a PUT or a patch that is no apply: whoever changes a field owns it."""
    if old is not None and not managers:
        return {}  # an object whose fields nobody owns stays so until it is applied
    me = Manager(name, "Update", new["apiVersion"], subresource)
    difference = _difference(old or {}, new, subresource)
    mine = frozenset(difference.added | difference.modified) - NEVER_OWNED
    kept = _taken_from(managers, difference, but=None)
    if mine:
        before = kept[me].fields if me in kept else NONE
        kept[me] = Owned(before | mine, now)
    return kept


def applied(
    live: Json, config: Json, managers: Managers, name: str, now: str, subresource: str, *, force: bool
) -> tuple[Json, dict[Manager, Owned]]:
    """After an apply: the object and its owners. Raises Conflicts and fields.UnknownField."""
    kind = _kind(config)
    if live and not managers:
        managers = updated(None, live, {}, "before-first-apply", now, "")
    me = Manager(name, "Apply", config["apiVersion"], subresource)
    last = managers.get(me, Owned(NONE, ""))
    mine = _counted(fields.claimed(config, kind), subresource)
    all_claims = mine.union(*(owned.fields for manager, owned in managers.items() if manager != me))
    new = fields.pruned(fields.merged(live, config, kind), last.fields, all_claims, kind)
    difference = _difference(live, new, subresource)
    taken = {
        manager: lost
        for manager, owned in managers.items()
        if manager != me and (lost := owned.fields & (difference.modified | difference.added))
    }
    if taken and not force:
        raise Conflicts(taken)
    kept = _taken_from(managers, difference, but=me)
    kept.pop(me, None)
    if owned_now := mine - NEVER_OWNED:
        kept[me] = Owned(owned_now, now if new != live else last.time)
    return new, kept


def documented(managers: Managers) -> dict[str, Any]:
    """As `metadata.managedFields` shows them."""
    entries = [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.tree(owned.fields),
        }
        | ({"time": owned.time} if owned.time else {})
        | ({"subresource": manager.subresource} if manager.subresource else {})
        for manager, owned in sorted(managers.items())
    ]
    return {"managedFields": entries} if entries else {}


def _taken_from(managers: Managers, difference: fields.Comparison, but: Manager | None) -> dict[Manager, Owned]:
    """The managers with what was removed or written anew taken from them, all but one; those that own nothing are gone."""
    gone = difference.removed | difference.modified | difference.added
    left = {
        manager: replace(owned, fields=owned.fields - gone) if manager != but else owned
        for manager, owned in managers.items()
    }
    return {manager: owned for manager, owned in left.items() if owned.fields}


def _difference(old: Json, new: Json, subresource: str) -> fields.Comparison:
    found = compared(old, new, _kind(new))
    return fields.Comparison(*(_counted(paths, subresource) for paths in found))


def _counted(paths: FieldSet, subresource: str) -> FieldSet:
    """What a request to this endpoint can be about at all."""
    about_status = subresource == "status"
    return frozenset(path for path in paths if (path[0] == "f:status") == about_status)


def _kind(document: Json) -> Type:
    return type_of(document["apiVersion"], document["kind"])


def _sentence(causes: list[Json]) -> str:
    if len(causes) == 1:
        return f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause["message"].removeprefix("conflict with "), []).append(f"- {cause['field']}")
    lines = [line for who, paths in by_manager.items() for line in (f"conflicts with {who}:", *paths)]
    return f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)

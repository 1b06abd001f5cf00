"""An API server in memory: the verbs that the operator and its users need, with the answers that the real one gives.

It knows server-side apply, preconditions, finalizers, status subresources, paged LISTs and watches; no admission but a
namespace that is being deleted and what a test puts into `admit`, no validation beyond immutable ConfigMaps, and no
defaults for built-in kinds. tests/memory/test_contract.py compares it with the real one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from modelport.kube import kinds
from modelport.kube.kinds import NAMESPACE, Kind
from tests.memory.fields import FieldSet, UnknownField
from tests.memory.history import Change, History, Selector, Watch
from tests.memory.owners import Conflicts, Manager, Managers, applied, documented, updated
from tests.memory.requests import (
    Json,
    Place,
    Refusal,
    Request,
    another_to_delete,
    another_to_write,
    immutable,
    modified,
    nobody_there,
    not_found,
    not_of_the_schema,
    terminating,
)
from tests.memory.schema import type_of

_GENERATIONS = frozenset({"Deployment", "ReplicaSet", "ModelDeployment", "Pod"})
"""Kinds whose generation counts the changes of their specs."""


@dataclass(frozen=True)
class Stored:
    """An object and who owns its fields. Never changed: a write puts another in its place."""

    body: Json
    managers: Managers

    @cached_property
    def document(self) -> dict[str, Any]:
        """As it is answered."""
        body = self.read
        return {**body, "metadata": {**body["metadata"], **documented(self.managers)}}

    @cached_property
    def read(self) -> Json:
        """As it is decoded; a custom resource's status has its defaults, which are not kept before the next write."""
        return defaulted(self.body)


@dataclass
class Server:
    """`request` is what an HTTP client would see; everything else is for the test that holds the server in its hands."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    admit: Callable[[Request], None] = lambda request: None
    """Called for every request to one object; what it raises is the answer."""
    written: Callable[[Request, Json | None, Json | None], None] = lambda request, before, after: None
    """Told of every request that changed something."""
    clock: Callable[[], float] = time.monotonic
    objects: dict[Place, Stored] = field(default_factory=dict)
    history: History = field(init=False)
    _pages: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.clock)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", user: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Status and document, as ClusterApi.request gives them for the real one."""
        try:
            return self._answer(Request.of(method, path, body, content_type, user))
        except Refusal as refusal:
            return refusal.code, refusal.document

    def watch(self, path: str) -> Watch:
        """A watch on a collection, to be read event by event."""
        asked = Request.of("GET", path)
        selector = Selector(asked.query.get("labelSelector", ""))
        since, seconds = int(asked.query["resourceVersion"]), float(asked.query.get("timeoutSeconds", 1800))
        return Watch(self.history, asked.place.kind, asked.place.namespace or None, selector, since, seconds)

    def find(self, kind: Kind, namespace: str = "", name: str | None = None) -> list[dict[str, Any]]:
        """Objects of a kind as they are, in the order of their names."""
        found = [
            (place.namespace, place.name, stored)
            for place, stored in self.objects.items()
            if place.kind == kind and namespace in ("", place.namespace) and name in (None, place.name)
        ]
        return [stored.document for _, _, stored in sorted(found, key=lambda one: one[:2])]

    def expire_pages(self) -> None:
        """LISTs that are not read to their end cannot go on."""
        self._pages.clear()

    def _answer(self, asked: Request) -> tuple[int, dict[str, Any]]:
        if not asked.place.name and asked.method == "GET":
            return 200, self._list(asked)
        self.admit(asked)
        if asked.method == "POST":
            if asked.place in self.objects:
                raise Refusal(409, "AlreadyExists", f"{asked.place.text} already exists")
            body = self._made_whole(asked)
            return 201, self._create(asked, body, updated(None, body, {}, asked.manager, self._stamp(), ""))
        old = self.objects.get(asked.place)
        if asked.applies:
            return self._apply(asked, old)
        if old is None:
            raise not_found(asked.place)
        if asked.method == "GET":
            return 200, old.document
        if asked.method == "DELETE":
            return 200, self._delete(asked, old)
        new = asked.body if asked.method == "PUT" else merge_patched(old.document, asked.body)
        new = defaulted(_without_managed_fields(new))
        kept = updated(old.read, new, old.managers, asked.manager, self._stamp(), asked.subresource)
        return 200, self._update(asked, old, new, kept)

    @staticmethod
    def _made_whole(asked: Request) -> Json:
        """What was sent to be created, as the kind's own code prepares it."""
        kind, metadata = asked.place.kind, dict(asked.body["metadata"])
        if kind == NAMESPACE:
            metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
        return defaulted({"apiVersion": kind.api_version, "kind": kind.name, **asked.body, "metadata": metadata})

    def _apply(self, asked: Request, old: Stored | None) -> tuple[int, dict[str, Any]]:
        if old is None and asked.subresource:
            raise not_found(asked.place)
        metadata = asked.body["metadata"]
        config = {**asked.body, "metadata": {**metadata, "name": asked.place.name}}
        force = asked.query.get("force") == "true"
        live = old.read if old is not None else {}
        managers = old.managers if old is not None else {}
        try:
            new, kept = applied(live, config, managers, asked.manager, self._stamp(), asked.subresource, force=force)
            new = defaulted(new)
        except UnknownField as unknown:
            raise not_of_the_schema(asked.place, asked.body, unknown) from None
        except Conflicts as conflicts:
            raise Refusal(409, "Conflict", str(conflicts), conflicts.causes) from None
        if old is not None:
            return 200, self._update(asked, old, new, kept)
        if "uid" in metadata:
            raise nobody_there(asked.place, metadata["uid"])
        return 201, self._create(asked, new, kept)

    def _create(self, asked: Request, body: Json, managers: Managers) -> dict[str, Any]:
        place = asked.place
        self._take_nothing_new(place)
        kind = place.kind
        metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
        metadata |= {"name": place.name, "uid": str(uuid.uuid4()), "creationTimestamp": self._stamp()}
        metadata |= {"namespace": place.namespace} if kind != NAMESPACE else {}
        metadata |= {"generation": 1} if kind.name in _GENERATIONS else {}
        new = {**body, "metadata": _tidy(metadata)}
        new.pop("status", None)
        if kind == NAMESPACE:
            new |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        return self._store(asked, None, new, managers)

    def _update(self, asked: Request, old: Stored, new: Json, managers: Managers) -> dict[str, Any]:
        place, had, metadata = asked.place, old.body["metadata"], new["metadata"]
        if metadata.get("resourceVersion", had["resourceVersion"]) != had["resourceVersion"]:
            raise modified(place)
        was = old.read
        if asked.subresource == "status":
            new = {**was, "status": new.get("status")}
        elif metadata.get("uid", had["uid"]) != had["uid"]:
            raise another_to_write(place, metadata["uid"])
        else:
            new = {**new, "status": was.get("status")}
        metadata = {**new["metadata"], **{key: had[key] for key in _FIXED if key in had}}
        new = {key: value for key, value in {**new, "metadata": _tidy(metadata)}.items() if value is not None}
        if _counted(new) != _counted(was):
            if was.get("immutable"):
                raise immutable(place, "data" if new.get("immutable") else "immutable")
            if "generation" in had:
                new["metadata"]["generation"] = had["generation"] + 1
        if "deletionTimestamp" in had and not new["metadata"].get("finalizers") and place.kind != NAMESPACE:
            return self._remove(asked, Stored(new, managers))
        if new == old.body and _sets(managers) == _sets(old.managers):
            return old.document
        return self._store(asked, old, new, managers)

    def _delete(self, asked: Request, old: Stored) -> dict[str, Any]:
        metadata, wanted = old.body["metadata"], (asked.body.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != metadata["uid"]:
            raise another_to_delete(asked.place, wanted, metadata["uid"])
        ends = asked.place.kind == NAMESPACE
        if not metadata.get("finalizers") and not ends:
            self._remove(asked, old)
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        if "deletionTimestamp" in metadata:
            return old.document
        more = {"deletionTimestamp": self._stamp()} | ({} if ends else {"deletionGracePeriodSeconds": 0})
        more |= {"generation": metadata["generation"] + 1} if "generation" in metadata else {}
        body = {**old.read, "metadata": {**metadata, **more}} | ({"status": {"phase": "Terminating"}} if ends else {})
        return self._store(asked, old, body, old.managers)

    def remove(self, place: Place) -> None:
        """Take the object away, whatever finalizers it has, as the controllers do at the end."""
        self._remove(Request("DELETE", place), self.objects[place])

    def _remove(self, asked: Request, last: Stored) -> dict[str, Any]:
        before = self.objects.pop(asked.place).document
        self._tell(asked, before, None, self.history.version + 1)
        return last.document

    def _store(self, asked: Request, old: Stored | None, body: Json, managers: Managers) -> dict[str, Any]:
        version = self.history.version + 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
        new = self.objects[asked.place] = Stored(body, managers)
        self._tell(asked, old.document if old is not None else None, new.document, version)
        return new.document

    def _tell(self, asked: Request, before: Json | None, after: Json | None, version: int) -> None:
        self.history.tell(Change(version, self.clock(), asked.place.kind, asked.place.namespace, before, after))
        self.written(asked, before, after)

    def _list(self, asked: Request) -> dict[str, Any]:
        token, limit = asked.query.get("continue"), int(asked.query.get("limit", 0)) or None
        if token is None:
            selector = Selector(asked.query.get("labelSelector", ""))
            found = self.find(asked.place.kind, asked.place.namespace)
            version, items = self.history.version, [item for item in found if selector.takes(item)]
            items = [] if "fieldSelector" in asked.query else items
        elif token in self._pages:
            version, items = self._pages[token]
        else:
            raise Refusal(
                410, "Expired", "The provided continue parameter is too old to display a consistent list result."
            )
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if limit is not None and len(items) > limit:
            metadata["continue"] = str(uuid.uuid4())
            if not asked.query.get("labelSelector"):
                metadata["remainingItemCount"] = len(items) - limit
            self._pages[metadata["continue"]] = (version, items[limit:])
        kind = asked.place.kind
        return {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": items[:limit],
        }

    def _take_nothing_new(self, place: Place) -> None:
        """A namespace that is not there, or on its way out."""
        if place.kind == NAMESPACE:
            return
        namespace = self.objects.get(Place(NAMESPACE, "", place.namespace))
        if namespace is None:
            raise not_found(Place(NAMESPACE, "", place.namespace))
        if "deletionTimestamp" in namespace.body["metadata"]:
            raise terminating(place)

    def _stamp(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def defaulted(body: Json) -> Json:
    """With the CRD's defaults, and of a Deployment the one that is decided on: its replicas."""
    if body["kind"] == kinds.MODEL_DEPLOYMENT.name:
        return dict(type_of(body["apiVersion"], body["kind"]).with_defaults(body))
    if body["kind"] == kinds.DEPLOYMENT.name and "replicas" not in body["spec"]:
        return {**body, "spec": {**body["spec"], "replicas": 1}}
    return body


_FIXED = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def merge_patched(document: Any, patch: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    before = document if isinstance(document, Mapping) else {}
    changed = {key: merge_patched(before.get(key), value) for key, value in patch.items() if value is not None}
    return {key: value for key, value in before.items() if key not in patch} | changed


def _without_managed_fields(document: Json) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": _tidy(metadata)}


def _tidy(metadata: Json) -> dict[str, Any]:
    """Empty maps and lists are not kept."""
    return {key: value for key, value in metadata.items() if value not in (None, {}, [])}


def _counted(body: Json) -> Json:
    """What the generation counts; a Deployment's annotations are among it."""
    notes = body["metadata"].get("annotations") if body["kind"] == "Deployment" else None
    return {**{key: value for key, value in body.items() if key not in ("metadata", "status")}, "annotations": notes}


def _sets(managers: Managers) -> dict[Manager, FieldSet]:
    return {manager: owned.fields for manager, owned in managers.items()}

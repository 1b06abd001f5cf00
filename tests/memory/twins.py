"""The server in memory beside the real one: the same requests go to both, and their answers are compared.

What cannot be equal (uids, versions, moments) is compared by what it says: the same object, written anew, set. What only
the real server fills in (defaults of built-in kinds) is left out by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any, Protocol

from modelport.kube.kinds import Kind

Json = Mapping[str, Any]
APPLY, MERGE, PLAIN = "application/apply-patch+yaml", "application/merge-patch+json", "application/json"
NOBODY = "00000000-0000-0000-0000-000000000000"

_DEFAULTS = frozenset(
    "terminationMessagePath terminationMessagePolicy imagePullPolicy dnsPolicy restartPolicy schedulerName securityContext "
    "terminationGracePeriodSeconds progressDeadlineSeconds revisionHistoryLimit strategy resources protocol clusterIP "
    "clusterIPs internalTrafficPolicy ipFamilies ipFamilyPolicy sessionAffinity type targetPort status scheme "
    "successThreshold timeoutSeconds periodSeconds failureThreshold defaultMode serviceAccount apiVersion".split()
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Api(Protocol):
    """How both are asked."""

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = PLAIN
    ) -> tuple[int, dict[str, Any]]:
        """Status and document."""


@dataclass(frozen=True)
class Operation:
    """One request about one object. `uid` and `version` are preconditions: of the object that was seen last (`right`), of
    an earlier one (`stale`), of nobody, or as they stand."""

    method: str
    body: Json = field(default_factory=dict)
    content_type: str = PLAIN
    query: str = ""
    subresource: str = ""
    uid: str = ""
    version: str = ""


def apply(body: Json, manager: str = "modelport", *, force: bool = True, **more: str) -> Operation:
    """Server-side apply."""
    query = f"fieldManager={manager}&force={'true' if force else 'false'}"
    return Operation("PATCH", body, APPLY, query, **more)


def patch(body: Json, manager: str = "somebody") -> Operation:
    """A merge patch."""
    return Operation("PATCH", body, MERGE, f"fieldManager={manager}")


@dataclass
class Side:
    """One of the two, and what it has answered about the object so far."""

    api: Api
    kind: Kind
    namespace: str
    name: str
    uids: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)

    def does(self, operation: Operation) -> tuple[int, Any]:
        """The answer, so that it can be compared."""
        path = self.kind.path(
            self.namespace or None, None if operation.method == "POST" else self.name, operation.subresource or None
        )
        body = self._body(operation) if operation.method != "GET" else None
        code, document = self.api.request(operation.method, f"{path}?{operation.query}", body, operation.content_type)
        if operation.method == "DELETE" and code == 200 and "deletionTimestamp" not in document.get("metadata", {}):
            return code, "it is gone"  # what it looked like last is told of some kinds, and read by nobody
        return code, self.comparable(document)

    def comparable(self, document: Json) -> Any:
        """The document without what differs for no reason."""
        if "uid" not in document.get("metadata", {}):
            return self._refusal(document)
        metadata = dict(document["metadata"])
        self._remember(self.uids, metadata["uid"])
        new = self._remember(self.versions, metadata["resourceVersion"])
        metadata |= {"uid": self.uids.index(metadata["uid"]), "resourceVersion": "new" if new else "old"}
        entries = [self._entry(entry) for entry in metadata.get("managedFields") or ()]
        metadata["managedFields"] = sorted(entries, key=str)
        for moment in ("creationTimestamp", "deletionTimestamp"):
            metadata[moment] = moment in metadata
        return {**document, "metadata": metadata}

    def _body(self, operation: Operation) -> Json:
        seen = {"right": -1, "stale": 0}
        preconditions = {
            "uid": (operation.uid, self.uids, NOBODY),
            "resourceVersion": (operation.version, self.versions, "1"),
        }
        values = {
            name: (known[seen[wish]] if known else other) if wish in seen else wish
            for name, (wish, known, other) in preconditions.items()
            if wish
        }
        if operation.method == "DELETE":
            return {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": values} if values else {}
        metadata = {**operation.body.get("metadata", {}), **values}
        whole = operation.content_type != MERGE
        kind = {"apiVersion": self.kind.api_version, "kind": self.kind.name} if whole else {}
        return {**kind, **operation.body, "metadata": metadata | ({"name": self.name} if whole else {})}

    def _refusal(self, status: Json) -> Any:
        """What the operator reads of a refusal: its sentence and its causes."""
        details = status.get("details") or {}
        causes = {
            tuple((key, self._words(cause.get(key, ""))) for key in ("reason", "field", "message"))
            for cause in details.get("causes") or ()
        }
        return {
            "reason": status.get("reason", ""),
            "message": self._words(status.get("message", "")),
            "causes": sorted(causes),
        }

    def _words(self, text: str) -> str:
        for number, uid in enumerate(self.uids):
            text = text.replace(uid, f"<uid {number}>")
        return _MOMENT.sub("<moment>", text)

    def _entry(self, entry: Json) -> Json:
        said = {key: entry.get(key, "") for key in ("manager", "operation", "apiVersion", "subresource", "fieldsV1")}
        said["time"] = "time" in entry
        return (
            said
            if entry["operation"] == "Apply" or self.kind.name in _WITHOUT_DEFAULTS
            else said | {"fieldsV1": "with defaults"}
        )

    @staticmethod
    def _remember(known: list[str], value: str) -> bool:
        if value in known:
            return False
        known.append(value)
        return True


_WITHOUT_DEFAULTS = frozenset({"ConfigMap", "ModelDeployment"})


@dataclass
class Twins:
    """Both sides of one object."""

    real: Side
    memory: Side

    def do(self, *operations: Operation) -> None:
        """Each request to both. Raises AssertionError where their answers differ."""
        for operation in operations:
            expected, found = self.real.does(operation), self.memory.does(operation)
            expected = (expected[0], _like(expected[1], found[1]))
            if found != expected:
                real, memory = (json.dumps(one, indent=1, sort_keys=True).splitlines() for one in (expected, found))
                lines = unified_diff(real, memory, "real", "memory", lineterm="")
                raise AssertionError("\n".join([str(operation), *lines]))


def _like(real: Any, memory: Any) -> Any:
    """The real document without the defaults that the other does not have."""
    if isinstance(real, Mapping) and isinstance(memory, Mapping):
        return {
            key: _like(value, memory.get(key)) for key, value in real.items() if key in memory or key not in _DEFAULTS
        }
    if isinstance(real, list) and isinstance(memory, list) and len(real) == len(memory):
        return [_like(*pair) for pair in zip(real, memory, strict=True)]
    return real


def comparable_events(events: list[Json], kind: Kind) -> list[tuple[str, Any]]:
    """Watch events in their order, as what they say of which object."""
    sides: dict[str, Side] = {}

    def one(document: Json) -> Any:
        name = document["metadata"]["name"]
        side = sides.setdefault(name, Side(_Nobody(), kind, "", name))
        said = side.comparable(document)
        return said["metadata"] if kind.name not in _WITHOUT_DEFAULTS else said

    return [(event["type"], one(event["object"])) for event in events]


class _Nobody:
    """Is never asked."""

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = PLAIN
    ) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError

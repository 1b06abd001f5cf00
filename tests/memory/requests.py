"""What is asked of the server in memory: a request taken apart, and the answers that refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from modelport.kube import kinds
from modelport.kube.kinds import Kind

Json = Mapping[str, Any]

_KINDS = {
    (kind.api_version, kind.plural): kind
    for kind in (*kinds.WATCHED, kinds.MODEL_DEPLOYMENT, kinds.NAMESPACE, kinds.EVENT, kinds.LEASE)
}
_CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is kept."""

    kind: Kind
    namespace: str
    name: str

    @property
    def text(self) -> str:
        """As the API server names it in a sentence."""
        return f'{self.kind.plural}{_of_group(self.kind)} "{self.name}"'

    @property
    def text_by_kind(self) -> str:
        """As it does in other sentences."""
        return f'{self.kind.name}{_of_group(self.kind)} "{self.name}"'


@dataclass(frozen=True, slots=True)
class Request:
    """One request about one object, or about a collection, where the place has no name."""

    method: str
    place: Place
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    content_type: str = ""
    user: str = ""

    @classmethod
    def of(cls, method: str, path: str, body: Any = None, content_type: str = "", user: str = "") -> Request:
        """Take it apart. Raises Refusal where nothing is served."""
        url = urlsplit(path)
        parts = url.path.strip("/").split("/")
        api_version, rest = ("/".join(parts[1:3]), parts[3:]) if parts[0] == "apis" else (parts[1], parts[2:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = _KINDS.get((api_version, rest[0]))
        if kind is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        name, subresource = (*rest[1:], "", "")[:2]
        if method == "POST" and not name:
            name = body["metadata"]["name"]
        place, query = Place(kind, namespace, name), dict(parse_qsl(url.query))
        return cls(method, place, subresource, query, body or {}, content_type, user)

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager") or "unknown"

    @property
    def applies(self) -> bool:
        """Whether it is a server-side apply."""
        return self.content_type.startswith("application/apply-patch")


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake
    """Any answer but success."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.document = status(code, reason, message, {"causes": causes} if causes else None)


def status(code: int, reason: str, message: str, details: Json | None = None) -> dict[str, Any]:
    """How the API server says that something went wrong."""
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return {**said, "reason": reason, "code": code} | ({"details": details} if details else {})


def as_metadata(document: Json) -> Json:
    """An object, or a LIST of them, for those who asked for no more than metadata."""
    if "items" in document:
        items = [as_metadata(item) for item in document["items"]]
        return {**_METADATA_ONLY, "kind": "PartialObjectMetadataList", "metadata": document["metadata"], "items": items}
    return {**_METADATA_ONLY, "metadata": document["metadata"]}


_METADATA_ONLY = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def not_found(place: Place) -> Refusal:
    """Nothing is there."""
    return Refusal(404, "NotFound", f"{place.text} not found")


def modified(place: Place) -> Refusal:
    """It has another version than the one that was meant."""
    return Refusal(409, "Conflict", f"Operation cannot be fulfilled on {place.text}: {_CHANGED}")


def nobody_there(place: Place, uid: str) -> Refusal:
    """An apply meant an object with that uid, and there is none."""
    said = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
    return Refusal(409, "Conflict", f"Operation cannot be fulfilled on {place.text}: {said}")


def another_to_delete(place: Place, wanted: str, uid: str) -> Refusal:
    """A deletion meant an object with another uid."""
    said = f"the UID in the precondition ({wanted}) does not match the UID in record ({uid}). "
    said += "The object might have been deleted and then recreated"
    return Refusal(409, "Conflict", f"Operation cannot be fulfilled on {place.text_by_kind}: {said}")


def another_to_write(place: Place, wanted: str) -> Refusal:
    """A write meant an object with another uid."""
    return _invalid(place, "metadata.uid", "FieldValueInvalid", f'Invalid value: "{wanted}": field is immutable')


def immutable(place: Place, path: str) -> Refusal:
    """The ConfigMap says that it is never changed."""
    return _invalid(place, path, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")


def terminating(place: Place) -> Refusal:
    """Its namespace is on its way out."""
    ends = f"namespace {place.namespace} is being terminated"
    cause = {"reason": "NamespaceTerminating", "message": ends, "field": "metadata.namespace"}
    said = f"unable to create new content in namespace {place.namespace} because it is being terminated"
    return Refusal(403, "Forbidden", f"{place.text} is forbidden: {said}", [cause])


def not_of_the_schema(place: Place, config: Json, what: Exception) -> Refusal:
    """An apply has a field that the kind does not have."""
    group, _, version = place.kind.api_version.rpartition("/")
    where = f"{config['metadata'].get('namespace', '')}/{place.name}; {group}/{version}, Kind={place.kind.name}"
    return Refusal(500, "", f"failed to create typed patch object ({where}): {what}")


def no_right(place: Place, verb: str, user: str) -> Refusal:
    """The user's roles lack a verb."""
    group = place.kind.api_version.rpartition("/")[0]
    what = f'User "{user}" cannot {verb} resource "{place.kind.plural}" in API group "{group}"'
    return Refusal(403, "Forbidden", f'{place.text} is forbidden: {what} in the namespace "{place.namespace}"')


def _invalid(place: Place, path: str, reason: str, said: str) -> Refusal:
    cause = {"reason": reason, "message": said, "field": path}
    return Refusal(422, "Invalid", f"{place.text_by_kind} is invalid: {path}: {said}", [cause])


def _of_group(kind: Kind) -> str:
    group = kind.api_version.rpartition("/")[0]
    return f".{group}" if group else ""

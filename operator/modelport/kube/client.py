"""What the operator asks of the API server, as a protocol and as its implementation on plain JSON.

It must never decide: no ownership, no comparison, no retry beyond the transport's. Every write passes the gate first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from modelport.api.names import FIELD_MANAGER
from modelport.kube.errors import NotFound, error
from modelport.kube.kinds import EVENT, MODEL_DEPLOYMENT, POD, Kind
from modelport.kube.transport import Gate, Transport, decode

Json = Mapping[str, Any]
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_PAGE = 200  # objects of a LIST that are fetched at a time; each is decoded when it is looked at
_STREAM_SECONDS = 540  # the API server ends a watch then; it is continued where it ended
_MOUNTS = frozenset({"FailedMount", "FailedAttachVolume"})  # of the kubelet, and of the controller that attaches
_SILENCE = 75.0  # bookmarks come every minute


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a LIST; all parts are of one moment."""

    items: Iterable[dict[str, Any]]
    """To be gone through once: each is decoded when it is looked at, so that bodies never pile up."""
    resource_version: str


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continues: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    """An answer whose objects are not decoded yet."""

    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


_LIST = msgspec.json.Decoder(_List)


def take_apart(content: bytes) -> _List:
    """What a LIST answers; raises ValueError if it is something else."""
    return _LIST.decode(content)


class Cluster(Protocol):
    """The API server, as far as the operator needs it. Methods raise kube.errors.ApiError."""

    async def apply(
        self, kind: Kind, namespace: str, manifest: Json, *, precondition: Mapping[str, str], force: bool = True
    ) -> Json:
        """Server-side apply; `precondition` goes into the metadata: resourceVersion "1" creates and never merges,
        uid writes only the object that was seen."""

    async def apply_status(self, namespace: str, name: str, version: str, status: Json) -> Json:
        """Replace what we own of a ModelDeployment's status, if it still has that resource version; the whole object
        comes back. The API server does not look at a uid here: a status would go to whoever has the name now."""

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete that very object; one that is gone is fine."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Json:
        """One object."""

    def pages(self, kind: Kind, namespace: str | None, selector: str) -> AsyncGenerator[Page, None]:
        """All objects that the label selector takes, part by part."""

    def everything(
        self, kind: Kind, namespace: str | None = None, query: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncGenerator[Json, None]:
        """All objects of a kind, whosever they are; each is decoded when its turn comes."""

    def events(self, kind: Kind, namespace: str | None, selector: str, since: str) -> AsyncGenerator[Json, None]:
        """Watch events after a resource version, bookmarks included, until the stream ends."""

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log, at most 64 KiB."""

    async def mount_failures(self, namespace: str, uid: str) -> str:
        """What was told of the volumes of the pod with that uid, which cannot be attached or mounted, a line each."""

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        """Make an object, which is never changed again."""


class ApiCluster:
    """The cluster behind a transport, as far as it is ours: lists and watches leave other namespaces' objects out."""

    def __init__(self, transport: Transport, gate: Gate, ours: Callable[[str], bool] = lambda namespace: True) -> None:
        self._transport = transport
        self._gate = gate
        self._ours = ours

    async def apply(
        self, kind: Kind, namespace: str, manifest: Json, *, precondition: Mapping[str, str], force: bool = True
    ) -> Json:
        body = {**manifest, "metadata": {**manifest["metadata"], **precondition}} if precondition else manifest
        return await self._apply(kind, namespace, body["metadata"]["name"], None, body, force)

    async def apply_status(self, namespace: str, name: str, version: str, status: Json) -> Json:
        body = {
            "apiVersion": MODEL_DEPLOYMENT.api_version,
            "kind": MODEL_DEPLOYMENT.name,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
            "status": status,
        }
        return await self._apply(MODEL_DEPLOYMENT, namespace, name, "status", body, True)

    async def _apply(
        self, kind: Kind, namespace: str, name: str, subresource: str | None, body: Json, force: bool
    ) -> Json:
        answer: Json = await self._transport.request(
            "PATCH",
            kind.path(namespace, name, subresource),
            verb="apply",
            resource=_resource(kind, subresource),
            query={"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"},
            body=body,
            content_type=_APPLY,
            accept=kind.media_type(),
            gate=self._gate,
        )
        return answer

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._transport.request(
                "DELETE",
                kind.path(namespace, name),
                verb="delete",
                resource=kind.plural,
                body=body,
                gate=self._gate,
            )
        except NotFound:
            return

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Json:
        answer: Json = await self._transport.request(
            "GET", kind.path(namespace, name), verb="get", resource=kind.plural, accept=kind.media_type()
        )
        return answer

    async def pages(self, kind: Kind, namespace: str | None, selector: str) -> AsyncGenerator[Page, None]:
        async for answer in self._pages(kind, namespace, {"labelSelector": selector} if selector else {}):
            items = (decode(bytes(item)) for item in answer.items or ())
            ours = (item for item in items if self._ours(item["metadata"]["namespace"]))
            yield Page(ours, answer.metadata.resource_version)

    async def everything(
        self, kind: Kind, namespace: str | None = None, query: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncGenerator[Json, None]:
        async for answer in self._pages(kind, namespace, query):
            for item in answer.items or ():
                yield decode(bytes(item))

    async def _pages(self, kind: Kind, namespace: str | None, query: Mapping[str, str]) -> AsyncGenerator[_List, None]:
        query = {**query, "limit": str(_PAGE)}
        while True:
            answer: _List = await self._transport.request(
                "GET",
                kind.path(namespace),
                verb="list",
                resource=kind.plural,
                query=query,
                accept=kind.media_type("List"),
                read=take_apart,
            )
            yield answer
            if not answer.metadata.continues:
                return
            query["continue"] = answer.metadata.continues

    async def events(self, kind: Kind, namespace: str | None, selector: str, since: str) -> AsyncGenerator[Json, None]:
        query = {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_STREAM_SECONDS),
        } | ({"labelSelector": selector} if selector else {})
        stream = self._transport.lines(
            kind.path(namespace), resource=kind.plural, query=query, accept=kind.media_type(), silence=_SILENCE
        )
        async with stream as content:
            while line := await content.readline():
                event = decode(line)
                if event["type"] == "ERROR":
                    raise error(event["object"].get("code", 500), event["object"])
                if event["type"] == "BOOKMARK" or self._ours(event["object"]["metadata"]["namespace"]):
                    yield event

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        # limitBytes cuts at the front of what tailLines chose, so it is asked for more than is kept.
        query = {"container": container, "tailLines": "500", "limitBytes": str(256 << 10)}
        content: str = await self._transport.request(
            "GET",
            POD.path(namespace, pod, "log"),
            verb="get",
            resource="pods/log",
            query=query | ({"previous": "true"} if previous else {}),
            attempts=1,
            read=lambda content: content.decode(errors="replace"),
        )
        return content[-(64 << 10) :]

    async def mount_failures(self, namespace: str, uid: str) -> str:
        query = {"fieldSelector": f"regarding.uid={uid},type=Warning", "limit": "50"}
        page = await self._transport.request(
            "GET", EVENT.path(namespace), verb="list", resource=EVENT.plural, query=query, attempts=1
        )
        return "\n".join(str(event.get("note") or "") for event in page["items"] if event.get("reason") in _MOUNTS)

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        answer: Json = await self._transport.request(
            "POST", kind.path(namespace), verb="create", resource=kind.plural, body=body, gate=self._gate
        )
        return answer


def _resource(kind: Kind, subresource: str | None) -> str:
    return kind.plural if subresource is None else f"{kind.plural}/{subresource}"

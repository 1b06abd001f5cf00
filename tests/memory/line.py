"""The network between one operator and the API server in memory, in the place of aiohttp's session.

A request takes a moment to arrive and its answer another to come back; each can be late, lost, or something else than the
API server would have said. What was sent arrives, whatever becomes of the sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from tests.memory.clock import VirtualLoop
from tests.memory.history import Watch
from tests.memory.requests import Json, as_metadata, status
from tests.memory.server import Server

WAY = 0.001
_SERVER = "http://memory"
_TOTAL = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. `answer`: the status of a refusal, 0 for a connection that is lost, -1 for none at
    all, 200 for the right one. `carried_out`: the request has its effect all the same. `late`: seconds on its way, `answered_late`: on the way back."""

    answer: int
    carried_out: bool
    late: float = 0.0
    answered_late: float = 0.0
    writes_only: bool = True


@dataclass
class Answer:
    """As much of aiohttp's response as is read."""

    status: int
    document: Json = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Lines | None = None

    async def read(self) -> bytes:
        return orjson.dumps(self.document)


class Lines:
    """A watch, as its reader sees it: silent for too long, it ends."""

    def __init__(self, watch: Watch, silence: float | None, metadata_only: bool) -> None:
        self._watch, self._silence, self._metadata_only = watch, silence, metadata_only

    async def readline(self) -> bytes:
        async with asyncio.timeout(self._silence):
            try:
                event = await self._watch.next()
            except ConnectionResetError as lost:
                raise aiohttp.ClientPayloadError(str(lost)) from lost
        if event is None:
            return b""
        if self._metadata_only and event["type"] != "ERROR":
            event = {**event, "object": as_metadata(event["object"])}
        return orjson.dumps(event) + b"\n"


class Session:
    """One operator's session."""

    def __init__(self, server: Server, wire: VirtualLoop, user: str, sending: Callable[[str, str, Any], None]) -> None:
        """`wire` is where what was sent goes on without its sender; `sending` is told of every request at that moment."""
        self._server, self._wire, self._user, self._sending = server, wire, user, sending
        self.faults: list[Fault] = []
        self.there = self.back = WAY
        """Seconds that every request and every answer takes."""
        self.dead = False

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout = _TOTAL,
        **_: Any,
    ) -> AsyncIterator[Answer]:
        path = url.removeprefix(_SERVER) + (f"?{urlencode(params)}" if params else "")
        metadata_only = "as=PartialObjectMetadata" in headers.get("Accept", "")
        if params and params.get("watch"):
            await asyncio.sleep(self.there)
            watch = self._server.watch(path)
            try:
                yield Answer(200, content=Lines(watch, timeout.sock_read, metadata_only))
            finally:
                watch.close()
            return
        body = orjson.loads(data) if data is not None else None
        self._sending(method, path, body)
        async with asyncio.timeout(timeout.total):
            answer = await self._exchange(method, path, body, headers.get("Content-Type", ""))
        if metadata_only and answer.status < 300:
            answer.document = as_metadata(answer.document)
        yield answer

    async def close(self) -> None:
        """Nothing is open."""

    def _exchange(self, method: str, path: str, body: Any, content_type: str) -> asyncio.Future[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        fault = self._fault(method, path)
        if not self.dead:
            self._wire.call_later(
                self.there + fault.late, self._arrive, answer, fault, method, path, body, content_type
            )
        return answer

    def _fault(self, method: str, path: str) -> Fault:
        """What becomes of this request: nothing goes wrong with the Lease but what concerns all requests."""
        writes = method != "GET" and "/leases" not in path
        chosen = next((fault for fault in self.faults if writes or not fault.writes_only), None)
        if chosen is None:
            return Fault(200, carried_out=True)
        self.faults.remove(chosen)
        return chosen

    def _arrive(
        self, answer: asyncio.Future[Answer], fault: Fault, method: str, path: str, body: Any, content_type: str
    ) -> None:
        found = Answer(200)
        if fault.carried_out:
            found = Answer(*self._server.request(method, path, body, content_type, self._user))
        if fault.answer > 200:
            found = Answer(fault.answer, status(fault.answer, "", "as the test said"))
            found.headers = {"Retry-After": "2"} if fault.answer == 429 else {}
        if fault.answer >= 0:
            self._wire.call_later(
                self.back + fault.answered_late, self._deliver, answer, found if fault.answer else None
            )

    @staticmethod
    def _deliver(answer: asyncio.Future[Answer], found: Answer | None) -> None:
        if answer.done() or answer.get_loop().is_closed():
            return
        if found is None:
            answer.set_exception(aiohttp.ServerDisconnectedError())
        else:
            answer.set_result(found)


class Anyone:
    """The connection of somebody whom the server in memory believes."""

    server = _SERVER
    ssl = proxy = server_hostname = None

    async def authorization(self) -> str | None:
        return None

    async def renew(self) -> bool:
        return False

"""A fault proxy between operator and API server: it reads each request and each answer, and does to them what a test says.

To the operator it is an API server on plain HTTP; to the API server it is the operator, by its certificate. It must never
change a request or an answer that no fault is meant for.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from e2e.cluster.controlplane import ControlPlane
from tests.engine.harness import USER

_KUBECONFIG = """\
{{apiVersion: v1, kind: Config, current-context: p, contexts: [{{name: p, context: {{cluster: p, user: p}}}}],
  clusters: [{{name: p, cluster: {{server: "{server}"}}}}], users: [{{name: p, user: {{}}}}]}}
"""
_OF_THE_CONNECTION = frozenset({"host", "connection", "content-length", "transfer-encoding", "user-agent"})


@dataclass(frozen=True, slots=True)
class Request:
    """What a fault is chosen by."""

    method: str
    path: str
    watch: bool
    at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def resource(self) -> str:
        """The plural: `deployments`, of /apis/apps/v1/namespaces/n/deployments/d/status as well."""
        parts = self.path.strip("/").split("/")[3 if self.path.startswith("/apis/") else 2 :]
        return next(iter(parts[2:] if parts[:1] == ["namespaces"] and len(parts) > 2 else parts), "")

    @property
    def lists(self) -> bool:
        """Whether all objects of a kind are asked for."""
        return self.method == "GET" and not self.watch and self.path.endswith(f"/{self.resource}")

    @property
    def write(self) -> bool:
        """Whether it changes a child or a status; Leases and Events do not count."""
        return self.method != "GET" and self.resource not in ("leases", "events")


class Moment(Enum):
    """When the request that is held reaches the API server."""

    NEVER = auto()
    """The connection is cut before it was sent."""
    LATE = auto()
    """It is sent when it is released, though nobody may wait for the answer any more."""
    AT_ONCE = auto()
    """It is carried out; the answer is held."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The request waits in the proxy until `release`."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class Refuse:
    """The proxy answers in the API server's place."""

    code: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer ever comes; `sent`: though the request is carried out."""

    sent: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset; `sent`: after the request was carried out."""

    sent: bool


Fault = Hold | Refuse | Silence | Cut
Rule = Callable[[Request], Fault | None]


def none(request: Request) -> None:
    """No fault."""


class Stream:
    """A watch that is open."""

    def __init__(self, request: Request, answer: web.StreamResponse, transport: asyncio.Transport | None) -> None:
        self.request, self.answer, self.transport = request, answer, transport
        self.silent = False
        self.over = asyncio.Event()

    def mute(self) -> None:
        """Say nothing more, and do not end."""
        self.silent = True

    @property
    def speaks(self) -> bool:
        """Whether anybody is there to listen, and would be told."""
        return not self.silent and self.transport is not None and not self.transport.is_closing()


class Proxy:
    """Faults by `rule`, for each request; and what is done to open watches."""

    def __init__(
        self, plane: ControlPlane, user_agent: str = "modelport through the proxy", user: str | None = USER
    ) -> None:
        """By the user agent the audit log tells whose requests these were. Without a `user` the operator's token counts."""
        self.rule: Rule = none
        self.held = threading.Event()
        """A request is held."""
        self.landed = threading.Event()
        """The request that was held has been carried out."""
        self.address = ""
        """As long as it serves."""
        self.seen: list[Request] = []
        """Every request so far."""
        self._server, self._user_agent = plane.server, user_agent
        self._streams: set[Stream] = set()
        self._transports: set[asyncio.Transport] = set()
        self._loop: asyncio.AbstractEventLoop
        self._released = asyncio.Event()
        self._over = asyncio.Event()
        self._session: aiohttp.ClientSession
        self._tls = ssl.create_default_context(cafile=str(plane.authority.certificate))
        if user is not None:
            pair = plane.authority.issue(f"{user}-behind-the-proxy", user)
            self._tls.load_cert_chain(pair.certificate, pair.key)

    def hold(self, nth: int, moment: Moment, which: Callable[[Request], bool] = lambda one: one.write) -> None:
        """Hold the nth of these from now on, and all that come after it before they are sent."""
        seen = 0

        def rule(request: Request) -> Fault | None:
            nonlocal seen
            if not which(request):
                return None
            seen += 1
            if seen < nth:
                return None
            return Hold(moment if seen == nth else Moment.NEVER)

        self.held.clear()
        self.landed.clear()
        self._released = asyncio.Event()
        self.rule = rule

    def release(self) -> None:
        """What is held goes on; what comes later passes."""
        self.rule = none
        self._do(self._released.set)

    def stall(self, *resources: str) -> None:
        """The watches of these that are open now say nothing more, and do not end."""

        def mute() -> None:
            for stream in self._of(resources):
                stream.mute()

        self._do(mute)

    def expire(self, *resources: str) -> None:
        """The watches of these that are open now end with 410: their resource version is too old."""
        self._do(lambda: [asyncio.ensure_future(_expire(stream)) for stream in self._of(resources)])

    def cut(self) -> None:
        """All connections of the operator are reset."""
        self._do(self._abort)

    def watched(self, resource: str) -> int:
        """How many watches of it are open and speak."""
        return sum(one.request.resource == resource and one.speaks for one in list(self._streams))

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Its kubeconfig, as long as the block lasts."""
        port: Future[int] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(port)), daemon=True)
        thread.start()
        kubeconfig = folder / "proxy.kubeconfig"
        self.address = f"http://127.0.0.1:{port.result(30)}"
        kubeconfig.write_text(_KUBECONFIG.format(server=self.address))
        yield kubeconfig
        self.release()
        self._do(self._over.set)
        thread.join()

    def _do(self, what: Callable[[], Any]) -> None:
        """In the proxy's own thread; returns when it is done."""

        async def do() -> None:
            what()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(30)

    def _abort(self) -> None:
        for transport in self._transports:
            transport.abort()

    def _of(self, resources: tuple[str, ...]) -> list[Stream]:
        return [stream for stream in list(self._streams) if stream.request.resource in resources]

    async def _serve(self, port: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port.set_result(runner.addresses[0][1])
            await self._over.wait()
            await runner.cleanup()

    async def _handle(self, asked: web.BaseRequest) -> web.StreamResponse:
        if asked.transport is not None:
            self._transports = {one for one in self._transports if not one.is_closing()} | {asked.transport}
        request = Request(asked.method, asked.path, asked.query.get("watch") == "true")
        self.seen.append(request)
        body = await asked.read()
        match self.rule(request):
            case Refuse(code, retry_after):
                return _refusal(code, retry_after)
            case Silence(sent):
                if sent:
                    await self._carry_out(asked, body)
                await self._over.wait()
            case Cut(sent):
                if sent:
                    await self._carry_out(asked, body)
                return _cut(asked)
            case Hold(moment):
                return await self._hold(asked, body, moment)
        return await (self._stream(asked, request) if request.watch else self._carry_out(asked, body))

    async def _hold(self, asked: web.BaseRequest, body: bytes, moment: Moment) -> web.StreamResponse:
        released = self._released
        answer = await self._carry_out(asked, body) if moment is Moment.AT_ONCE else None
        self.held.set()
        await released.wait()
        if moment is Moment.NEVER:
            return _cut(asked)
        answer = answer or await self._carry_out(asked, body)
        self.landed.set()
        return answer

    async def _carry_out(self, asked: web.BaseRequest, body: bytes) -> web.StreamResponse:
        try:
            async with self._send(asked, body) as answer:
                return web.Response(status=answer.status, headers=_passing(answer.headers), body=await answer.read())
        except aiohttp.ClientError:  # the API server is not there
            return _cut(asked)

    async def _stream(self, asked: web.BaseRequest, request: Request) -> web.StreamResponse:
        try:
            async with self._send(asked, b"") as answer:
                passed = web.StreamResponse(status=answer.status, headers=_passing(answer.headers))
                await passed.prepare(asked)
                stream = Stream(request, passed, asked.transport)
                self._streams.add(stream)
                try:
                    await self._copy(answer, stream)
                finally:
                    self._streams.discard(stream)
                return passed
        except (aiohttp.ClientError, ConnectionError):
            return _cut(asked)

    async def _copy(self, answer: aiohttp.ClientResponse, stream: Stream) -> None:
        """Until one of the two ends, or a test ends it."""
        over = asyncio.ensure_future(stream.over.wait())
        try:
            while not stream.over.is_set():
                chunk = asyncio.ensure_future(answer.content.readany())
                await asyncio.wait([chunk, over], return_when=asyncio.FIRST_COMPLETED)
                if not chunk.done():
                    chunk.cancel()
                    return
                if not chunk.result() and not stream.silent:
                    return
                if stream.silent:
                    await over if not chunk.result() else None
                else:
                    await stream.answer.write(chunk.result())
        finally:
            over.cancel()

    def _send(self, asked: web.BaseRequest, body: bytes) -> Any:
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        url = URL(self._server + asked.raw_path, encoded=True)
        return self._session.request(
            asked.method, url, data=body or None, headers={**headers, "User-Agent": self._user_agent}
        )


async def _expire(stream: Stream) -> None:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410}
    event = {"type": "ERROR", "object": {**status, "reason": "Expired", "message": "too old resource version"}}
    stream.mute()
    await stream.answer.write(json.dumps(event).encode() + b"\n")
    stream.over.set()


def _refusal(code: int, retry_after: int | None) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.json_response({**status, "message": f"the proxy says {code}"}, status=code, headers=headers)


def _cut(asked: web.BaseRequest) -> web.Response:
    if asked.transport is not None:
        asked.transport.abort()
    return web.Response(status=502)


def _passing(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}

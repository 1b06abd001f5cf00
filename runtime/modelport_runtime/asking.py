"""Asks the application one question in process, as a client would, without a socket.

The question goes past the counting layer, so metrics show the users' requests only. Must never wait longer for the
application than its caller does, and never cut short the work that the application does after its answer.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import quote, unquote

from modelport_runtime.asgi import App, Message, Scope
from modelport_runtime.explaining import one_line
from modelport_runtime.settings import Request
from modelport_runtime.verdict import Answer

LARGEST = 1 << 20  # of an answer that is looked at
AFTERMATH = 0.5  # seconds for the exception behind a 5xx to surface
ASCII = "".join(map(chr, range(33, 127)))  # what a request line may hold as it is

_afterwork: set[asyncio.Task[None]] = set()


class _Exchange:
    """One request, and the answer as it comes in."""

    def __init__(self, body: bytes) -> None:
        self.status = 500
        self.body = b""
        self.over = asyncio.Event()
        self.whole = False
        """The last piece has come: what the application does, or fails to do, after it is its own affair."""
        self._question: bytes | None = body

    async def receive(self) -> Message:
        if self._question is not None:
            body, self._question = self._question, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body = (self.body + message.get("body", b""))[:LARGEST]
            self.whole = not message.get("more_body", False) or len(self.body) == LARGEST
            if self.whole:
                self.over.set()


async def ask(app: App, request: Request, state: dict[str, object], folder: Path, host: str = "localhost") -> Answer:
    """Runs in the application's own event loop. Cancelled by the caller when the time is up. `host` is what clients call
    the application, as some let in only those who know its name."""
    begun = time.monotonic()
    exchange = _Exchange(request.body)
    answering = asyncio.ensure_future(_run(app, _scope(request, state, host), exchange))
    try:
        await exchange.over.wait()
        seconds = time.monotonic() - begun
        failed = exchange.status >= 500 or not exchange.whole
        if failed:
            await asyncio.wait({answering}, timeout=AFTERMATH)
    except asyncio.CancelledError:
        exchange.over.set()
        answering.cancel()
        raise
    finally:
        _afterwork.add(answering)
        answering.add_done_callback(_forget)
    return Answer(exchange.status, exchange.body, seconds, _cause(answering, exchange, folder) if failed else None)


def _cause(answering: asyncio.Task[None], exchange: _Exchange, folder: Path) -> str | None:
    """Why an answer failed: the exception behind it, or that it was left unfinished without one."""
    error = answering.exception() if answering.done() and not answering.cancelled() else None
    if error is not None:
        return one_line(error, folder)
    return None if exchange.whole else "the application ended its answer half way, without an exception"


async def _run(app: App, scope: Scope, exchange: _Exchange) -> None:
    try:
        await app(scope, exchange.receive, exchange.send)
    finally:
        exchange.over.set()


def _forget(task: asyncio.Task[None]) -> None:
    _afterwork.discard(task)
    if not task.cancelled():
        task.exception()  # seen; asyncio would log it as never retrieved


def _scope(request: Request, state: dict[str, object], host: str) -> Scope:
    path, _, query = request.path.partition("?")
    headers = [(b"host", host.encode("latin-1", "replace")), (b"user-agent", b"modelport-runtime"), (b"accept", b"*/*")]
    if request.content_type:
        headers.append((b"content-type", request.content_type.encode("latin-1", "replace")))
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers.append((b"content-length", str(len(request.body)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe=ASCII).encode(),
        "query_string": quote(query, safe=ASCII).encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 8000),
        "state": state.copy(),
    }

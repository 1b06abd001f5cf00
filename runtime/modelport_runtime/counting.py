"""The thin ASGI layer around the user's application: it counts, and hands everything through as it is.

It reads what readiness and drain need: requests in flight, the last sign of progress, the lifespan's state and failure.
Must never change a request or an answer, with one exception: while the pod drains, answers carry `Connection: close`,
so that clients with a kept connection go to another pod before this one is gone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from modelport_runtime.asgi import App, Message, Receive, Scope, Send
from modelport_runtime.draining import Draining
from modelport_runtime.metrics import Metrics
from modelport_runtime.settings import Settings
from modelport_runtime.verdict import Traffic

CLOSE = (b"connection", b"close")


class Counting:
    """Written by the application's thread, read by the management thread; each field is one atomic assignment."""

    def __init__(self, app: App, metrics: Metrics, draining: Draining, settings: Settings) -> None:
        self.app = app
        self.in_flight = 0
        self.traffic = Traffic()
        self.progressed = time.monotonic()
        self.state: dict[str, object] = {}
        self.startup_error: BaseException | None = None
        self._metrics = metrics
        self._draining = draining
        self._expect = settings.expect
        request = settings.request
        self._route = (request.method, unquote(request.path.partition("?")[0])) if request else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                with self._flight():
                    await self.app(scope, receive, self._watched(send))
            case _:
                await self._lifespan(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500  # what uvicorn answers when the application returns or raises without an answer
        whole = failed = False

        async def watched(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.body":
                whole = not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._draining.active():
                    message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
            await send(message)
            self.progressed = time.monotonic()

        begun = time.monotonic()
        try:
            with self._flight():
                await self.app(scope, receive, watched)
        except Exception:
            failed = not whole  # an answer that was cut short; what fails behind a whole one is no news to the client
            raise
        finally:
            self._metrics.finished(scope["method"], status, time.monotonic() - begun)
            self._remember((scope["method"], scope["path"]), status, whole, failed or status >= 500)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.state = scope.get("state", {})
        failed = False

        async def watched(message: Message) -> None:
            nonlocal failed
            failed = failed or message["type"] == "lifespan.startup.failed"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except BaseException as error:
            if failed:
                self.startup_error = error
            raise

    def _watched(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            await send(message)
            self.progressed = time.monotonic()

        return watched

    @contextmanager
    def _flight(self) -> Iterator[None]:
        if self.in_flight == 0:
            self.progressed = time.monotonic()
        self.in_flight += 1
        self._metrics.in_progress.inc()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._metrics.in_progress.dec()

    def _remember(self, route: tuple[str, str], status: int, whole: bool, failed: bool) -> None:
        """An answer that is not whole and has not failed is one whose client went away: neither proof nor doubt."""
        proved = route == self._route and self._expect.accepts_status(status) and whole
        self.traffic = Traffic(self.traffic.proofs + proved, self.traffic.failures + failed)

"""The management port: /healthz, /readyz, /startupz, /metrics and /drain, in a thread with an event loop of its own.

Why a thread: a handler that computes inside `async def` (the most usual way to write a model service) blocks the
application's event loop for as long as one answer takes. On that same loop the kubelet's probes would time out with
it and a busy pod would be killed in the middle of its work. From another thread the two can be told apart:

- readiness asks through the application's loop; silence while requests are in flight is Busy and keeps the last proof;
- liveness says 200 while that loop turns, and while it is blocked for less than ten times the check's timeout (five
  minutes unless set otherwise); beyond that the process is stuck for good and only a restart helps;
- both also answer while the application is still being imported, which is when models load their weights.

The limit of a thread: C code that holds the interpreter's lock stops it too. NumPy, PyTorch and their like release it
while they compute. A second process would not have this limit, but could not ask the application in process.

Must never serve the application's own routes, and never run in the application's loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelport_runtime.asgi import Receive, Scope, Send
from modelport_runtime.counting import Counting
from modelport_runtime.draining import Draining
from modelport_runtime.metrics import Metrics
from modelport_runtime.proving import Prover, Served
from modelport_runtime.pulse import Pulse
from modelport_runtime.settings import Settings

log = logging.getLogger("modelport_runtime")

JSON = "application/json"
Reply = tuple[int, bytes, str]


class Management:
    """What the management port answers."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.metrics = Metrics()
        self.draining = Draining(settings.drain)
        self.pulse = Pulse()
        self.prover = Prover(settings, folder)
        self._settings = settings
        self._counting: Counting | None = None

    def application_started(self, served: Served) -> tuple[Coroutine[Any, Any, None], ...]:
        """What to run from now on: its pulse is felt, and its model is asked."""
        self._counting = served.counting
        return self.pulse.run(served.loop), self.prover.run(served), self.prover.repeat()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body, content_type = await self._reply(scope)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _reply(self, scope: Scope) -> Reply:
        match scope["path"]:
            case "/healthz":
                return self._health()
            case "/readyz":
                return self._readiness()
            case "/startupz":
                return _json(200 if self.prover.started else 503, {"started": self.prover.started})
            case "/metrics":
                accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
                return 200, *self.metrics.page(accept.decode("latin-1"))
            case "/drain":
                left = await self.draining.finish(self._in_flight)
                return _json(200, {"drained": left == 0, "inFlight": left})
            case _:
                return _json(404, {"message": "this port has /healthz, /readyz, /startupz, /metrics and /drain"})

    def _health(self) -> Reply:
        blocked, limit = self.pulse.blocked(), self._settings.patience
        if blocked <= limit:
            return _json(200, {"alive": True})
        message = (
            f"the application's event loop has been blocked for {blocked:.0f} s, more than the {limit:.0f} s allowed"
        )
        return _json(503, {"alive": False, "message": message})

    def _readiness(self) -> Reply:
        verdict = self.prover.verdict(self.draining.active())
        model = {"ready": verdict.ready, "reason": verdict.reason, "message": verdict.message}
        return _json(200 if verdict.ready else 503, {**model, "models": {self._settings.name: model}})

    def _in_flight(self) -> int:
        return self._counting.in_flight if self._counting else 0


class _Quiet(HttpToolsProtocol):
    """No access log for probes: uvicorn decides that by a logger which the application's server shares."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False


class ManagementThread:
    """Runs `Management` on its socket until told to stop."""

    def __init__(self, management: Management, listening: socket.socket) -> None:
        config = uvicorn.Config(
            management,
            loop="asyncio",
            http=_Quiet,
            lifespan="off",
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._management = management
        self._server = uvicorn.Server(config)
        self._socket = listening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="management", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._up.wait()

    def application_started(self, served: Served) -> None:
        """Called from the application's loop."""
        assert self._loop is not None  # start() returns only once it is set
        self._loop.call_soon_threadsafe(self._watch, served)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=3)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._up.set()
        await self._server.serve(sockets=[self._socket])

    def _watch(self, served: Served) -> None:
        for work in self._management.application_started(served):
            task = asyncio.ensure_future(work)
            task.add_done_callback(self._ended)
            self._running.add(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Without its prover a pod would keep its last verdict for ever. At the end the application's loop goes first."""
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._management.draining.active():
            log.critical("the proof has failed, so the process ends", exc_info=error)
            os.kill(os.getpid(), signal.SIGTERM)


def _json(status: int, document: dict[str, object]) -> Reply:
    return status, json.dumps(document).encode(), JSON

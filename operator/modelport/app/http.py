"""/healthz, /readyz and /metrics. It must never answer anything that is secret: everybody in the cluster can ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

_BEAT = 1.0
_LONGEST_LAG = 20.0  # seconds that the event loop may be held up before the process is thought dead


class HealthServer:
    """A small web server beside the loop."""

    def __init__(self, metrics: Callable[[], bytes], ready: Callable[[], bool], port: int) -> None:
        self._text, self._ready, self._port = metrics, ready, port
        self._beat_at = time.monotonic()
        self._beating: asyncio.Task[None] | None = None
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        # Connections are not kept: at its end kopf waits for whatever began after it.
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=0.1)

    async def start(self) -> None:
        """Listen; a port of 0 is a free one."""
        self._beating = asyncio.create_task(self._beat(), name="heartbeat")
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._beating is not None:
            self._beating.cancel()
        await self._runner.cleanup()

    async def _beat(self) -> None:
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(_BEAT)

    async def _healthz(self, request: web.Request) -> web.Response:
        lag = time.monotonic() - self._beat_at
        return web.Response(text=f"loop lag {lag:.1f} s\n", status=200 if lag < _LONGEST_LAG else 503)

    async def _readyz(self, request: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ready\n" if ready else "filling the cache\n", status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

"""/debug/reconcile/NAMESPACE/NAME, for people with `kubectl port-forward`, and the dump that SIGUSR1 asks for.

It must never listen on anything but loopback, and never change what it shows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from modelport.app.dump import dump
from modelport.app.explain import View, explain, near
from modelport.app.history import History
from modelport.app.scope import Scope
from modelport.control.cache import Cache
from modelport.control.queue import WorkQueue
from modelport.control.reconcile import Reconciler
from modelport.render.platform import VERSION
from modelport.state.observed import Key

logger = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
_PATH = "/debug/reconcile/{namespace}/{name}"


@dataclass(frozen=True, slots=True)
class Inspector:
    """Answers questions about one process of the operator."""

    cache: Cache
    queue: WorkQueue
    reconciler: Reconciler
    history: History
    scope: Scope
    leading: Callable[[], bool]
    filled: Callable[[], bool]

    def explain(self, key: Key) -> tuple[HTTPStatus, dict[str, Any]]:
        """Everything about one resource, or why there is nothing to tell."""
        resource = self.cache.resource(key)
        if resource is None:
            return HTTPStatus.NOT_FOUND, {"process": self._about(), **self._unknown(key)}
        observed, desired, memory = self.reconciler.look(resource)
        standing, ended = self.queue.standing(key), self.history.ended(key)
        view = View(observed, desired, memory, standing, ended, time.monotonic())
        return HTTPStatus.OK, {"process": self._about(), **explain(view)}

    def dump(self) -> None:
        """Into the log."""
        dump(self.queue, self.history, **self._about())

    def _about(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "serves": str(self.scope),
            "leading": self.leading(),
            "cacheFilled": self.filled(),
        }

    def _unknown(self, key: Key) -> dict[str, Any]:
        known = list(self.cache.resources())
        if not self.scope.covers(key[0]):
            because = f"namespace {key[0]} is not among what this process serves: {self.scope}; ask another one"
        elif not self.filled():
            because = "the cache is still being filled: ask again in a moment"
        else:
            because = f"none of the {len(known)} ModelDeployments that are known has this name"
        return {"error": f"no ModelDeployment {'/'.join(key)}", "because": because, "near": near(key, known)}


class DebugServer:
    """A second web server, which nobody reaches from outside the pod."""

    def __init__(self, inspector: Inspector, port: int) -> None:
        self._inspector, self._port = inspector, port
        app = web.Application()
        app.add_routes([web.get(_PATH, self._explain), web.get("/{anything:.*}", self._help)])
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=0.1)

    async def start(self) -> None:
        """Listen; a port of 0 is a free one. The operator does its work without it, too."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        except OSError as problem:
            logger.warning("/debug is not served: %s; give another port with --debug-port", problem)
        else:
            logger.info("explains at http://%s:%d/debug/reconcile/NAMESPACE/NAME", *self._runner.addresses[0])

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _explain(self, request: web.Request) -> web.Response:
        status, document = self._inspector.explain((request.match_info["namespace"], request.match_info["name"]))
        return web.json_response(document, status=status, dumps=partial(json.dumps, indent=2))

    async def _help(self, request: web.Request) -> web.Response:
        return web.Response(text="there is only /debug/reconcile/NAMESPACE/NAME\n", status=404)

"""Keeps a cache in step with all objects of one kind that carry our label: LIST, then WATCH, for ever.

A re-list is handed over whole, so that deletions which a broken watch lost are found. It must never keep a body:
each object is projected as soon as it is decoded.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Protocol

from modelport.api.names import LABEL_NAME
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError, Gone
from modelport.kube.kinds import Kind
from modelport.state.observed import Child

logger = logging.getLogger(__name__)

Project = Callable[[dict[str, Any]], Child]
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Sink(Protocol):
    """Who is told."""

    def seen(self, child: Child) -> None:
        """It exists and looks like this."""

    def lost(self, child: Child) -> None:
        """It was deleted; this is how it looked last."""

    def listed(self, kind: str, namespace: str | None, children: list[Child], resource_version: str) -> None:
        """These are all that there were at this resource version."""


class Watch:
    """One kind in one namespace, or in all."""

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        namespace: str | None,
        project: Project,
        sink: Sink,
        reconnected: Callable[[str, str], None] = lambda kind, why: None,
    ) -> None:
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        self._project = project
        self._sink = sink
        self._reconnected = reconnected
        self._heard = False
        self.version: str | None = None
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """List and watch until cancelled: goes on at once after a stream that told something, else after a pause, which
        grows as long as streams break off sooner than it lasts."""
        pause = _PAUSE
        while True:
            self._heard = False
            began: float | None = None
            ended_well = False
            try:
                if self.version is None:
                    await self._list()
                began = time.monotonic()
                await self._follow()
                ended_well = True
            except Gone:
                self._note("gone")
                self.version = None
            except TimeoutError:
                self._note("silent")
            except (ApiError, OSError, ValueError) as problem:  # ValueError: a line cut off in the middle
                self._note("failed")
                logger.warning("watch of %s: %s", self._kind.plural, problem)
            if self._heard or (began is not None and time.monotonic() - began > pause):
                pause = _PAUSE
            if not (ended_well and self._heard):
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _list(self) -> None:
        children: list[Child] = []
        version = ""
        async with aclosing(self._cluster.pages(self._kind, self._namespace, LABEL_NAME)) as pages:
            async for page in pages:
                children += [self._projected(item) for item in page.items]
                version = page.resource_version
        self._sink.listed(self._kind.name, self._namespace, children, version)
        self.version = version
        self.synced.set()

    async def _follow(self) -> None:
        assert self.version is not None
        stream = self._cluster.events(self._kind, self._namespace, LABEL_NAME, self.version)
        async with aclosing(stream) as events:
            async for event in events:
                self._heard = True
                item = event["object"]
                if event["type"] == "DELETED":
                    self._sink.lost(self._projected(item))
                elif event["type"] != "BOOKMARK":
                    self._sink.seen(self._projected(item))
                self.version = item["metadata"]["resourceVersion"]

    def _projected(self, item: dict[str, Any]) -> Child:
        """Items of a LIST carry no kind, and metadata alone another one."""
        item["kind"] = self._kind.name
        return self._project(item)

    def _note(self, why: str) -> None:
        self._reconnected(self._kind.name, why)

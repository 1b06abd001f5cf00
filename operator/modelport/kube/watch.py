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

    def unreadable(self, kind: str, namespace: str, name: str) -> None:
        """It exists, and nobody can tell how it looks."""

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
            except Exception:  # what is told makes no sense to us: look at all again
                self._note("failed")
                logger.error("watch of %s failed", self._kind.plural, exc_info=True)
                self.version = None
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
                children += [child for item in page.items if (child := self._projected(item)) is not None]
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
                if event["type"] != "BOOKMARK":
                    self._hand_over(item, deleted=event["type"] == "DELETED")
                self.version = item["metadata"]["resourceVersion"]

    def _hand_over(self, item: dict[str, Any], *, deleted: bool) -> None:
        child = self._projected(item)
        if child is None:
            self._sink.unreadable(self._kind.name, item["metadata"]["namespace"], item["metadata"]["name"])
        elif deleted:
            self._sink.lost(child)
        else:
            self._sink.seen(child)

    def _projected(self, item: dict[str, Any]) -> Child | None:
        """Items of a LIST carry no kind, and metadata alone another one. One that our own mistake keeps us from reading must
        not cost the others: it counts as missing, and whoever needs it asks for it."""
        item["kind"] = self._kind.name
        try:
            return self._project(item)
        except Exception:
            where = (item["metadata"].get("namespace"), item["metadata"].get("name"))
            logger.error("%s %s/%s cannot be read", self._kind.name, *where, exc_info=True)
            return None

    def _note(self, why: str) -> None:
        self._reconnected(self._kind.name, why)

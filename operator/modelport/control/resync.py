"""Compares the cache with a LIST of all ModelDeployments now and then, and has every one of them looked at again.

kopf misses deletions that happen while its watch is broken. It must never take for deleted what is younger than the LIST.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import aclosing

from modelport.control.cache import Cache
from modelport.control.meter import Meter
from modelport.control.queue import Lane, WorkQueue
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.kube.kinds import MODEL_DEPLOYMENT
from modelport.state.observed import Key
from modelport.state.project import project_resource

logger = logging.getLogger(__name__)
EVERY = 600.0


class Resync:
    """The safety net under the watches."""

    def __init__(
        self, cluster: Cluster, cache: Cache, queue: WorkQueue, meter: Meter, namespaces: tuple[str, ...]
    ) -> None:
        self._cluster, self._cache, self._queue, self._meter = cluster, cache, queue, meter
        self._scopes: tuple[str | None, ...] = namespaces or (None,)

    async def run(self) -> None:
        """Once in a while, until cancelled."""
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.9, 1.1))
            try:
                for scope in self._scopes:
                    await self.compare(scope)
            except ApiError as problem:
                logger.warning("resync: %s", problem)
            except Exception:  # a mistake of ours: better without this net than without the operator
                logger.error("resync failed", exc_info=True)
            for resource in list(self._cache.resources()):
                self._queue.add((resource.namespace, resource.name), lane=Lane.RESYNC)

    async def compare(self, namespace: str | None) -> None:
        """One LIST against the cache."""
        seen: set[Key] = set()
        version = "0"
        async with aclosing(self._cluster.pages(MODEL_DEPLOYMENT, namespace, "")) as pages:
            async for page in pages:
                for item in page.items:
                    resource = project_resource(item)
                    seen.add((resource.namespace, resource.name))
                    self._cache.put_resource(resource)
                version = page.resource_version
        for resource in list(self._cache.resources()):
            key = (resource.namespace, resource.name)
            if (
                key not in seen
                and namespace in (None, resource.namespace)
                and self._older(resource.resource_version, version)
            ):
                logger.warning("gone without a word from the watch", extra={"key": key})
                self._meter.ghost()
                self._cache.drop_resource(key, version)

    @staticmethod
    def _older(of_resource: str, of_list: str) -> bool:
        return int(of_resource) <= int(of_list)

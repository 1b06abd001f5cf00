"""Writes a status that is worth writing, and has the Event written that goes with it. It must never write anything but /status."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from modelport.control.cache import Cache
from modelport.control.memory import Memory
from modelport.kube.client import Cluster
from modelport.kube.errors import NotFound
from modelport.kube.events import Recorder
from modelport.state.observed import Resource
from modelport.state.project import project_resource
from modelport.state.status import COUNTS_EVERY, event_for, worth_writing


class Publisher:
    """Tells users."""

    def __init__(
        self, cluster: Cluster, cache: Cache, recorder: Recorder, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._cache, self._recorder, self._clock = cluster, cache, recorder, clock

    async def publish(self, resource: Resource, status: Mapping[str, Any], memory: Memory) -> float | None:
        """Write it if it says something new; seconds until mere counts may be written, where that is what waits."""
        if status == resource.status:
            return None
        since = self._clock() - memory.counts_written_at
        if not worth_writing(resource.status, status, since):
            return max(0.1, COUNTS_EVERY - since)
        try:
            answer = await self._cluster.apply_status(
                resource.namespace, resource.name, resource.resource_version, status
            )
        except NotFound:
            return None  # it is gone, which the watch will tell
        self._cache.own_status(project_resource(dict(answer)))
        memory.counts_written_at = self._clock()
        event = event_for(resource.status, status)
        if event is not None:
            self._recorder.record(resource, event)
        return None

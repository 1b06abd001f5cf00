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
from modelport.state.status import event_for, worth_writing_in


class Publisher:
    """Tells users."""

    def __init__(
        self, cluster: Cluster, cache: Cache, recorder: Recorder, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._cache, self._recorder, self._clock = cluster, cache, recorder, clock

    async def publish(self, resource: Resource, status: Mapping[str, Any], memory: Memory) -> float | None:
        """Write it if it says something new; seconds until mere counts may be written, where that is what waits."""
        if status == resource.status:
            memory.status_differs_since = None
            return None
        now = self._clock()
        if memory.status_differs_since is None:
            memory.status_differs_since = now
        since_written, since_other = now - memory.status_written_at, now - memory.status_differs_since
        if pause := worth_writing_in(resource.status, status, since_written, since_other):
            return max(0.1, pause)
        try:
            answer = await self._cluster.apply_status(
                resource.namespace, resource.name, resource.resource_version, status
            )
        except NotFound:
            return None  # it is gone, which the watch will tell
        self._cache.own_status(project_resource(dict(answer)))
        memory.status_written_at, memory.status_differs_since = self._clock(), None
        event = event_for(resource.status, status)
        if event is not None:
            self._recorder.record(resource, event)
        return None

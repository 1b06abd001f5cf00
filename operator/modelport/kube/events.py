"""Kubernetes Events about ModelDeployments. They wait for everything that is more urgent, and must never fail a reconcile: an
Event that cannot be written is logged."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelport.api import names
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.kube.kinds import EVENT
from modelport.kube.lease import NotLeader
from modelport.state.observed import Resource
from modelport.state.status import Event

logger = logging.getLogger(__name__)
_LONGEST_NOTE = 1024  # bytes, of the API
_MOST = 4096
"""Events that wait; beyond that the oldest are dropped: the status says the same."""
_BETWEEN = 0.25
"""Seconds from one to the next as long as something else is to be done."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What will be written, and when it happened."""

    namespace: str
    name: str
    uid: str
    event: Event
    at: datetime


class Recorder:
    """Writes Events in the name of this operator. `run` has to run for as long as they shall be written."""

    def __init__(self, cluster: Cluster, instance: str, busy: Callable[[], bool] = lambda: False) -> None:
        self._cluster = cluster
        self._instance = instance[:128]
        self._busy = busy
        self._waiting: deque[_Waiting] = deque(maxlen=_MOST)
        self._news = asyncio.Event()

    def record(self, resource: Resource, event: Event) -> None:
        """Have one written."""
        at = datetime.now(UTC)
        self._waiting.append(_Waiting(resource.namespace, resource.name, resource.uid, event, at))
        self._news.set()

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._write(self._waiting[0])
                if self._busy():
                    await asyncio.sleep(_BETWEEN)

    async def flush(self, within: float) -> None:
        """Write what still waits, as far as there is time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._waiting:
                    await self._write(self._waiting[0])

    async def _write(self, one: _Waiting) -> None:
        try:
            await self._cluster.create(EVENT, one.namespace, self._body(one))
        except (ApiError, NotLeader) as problem:
            logger.warning("Event %s: %s", one.event.reason, problem, extra={"key": (one.namespace, one.name)})
        with suppress(ValueError):  # it may have been dropped meanwhile
            self._waiting.remove(one)

    def _body(self, one: _Waiting) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": f"{one.name}.{uuid.uuid4().hex[:16]}", "namespace": one.namespace},
            "eventTime": one.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": names.GROUP,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": one.event.reason,
            "type": one.event.type,
            "note": one.event.message.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": one.namespace,
                "name": one.name,
                "uid": one.uid,
            },
        }

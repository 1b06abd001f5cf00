"""Reads what a diagnosis asks for and no watch tells: the log of a container, or why a pod's volumes cannot be mounted.

It must never put a line of it anywhere but into memory, where the catalogue looks for the cause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from modelport.control.memory import Memory
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.state.diagnosis import Wanted, evidence_wanted
from modelport.state.observed import Observed

logger = logging.getLogger(__name__)


async def read(cluster: Cluster, namespace: str, wanted: Wanted) -> str:
    """What a diagnosis wants to see. Raises kube.errors.ApiError."""
    if not wanted.container:
        return await cluster.mount_failures(namespace, wanted.uid)
    return await cluster.log(namespace, wanted.pod, wanted.container, previous=wanted.previous)


FIRST_LOOK, NEXT_LOOK = 10.0, 30.0
"""Seconds until what goes on, and may yet go well, is looked at; and looked at again."""


class Evidence:
    """Logs, where the installation allows to read them, and the kubelet's Events about mounts."""

    def __init__(self, cluster: Cluster, logs_allowed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._logs_allowed, self._clock = cluster, logs_allowed, clock

    async def read(self, observed: Observed, memory: Memory) -> float | None:
        """Fetch what is wanted and not yet there, drop what nobody wants any more; seconds until the next look."""
        wanted = evidence_wanted(observed)
        if wanted is None or (wanted.container and not self._logs_allowed):
            memory.evidence, memory.evidence_due = {}, None
            return None
        if wanted.key not in memory.evidence:
            memory.evidence = {}
        now = self._clock()
        if not wanted.goes_on:
            memory.evidence_due = None
            if not memory.evidence:
                memory.evidence = {wanted.key: await self._read(observed.resource.namespace, wanted)}
            return None
        due_of, due = memory.evidence_due or (None, 0.0)
        if due_of != wanted.key:
            due = now + FIRST_LOOK
        elif now >= due:
            memory.evidence = {wanted.key: await self._read(observed.resource.namespace, wanted)}
            due = now + NEXT_LOOK
        memory.evidence_due = (wanted.key, due)
        return max(0.1, due - now)

    async def _read(self, namespace: str, wanted: Wanted) -> str:
        try:
            return await read(self._cluster, namespace, wanted)
        except ApiError as problem:  # without it the diagnosis knows less, and nothing else is lost
            logger.info("evidence of %s/%s %s: %s", namespace, wanted.pod, wanted.container, problem)
            return ""

"""Reads the log of a container that exited non-zero, once per restart, and now and then that of one that runs and knows
why its pod is not ready. It must never put a line of it anywhere but
into memory, where the catalogue looks for the cause."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from modelport.control.memory import LogKey, Memory
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.state.diagnosis import logs_wanted
from modelport.state.observed import Observed, PodFacts

logger = logging.getLogger(__name__)


FIRST_LOOK, NEXT_LOOK = 10.0, 30.0
"""Seconds until the log of a container that runs, and says nothing else of its trouble, is read; and read again."""


class Logs:
    """The logs that a diagnosis asks for."""

    def __init__(self, cluster: Cluster, allowed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._allowed, self._clock = cluster, allowed, clock

    async def read(self, observed: Observed, memory: Memory) -> float | None:
        """Fetch what is wanted and not yet there, drop what nobody wants any more; seconds until the next look."""
        wanted = (
            {(uid, container, run): pod for pod, uid, container, run in logs_wanted(observed)} if self._allowed else {}
        )
        memory.logs = {key: text for key, text in memory.logs.items() if key in wanted}
        memory.log_due = {key: due for key, due in memory.log_due.items() if key in wanted}
        for key, pod in wanted.items():
            await self._one(observed, memory, pod, key)
        return min((max(0.1, due - self._clock()) for due in memory.log_due.values()), default=None)

    async def _one(self, observed: Observed, memory: Memory, pod: str, key: LogKey) -> None:
        """A run that has ended is read once; one that goes on, now and then."""
        run, restarts, runs = key[2], *_state(observed, key)
        goes_on = runs and run == restarts
        if goes_on and self._clock() < memory.log_due.setdefault(key, self._clock() + FIRST_LOOK):
            return
        if goes_on:
            memory.log_due[key] = self._clock() + NEXT_LOOK
        elif key in memory.logs:
            return
        else:
            memory.log_due.pop(key, None)
        memory.logs[key] = await self._tail(observed.resource.namespace, pod, key[1], previous=run < restarts)

    async def _tail(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        try:
            return await self._cluster.log(namespace, pod, container, previous=previous)
        except ApiError as problem:  # without the log the diagnosis knows less, and nothing else is lost
            logger.info("log of %s/%s %s: %s", namespace, pod, container, problem)
            return ""


def _state(observed: Observed, key: LogKey) -> tuple[int, bool]:
    """The container's restarts, and whether it runs."""
    return next(
        (facts.restarts, facts.running)
        for pod in observed.pods
        if pod.uid == key[0] and isinstance(pod.facts, PodFacts)
        for facts in pod.facts.containers
        if facts.name == key[1]
    )

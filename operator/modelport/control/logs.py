"""Reads the log of a container that exited non-zero, once per restart. It must never put a line of it anywhere but
into memory, where the catalogue looks for the cause."""

from __future__ import annotations

import logging

from modelport.control.memory import Memory
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.state.diagnosis import logs_wanted
from modelport.state.observed import Observed, PodFacts

logger = logging.getLogger(__name__)


class Logs:
    """The logs that a diagnosis asks for."""

    def __init__(self, cluster: Cluster, allowed: bool) -> None:
        self._cluster = cluster
        self._allowed = allowed

    async def read(self, observed: Observed, memory: Memory) -> None:
        """Fetch what is wanted and not yet there; drop what nobody wants any more."""
        wanted = logs_wanted(observed) if self._allowed else ()
        keep = {(uid, container, restarts) for _, uid, container, restarts in wanted}
        memory.logs = {key: text for key, text in memory.logs.items() if key in keep}
        for pod, uid, container, restarts in wanted:
            if (uid, container, restarts) not in memory.logs:
                text = await self._tail(observed.resource.namespace, pod, container, _runs(observed, uid, container))
                memory.logs[(uid, container, restarts)] = text

    async def _tail(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        try:
            return await self._cluster.log(namespace, pod, container, previous=previous)
        except ApiError as problem:  # without the log the diagnosis knows less, and nothing else is lost
            logger.info("log of %s/%s %s: %s", namespace, pod, container, problem)
            return ""


def _runs(observed: Observed, uid: str, container: str) -> bool:
    """Whether it runs again, so that the log of the failure is the previous one."""
    return any(
        facts.running
        for pod in observed.pods
        if pod.uid == uid and isinstance(pod.facts, PodFacts)
        for facts in pod.facts.containers
        if facts.name == container
    )

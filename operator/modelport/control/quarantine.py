"""Keeps a mistake of ours to the resource that it happens on: that one is told so and left alone, all others go on.

It must never take for a mistake what the cluster refuses or the network loses, and never try a resource again before its
spec has changed, or five minutes are over.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelport.api.names import Reason
from modelport.control.cache import Cache
from modelport.control.memory import Memory
from modelport.control.publish import Publisher
from modelport.control.reconcile import Outcome
from modelport.kube.errors import ApiError
from modelport.kube.lease import NotLeader
from modelport.state.observed import Key, Resource
from modelport.state.status import broken

logger = logging.getLogger(__name__)

AGAIN_AFTER = 300.0
_PACKAGE = "/modelport/"
_EXPECTED = (ApiError, NotLeader, OSError)


@dataclass(frozen=True, slots=True)
class _Held:
    """A resource that is left alone: which generation of it, until when, and what it is told."""

    generation: tuple[str, int]
    until: float
    message: str


class Quarantine:
    """Stands around `reconcile`."""

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[Outcome]],
        cache: Cache,
        publisher: Publisher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reconcile, self._cache, self._publisher, self._clock = reconcile, cache, publisher, clock
        self._held: dict[Key, _Held] = {}

    async def reconcile(self, key: Key) -> Outcome:
        """Reconcile, unless the resource is left alone."""
        resource = self._cache.resource(key)
        held = self._holds(key, resource)
        if held is None or self._clock() >= held.until:
            try:
                outcome = await self._reconcile(key)
            except _EXPECTED:
                raise
            except Exception as mistake:
                if resource is None:
                    raise
                held = self._hold(resource, mistake)
            else:
                self._held.pop(key, None)
                return outcome
        return await self._tell(key, held)

    def _holds(self, key: Key, resource: Resource | None) -> _Held | None:
        """What holds this generation; what held an earlier one is forgotten."""
        held = self._held.get(key)
        if held is not None and (resource is None or held.generation != _generation(resource)):
            del self._held[key]
            return None
        return held

    def _hold(self, resource: Resource, mistake: Exception) -> _Held:
        """Leave it alone for a while; the traceback is told once for each generation."""
        key, generation = (resource.namespace, resource.name), _generation(resource)
        place = _place(mistake)
        known = key in self._held
        logger.error("%s; left alone for %.0f s", place, AGAIN_AFTER, extra={"key": key}, exc_info=not known)
        message = (
            f"the operator itself fails on this resource ({place}) and leaves it as it is; change the spec, or update the"
            " operator, and please report the traceback in its log"
        )
        held = self._held[key] = _Held(generation, self._clock() + AGAIN_AFTER, message)
        return held

    async def _tell(self, key: Key, held: _Held) -> Outcome:
        resource = self._cache.resource(key)
        if resource is None or held.generation != _generation(resource):
            return Outcome("settling", look_again_in=0.0)  # it has changed meanwhile: a new chance
        await self._publisher.publish(resource, broken(resource, datetime.now(UTC), held.message), Memory(resource.uid))
        return Outcome("failed", str(Reason.INTERNAL_ERROR), max(0.1, held.until - self._clock()))


def _generation(resource: Resource) -> tuple[str, int]:
    return (resource.uid, resource.generation)


def _place(mistake: Exception) -> str:
    """Such as `KeyError in render/service.py, line 20`: never what the exception says, which may be a user's secret."""
    ours = [frame for frame in traceback.extract_tb(mistake.__traceback__) if _PACKAGE in frame.filename]
    where = f" in {ours[-1].filename.rpartition(_PACKAGE)[2]}, line {ours[-1].lineno}" if ours else ""
    return f"{type(mistake).__name__}{where}"

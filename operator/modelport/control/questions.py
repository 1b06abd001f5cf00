"""Asks the models through their Services: each time that all pods have come to prove it, until there is a definite answer,
and slowly after. New pods may be ready before the nodes route to them.

It must never hold up a reconcile: the answer is an observation that brings the resource back into the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Protocol
from urllib.parse import urlsplit

from modelport.control.memory import Memory
from modelport.control.meter import Meter
from modelport.render.desired import Desired, Question
from modelport.state.observed import Door, DoorResult, Key, Observed, Resource
from modelport.state.question import question_due
from modelport.state.verdict import DOOR_PATIENCE

AGAIN_EVERY = 300.0
SETTLES_WITHIN = 3.0
"""A question that is answered so fast leaves no trace in the status."""
FIRST_AGAIN = 1.0


class Asker(Protocol):
    """Who puts the question."""

    def prepare(self, runtime: str) -> None:
        """A question for this runtime will come."""

    async def ask(self, url: str, question: Question) -> tuple[DoorResult, str]:
        """One answer, always."""


def door_url(mode: str, key: Key, url: str) -> str:
    """Where to ask: the Service itself, or what a template says for an operator outside of the cluster."""
    port = urlsplit(url).port or 80
    return url if mode == "service" else mode.format(namespace=key[0], name=key[1], port=port)


class Questions:
    """The questions that are under way, and when the next are due."""

    def __init__(
        self,
        asker: Asker,
        mode: str,
        wake: Callable[[Key], None],
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker, self._mode, self._wake, self._meter, self._clock = asker, mode, wake, meter, clock
        self._tasks: set[asyncio.Task[None]] = set()

    def consider(self, observed: Observed, desired: Desired, memory: Memory) -> float | None:
        """Ask if it is time to; seconds after which to look again, or None while there is nothing to ask."""
        if self._mode == "off":
            return None
        if not question_due(observed, desired):
            self._asker.prepare(str(desired.question.runtime))
            memory.door, memory.asked_generation = None, -1
            return None
        resource, now = observed.resource, self._clock()
        if memory.asked_generation != resource.generation:
            memory.asked_generation, memory.asked_since = resource.generation, now
            memory.ask_again_at, memory.unanswered = now, 0
        if not memory.asking and now >= memory.ask_again_at:
            memory.asking = True
            task = asyncio.create_task(self._ask(resource, desired.question, memory, memory.asked_since))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._next(resource, memory, now)

    def _next(self, resource: Resource, memory: Memory, now: float) -> float | None:
        """Seconds until the passing of time alone changes something."""
        moments = [] if memory.asking else [memory.ask_again_at]
        if memory.door is None or memory.door.generation != resource.generation or memory.unanswered:
            moments += [memory.asked_since + SETTLES_WITHIN, memory.asked_since + DOOR_PATIENCE]
        return min((moment - now for moment in moments if moment > now), default=None)

    def settling(self, resource: Resource, memory: Memory) -> float:
        """Seconds for which the status may wait for the first answer of this generation."""
        if not memory.asking or (memory.door is not None and memory.door.generation == resource.generation):
            return 0.0
        return max(0.0, memory.asked_since + SETTLES_WITHIN - self._clock())

    def waited(self, resource: Resource, memory: Memory) -> float:
        """Seconds without a definite answer since the first question of this generation."""
        if self._mode == "off":
            return inf
        return self._clock() - memory.asked_since if memory.asked_generation == resource.generation else 0.0

    async def close(self) -> None:
        """Forget the questions that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, resource: Resource, question: Question, memory: Memory, since: float) -> None:
        """An answer to a question that was put before the pods changed says nothing any more."""
        key = (resource.namespace, resource.name)
        try:
            result, detail = await self._asker.ask(door_url(self._mode, key, question.url), question)
        finally:
            memory.asking = False
        self._meter.asked(result)
        if (memory.asked_generation, memory.asked_since) == (resource.generation, since):
            memory.door = Door(resource.generation, result, detail)
            good = result in (DoorResult.ANSWERED, DoorResult.AUTH_REQUIRED)
            memory.unanswered = 0 if good else memory.unanswered + 1
            pause = AGAIN_EVERY if good else min(FIRST_AGAIN * 2.0 ** min(memory.unanswered, 16), AGAIN_EVERY)
            memory.ask_again_at = self._clock() + pause
        self._wake(key)

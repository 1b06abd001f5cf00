"""Which resource is looked at next. A key waits once, is never in two workers, and comes back by its own back-off.

It must never know what a key stands for, and never drop one that was added.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from modelport.state.observed import Key

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0


class Lane(IntEnum):
    """What goes first among the keys that are due."""

    READINESS = 0
    """Something serves, or serves no longer: nobody may be told late because others are being created."""
    CHANGE = 1
    """Somebody or something changed."""
    RESYNC = 2
    """Nothing is known to have changed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one key stands at a moment, for people who ask."""

    working: bool
    waited: float | None
    """Seconds for which it has been due; None when it does not wait for a worker."""
    due_in: float | None
    """Seconds until it is due; None when no moment is set."""
    failures: int
    """Tries in a row that failed or met an obstacle."""


class WorkQueue:
    """Keys with the moment at which each is due."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._due: dict[Key, tuple[float, Lane]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = count()
        self._ready: tuple[deque[Key], ...] = tuple(deque() for _ in Lane)
        self._ready_since: dict[Key, tuple[float, Lane]] = {}
        self._working: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def add(self, key: Key, *, after: float = 0.0, lane: Lane = Lane.CHANGE) -> None:
        """The key is due in `after` seconds, or earlier if it was to come earlier already."""
        if self._closed:
            return
        if key in self._ready_since:  # it is due already; a change only moves it ahead
            since, behind = self._ready_since[key]
            if lane < behind:
                self._ready_since[key] = (since, lane)
                self._ready[lane].append(key)
            return
        due = self._clock() + after
        waiting = self._due.get(key)
        if waiting is not None:
            if waiting[0] <= due and waiting[1] <= lane:
                return
            due, lane = min(due, waiting[0]), min(lane, waiting[1])
        self._due[key] = (due, lane)
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._wake.set()

    async def get(self, up_to: Lane = Lane.RESYNC) -> Key:
        """The next key that is due, in no lane after `up_to`; it is the caller's until `done`."""
        while True:
            key, pause = self.take(up_to)
            if key is not None:
                return key
            self._wake.clear()
            timer = asyncio.get_running_loop().call_later(pause, self._wake.set) if pause is not None else None
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def take(self, up_to: Lane = Lane.RESYNC) -> tuple[Key | None, float | None]:
        """The next key that is due, or the seconds until one may be (None: until something is added)."""
        now = self._clock()
        self._ripen(now)
        for lane in self._ready[: up_to + 1]:
            while lane:
                key = lane.popleft()
                if self._ready_since.pop(key, None) is not None:  # else it was taken from the other lane
                    self._working.add(key)
                    return key, None
        return None, max(0.0, self._heap[0][0] - now) if self._heap else None

    def done(self, key: Key) -> None:
        """The caller has finished with the key; if it was added meanwhile, it is due again."""
        self._working.discard(key)
        if key in self._due:
            heapq.heappush(self._heap, (self._due[key][0], next(self._order), key))
            self._wake.set()

    def retry(self, key: Key) -> float:
        """It failed: due again after its own back-off, which is returned."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(FIRST_RETRY * 2.0 ** min(failures, 16), LONGEST_RETRY) * self._jitter()
        self.add(key, after=pause)
        return pause

    def succeeded(self, key: Key) -> None:
        """Its back-off starts from the beginning the next time."""
        self._failures.pop(key, None)

    def close(self) -> None:
        """Take nothing new; keys in work are finished by their workers."""
        self._closed = True

    @property
    def depth(self) -> int:
        """Keys that are due and wait for a worker."""
        self._ripen(self._clock())
        return len(self._ready_since)

    @property
    def age(self) -> float:
        """Seconds that the oldest of them has waited."""
        now = self._clock()
        return now - min((since for since, _ in self._ready_since.values()), default=now)

    @property
    def failing(self) -> int:
        """Keys whose last try failed."""
        return len(self._failures)

    @property
    def in_work(self) -> tuple[Key, ...]:
        """Keys that a worker has."""
        return tuple(self._working)

    @property
    def in_back_off(self) -> tuple[Key, ...]:
        """Keys whose last try failed or met an obstacle."""
        return tuple(self._failures)

    def standing(self, key: Key) -> Standing:
        """How it stands now; a key that was never added stands nowhere."""
        now = self._clock()
        self._ripen(now)
        since, due = self._ready_since.get(key), self._due.get(key)
        return Standing(
            working=key in self._working,
            waited=None if since is None else now - since[0],
            due_in=None if due is None else max(0.0, due[0] - now),
            failures=self._failures.get(key, 0),
        )

    def _ripen(self, now: float) -> None:
        """Move what is due to the ready lanes. Entries of the heap that were overtaken by an earlier one are dropped."""
        while self._heap and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            waiting = self._due.get(key)
            if waiting is None or waiting[0] > now or key in self._working:
                continue
            del self._due[key]
            self._ready_since[key] = (now, waiting[1])
            self._ready[waiting[1]].append(key)

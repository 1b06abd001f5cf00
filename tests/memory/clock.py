"""Time that passes only when the test says so, for any number of event loops.

Every operator has a loop of its own on one clock: a loop that gets no turn is a process that was stopped, and finds all
its timers overdue when it goes on.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass
class Clock:
    """Seconds, called as `time.monotonic` is."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets that never waits: what is due runs when it gets its turn."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        super().__init__()
        self._selector = self  # asked for sockets that are ready
        self.broken: list[str] = []
        self.set_exception_handler(lambda _, context: self.broken.append(f"{context['message']}: {context}"))

    def time(self) -> float:
        return self._now()

    def turn(self) -> bool:
        """Run what is due now; whether there was anything."""
        if not self._ready and self.next_timer() > self._now():  # type: ignore[attr-defined]
            return False
        asyncio._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio._set_running_loop(None)
        return True

    def next_timer(self) -> float:
        """When something is due next, if nothing happens."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
        return timers[0].when() if timers else inf

    def end(self) -> None:
        """Cancel everything, let it come to its end, and close."""
        for _ in range(3):  # what ends may begin something else
            for task in asyncio.all_tasks(self):
                task.cancel()
            while self.turn():
                pass
        self.close()

    def select(self, timeout: float | None) -> list[Any]:
        """No socket is ever ready."""
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: everything runs in one thread."""


def run(clock: Clock, loops: Callable[[], list[VirtualLoop]], seconds: float) -> None:
    """Give the loops their turns for so long, and skip the time in which nothing happens."""
    end = clock.now + seconds
    while True:
        while any(loop.turn() for loop in loops()):
            pass
        due = min((loop.next_timer() for loop in loops()), default=inf)
        if due > end:
            clock.now = end
            return
        clock.now = max(clock.now, due)

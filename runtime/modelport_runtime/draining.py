"""Takes the pod out of service without losing a request: the preStop hook waits here.

Must never wait beyond the deadline, which counts from the first call.
"""

from __future__ import annotations

import asyncio
import time

from modelport_runtime.counting import Counting
from modelport_runtime.settings import Drain

LOOK = 0.05  # seconds between two looks at what is in flight


class Draining:
    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._begun: float | None = None
        self.counting: Counting | None = None

    @property
    def begun(self) -> bool:
        return self._begun is not None

    def begin(self) -> None:
        if self._begun is None:
            self._begun = time.monotonic()
        if self.counting is not None:
            self.counting.draining = True

    def left(self) -> float:
        """Seconds until the deadline; all of them while draining has not begun."""
        spent = 0.0 if self._begun is None else time.monotonic() - self._begun
        return max(0.0, self._drain.deadline - spent)

    async def finish(self) -> int:
        """Returns how many requests are still in flight: 0, or the deadline is reached."""
        self.begin()
        await asyncio.sleep(min(self._drain.delay, self.left()))
        while self.in_flight() and self.left():  # noqa: ASYNC110 - the count belongs to a thread that must not wait for us
            await asyncio.sleep(min(LOOK, self.left()))
        return self.in_flight()

    def in_flight(self) -> int:
        return self.counting.in_flight if self.counting else 0

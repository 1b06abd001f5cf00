"""Takes the pod out of service without losing a request: the preStop hook waits here.

The kubelet sends SIGTERM as soon as the hook returns. Where none comes, nobody is ending the pod: somebody on the
network called /drain, and the pod goes back to work. Must never wait beyond the deadline, which counts from the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from modelport_runtime.settings import Drain

LOOK = 0.05  # seconds between two looks at what is in flight
FORGET = 10.0  # seconds after the deadline in which SIGTERM must come


class Draining:
    def __init__(self, drain: Drain, clock: Callable[[], float] = time.monotonic) -> None:
        self._drain = drain
        self._clock = clock
        self._begun: float | None = None
        self._ending = False

    def active(self) -> bool:
        return self._ending or self._spent() < self._drain.deadline + FORGET

    def left(self) -> float:
        """Seconds until the deadline; all of them while draining has not begun."""
        return max(0.0, self._drain.deadline - self._spent()) if self.active() else self._drain.deadline

    def end(self) -> None:
        """SIGTERM came: there is no way back."""
        self._begin()
        self._ending = True

    async def finish(self, in_flight: Callable[[], int]) -> int:
        """Returns how many requests are still in flight: 0, or the deadline is reached."""
        self._begin()
        await asyncio.sleep(min(self._drain.delay, self.left()))
        while in_flight() and self.left():  # noqa: ASYNC110 - counted by a thread that must not wait for us
            await asyncio.sleep(min(LOOK, self.left()))
        return in_flight()

    def _begin(self) -> None:
        if not self.active():
            self._begun = self._clock()

    def _spent(self) -> float:
        return float("inf") if self._begun is None else self._clock() - self._begun

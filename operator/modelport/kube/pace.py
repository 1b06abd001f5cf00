"""How fast writes may follow each other: a token bucket, which a Retry-After of the API server stops for all of them.

It must never hold up a read, a watch or the Lease, and never let one write overtake another that waited before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PER_SECOND, BURST = 500.0, 1000


class Pace:
    """Tokens come back one by one; a write takes one, and waits for it if there is none."""

    def __init__(
        self,
        per_second: float = PER_SECOND,
        burst: int = BURST,
        waited: Callable[[float], None] = lambda seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`waited` is told of the seconds that each write was held up."""
        self._interval = 1.0 / per_second
        self._credit = (burst - 1) * self._interval
        self._waited, self._clock = waited, clock
        self._spent_until = float("-inf")
        """When the bucket would be full again, had it no bottom: each write moves it by one token."""

    async def turn(self) -> None:
        """Wait until the next write may be sent."""
        now = self._clock()
        pause = self._spent_until - self._credit - now
        self._spent_until = max(self._spent_until, now) + self._interval
        if pause > 0:
            self._waited(pause)
            await asyncio.sleep(pause)

    def hold(self, seconds: float) -> None:
        """The API server asks for so long a pause: no write begins before, and then they come at their pace again."""
        self._spent_until = max(self._spent_until, self._clock() + seconds + self._credit)

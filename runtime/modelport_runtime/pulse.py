"""Feels the pulse of the application's event loop from another thread. Must never block either of the two."""

from __future__ import annotations

import asyncio
import time

BEAT = 1.0  # seconds


class Pulse:
    def __init__(self) -> None:
        self._sent: float | None = None

    def blocked(self) -> float:
        """For how many seconds the loop has owed an answer; 0.0 before it runs and while it turns."""
        sent = self._sent
        return 0.0 if sent is None else time.monotonic() - sent

    async def run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            if self._sent is None:
                self._sent = time.monotonic()
                try:
                    loop.call_soon_threadsafe(self._answered)
                except RuntimeError:  # the application's loop is closed: the process is ending
                    self._sent = None
                    return
            await asyncio.sleep(BEAT)

    def _answered(self) -> None:
        self._sent = None

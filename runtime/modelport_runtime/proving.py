"""Keeps the proof: asks the application in process, at the interval while it is idle, and remembers the verdict.

Runs in the management thread's loop and puts each question into the application's own loop, so that a question waits
behind a blocked application just as a client does, and its time-out is still kept. What an outcome means is decided in
`verdict`. Must never ask again before the last question has been answered or given up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from modelport_runtime.asking import ask
from modelport_runtime.counting import Counting
from modelport_runtime.settings import Request, Settings
from modelport_runtime.verdict import (
    CONCLUSIVE,
    DRAINING,
    STARTING,
    Answer,
    Reason,
    Silence,
    Verdict,
    judge,
    proved_by_traffic,
    when_started,
)

log = logging.getLogger("modelport_runtime")

RETRY = 2.0  # seconds between questions while not ready, or the interval where that is shorter


@dataclass(frozen=True)
class Served:
    """The application once it runs: what counts around it, and the loop that it runs in."""

    counting: Counting
    loop: asyncio.AbstractEventLoop


class Prover:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._verdict = STARTING
        self.started = False
        """The start is over: the first question has been answered, or none is asked."""

    def verdict(self, draining: bool) -> Verdict:
        return DRAINING if draining else self._verdict

    async def run(self, served: Served) -> None:
        """Begins once the application's lifespan started; ends with the management loop."""
        self._settle(when_started(self._settings))
        request = self._settings.request
        if request is None or self._settings.disabled:
            return
        while True:
            before = served.counting.traffic
            self._settle(judge(await self._outcome(served, request), self._verdict, self._settings))
            await self._pause()
            while proved_by_traffic(before, served.counting.traffic, self._verdict):
                before = served.counting.traffic
                self._settle(Verdict(True, Reason.ANSWERED, f"{request} is answered by the model for its users"))
                await self._pause()

    async def _pause(self) -> None:
        interval = self._settings.interval
        await asyncio.sleep(interval if self._verdict.ready else min(interval, RETRY))

    async def _outcome(self, served: Served, request: Request) -> Answer | Silence:
        counting, timeout = served.counting, self._settings.timeout
        question = ask(counting.app, request, counting.state, self._folder)
        asked = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, served.loop))
        try:
            return await asyncio.wait_for(asked, timeout)
        except TimeoutError:
            return Silence(timeout, counting.in_flight, time.monotonic() - counting.progressed)

    def _settle(self, verdict: Verdict) -> None:
        if verdict.reason is not self._verdict.reason:
            level = logging.INFO if verdict.ready or verdict.reason is Reason.STARTING else logging.WARNING
            state = "ready" if verdict.ready else "not ready"
            log.log(level, "prove: %s: %s: %s", state, verdict.reason, verdict.message)
        self._verdict = verdict
        self.started = self.started or verdict.reason in CONCLUSIVE

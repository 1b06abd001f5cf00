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
    NEWS,
    STARTING,
    Answer,
    Reason,
    Silence,
    Verdict,
    judge,
    proved_by_traffic,
    when_started,
    worth_telling,
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
        self._verdict = self._told = STARTING
        self._asked: asyncio.Future[Answer] | None = None
        self._asked_at = self._proved_at = self._told_at = time.monotonic()
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
            while not self._answered_late() and proved_by_traffic(
                before, served.counting.traffic, self._verdict, self._settings.expect
            ):
                before = served.counting.traffic
                self._settle(Verdict(True, Reason.ANSWERED, f"{request} is answered by the model for its users"))
                await self._pause()

    async def repeat(self) -> None:
        """Keeps the reason why the pod is not ready in the last lines of the log, however long a question waits."""
        while True:
            await asyncio.sleep(NEWS)
            self._tell()

    async def _pause(self) -> None:
        """Until the next question, or until the one that still waits is answered after all."""
        interval = self._settings.interval
        seconds = interval if self._verdict.ready else min(interval, RETRY)
        if self._asked is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait({self._asked}, timeout=seconds)

    def _answered_late(self) -> bool:
        return self._asked is not None and self._asked.done()

    async def _outcome(self, served: Served, request: Request) -> Answer | Silence:
        """The answer, or silence after the time-out. A question that is not answered goes on waiting: a handler in a thread
        cannot be called back, and another question would only be one more."""
        counting, timeout = served.counting, self._settings.timeout
        if self._asked is None:
            question = ask(counting.app, request, counting.state, self._folder, self._settings.name)
            self._asked = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, served.loop))
            self._asked_at = time.monotonic()
        asked = self._asked
        await asyncio.wait({asked}, timeout=timeout)
        now = time.monotonic()
        if asked.done():
            self._asked = None
            return asked.result()
        if now - self._asked_at > self._settings.patience:
            asked.cancel()
            self._asked = None
        return Silence(timeout, counting.in_flight, now - counting.progressed, now - self._proved_at)

    def _settle(self, verdict: Verdict) -> None:
        if verdict.reason is Reason.ANSWERED:
            self._proved_at = time.monotonic()
        self._verdict = verdict
        self.started = self.started or verdict.reason in CONCLUSIVE
        self._tell()

    def _tell(self) -> None:
        now, verdict = time.monotonic(), self._verdict
        if not worth_telling(self._told, verdict, now - self._told_at):
            return
        self._told, self._told_at = verdict, now
        level = logging.INFO if verdict.ready or verdict.reason is Reason.STARTING else logging.WARNING
        log.log(level, "prove: %s: %s: %s", "ready" if verdict.ready else "not ready", verdict.reason, verdict.message)

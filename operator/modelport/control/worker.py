"""Takes keys from the queue and reconciles them, several at a time. It must never let one key's failure reach another."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from modelport.control.meter import Meter
from modelport.control.queue import WorkQueue
from modelport.control.reconcile import Outcome
from modelport.kube.errors import ApiError
from modelport.kube.lease import NotLeader
from modelport.state.observed import Key

logger = logging.getLogger(__name__)


class Workers:
    """A bounded number of reconciles at the same time."""

    def __init__(
        self, queue: WorkQueue, reconcile: Callable[[Key], Awaitable[Outcome]], meter: Meter, at_once: int
    ) -> None:
        self._queue, self._reconcile, self._meter = queue, reconcile, meter
        self._idle = asyncio.Semaphore(at_once)
        self._handed: asyncio.Queue[Key] = asyncio.Queue()
        self._at_once = at_once
        self._tasks: list[asyncio.Task[None]] = []
        self._died: Callable[[asyncio.Task[None]], None] = lambda task: None

    def start(self, may_begin: Awaitable[None], died: Callable[[asyncio.Task[None]], None]) -> None:
        """Start the workers, who wait for `may_begin`; `died` is told of one that ends before `stop`. No task is made
        later: at its end kopf cancels what it saw begin."""
        self._tasks = [asyncio.create_task(self._hand_out(may_begin), name="queue")]
        self._tasks += [asyncio.create_task(self._take(), name=f"worker {n}") for n in range(self._at_once)]
        self._died = died
        for task in self._tasks:
            task.add_done_callback(died)

    async def stop(self, within: float) -> None:
        """Take nothing more, wait for what has begun, and break off what takes longer."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.remove_done_callback(self._died)
        self._tasks[0].cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                for _ in range(self._at_once):
                    await self._idle.acquire()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hand_out(self, may_begin: Awaitable[None]) -> None:
        await may_begin
        while True:
            await self._idle.acquire()
            try:
                key = await self._queue.get()
            except asyncio.CancelledError:
                self._idle.release()
                raise
            self._handed.put_nowait(key)

    async def _take(self) -> None:
        while True:
            key = await self._handed.get()
            try:
                await self._work(key)
            finally:
                self._idle.release()

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        outcome = Outcome("failed")
        try:
            outcome = await self._reconcile(key)
            self._schedule(key, outcome)
        except NotLeader:  # a renewal that comes late may yet keep the Lease; without one the process ends
            self._queue.retry(key)
            logger.info("not written: the Lease is not held", extra={"key": key})
        except ApiError as problem:
            self._failed(key, str(problem))
        except Exception:
            self._failed(key, "unexpected error", exc_info=True)
        finally:
            self._queue.done(key)
            self._meter.reconciled(outcome.result, outcome.reason, time.monotonic() - started)

    def _schedule(self, key: Key, outcome: Outcome) -> None:
        if outcome.result == "waiting":
            self._queue.retry(key)
        else:
            self._queue.succeeded(key)
        if outcome.look_again_in is not None:
            self._queue.add(key, after=outcome.look_again_in)

    def _failed(self, key: Key, why: str, exc_info: bool = False) -> None:
        pause = self._queue.retry(key)
        self._meter.retried()
        logger.warning("%s; again in %.1f s", why, pause, extra={"key": key}, exc_info=exc_info)

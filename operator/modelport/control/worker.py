"""Takes keys from the queue and reconciles them, several at a time. It must never let one key's failure reach another, and
never let what becomes ready wait until others have been created."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from modelport.control.meter import Meter
from modelport.control.queue import Lane, WorkQueue
from modelport.control.reconcile import Outcome
from modelport.kube.errors import ApiError
from modelport.kube.lease import NotLeader
from modelport.state.observed import Key

logger = logging.getLogger(__name__)

FOR_READINESS = 2
"""Workers beyond the others, which take nothing else: those may all wait for the API server to create something."""


@dataclass(frozen=True, slots=True)
class _Crew:
    """Workers who take keys of these lanes."""

    name: str
    up_to: Lane
    size: int
    idle: asyncio.Semaphore
    handed: asyncio.Queue[Key]

    @classmethod
    def of(cls, name: str, up_to: Lane, size: int) -> _Crew:
        return cls(name, up_to, size, asyncio.Semaphore(size), asyncio.Queue())


class Workers:
    """A bounded number of reconciles at the same time: `at_once`, and a few for readiness alone."""

    def __init__(
        self, queue: WorkQueue, reconcile: Callable[[Key], Awaitable[Outcome]], meter: Meter, at_once: int
    ) -> None:
        self._queue, self._reconcile, self._meter = queue, reconcile, meter
        self._crews = (
            _Crew.of("worker", Lane.RESYNC, at_once),
            _Crew.of("readiness worker", Lane.READINESS, FOR_READINESS),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._died: Callable[[asyncio.Task[None]], None] = lambda task: None

    def start(self, may_begin: Awaitable[None], died: Callable[[asyncio.Task[None]], None]) -> None:
        """Start the workers, who wait for `may_begin`; `died` is told of one that ends before `stop`. No task is made
        later: at its end kopf cancels what it saw begin."""
        began = asyncio.ensure_future(may_begin)
        self._tasks = [
            asyncio.create_task(self._hand_out(began, crew), name=f"queue of each {crew.name}") for crew in self._crews
        ]
        self._tasks += [
            asyncio.create_task(self._take(crew), name=f"{crew.name} {n}")
            for crew in self._crews
            for n in range(crew.size)
        ]
        self._died = died
        for task in self._tasks:
            task.add_done_callback(died)

    async def stop(self, within: float) -> None:
        """Take nothing more, wait for what has begun, and break off what takes longer."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.remove_done_callback(self._died)
        for handing_out in self._tasks[: len(self._crews)]:
            handing_out.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                for crew in self._crews:
                    for _ in range(crew.size):
                        await crew.idle.acquire()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hand_out(self, may_begin: asyncio.Future[None], crew: _Crew) -> None:
        await may_begin
        while True:
            await crew.idle.acquire()
            try:
                key = await self._queue.get(crew.up_to)
            except asyncio.CancelledError:
                crew.idle.release()
                raise
            crew.handed.put_nowait(key)

    async def _take(self, crew: _Crew) -> None:
        while True:
            key = await crew.handed.get()
            try:
                await self._work(key)
            finally:
                crew.idle.release()

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

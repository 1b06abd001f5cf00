"""Workers: no key is forgotten, and a worker that dies is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelport.control.queue import Lane, WorkQueue
from modelport.control.reconcile import Outcome
from modelport.control.worker import Workers
from modelport.kube.errors import Unavailable
from modelport.kube.lease import NotLeader
from modelport.state.observed import Key

KEY = ("ns", "a")


class Meter:
    def __init__(self) -> None:
        self.results: list[str] = []

    def reconciled(self, result: str, reason: str, seconds: float) -> None:
        self.results.append(result)

    def retried(self) -> None:
        """Not counted here."""


class Play:
    """Workers whose reconcile does these things one after the other."""

    def __init__(self, *happens: Exception | Outcome) -> None:
        self.happens = list(happens)
        self.over = asyncio.Event()
        self.died: list[asyncio.Task[None]] = []
        self.queue, self.meter = WorkQueue(jitter=lambda: 0.0), Meter()
        self.workers = Workers(self.queue, self._reconcile, self.meter, 2)  # type: ignore[arg-type]

    async def _reconcile(self, key: Key) -> Outcome:
        what = self.happens.pop(0)
        if not self.happens:
            self.over.set()
        if isinstance(what, Exception):
            raise what
        return what

    async def run(self) -> list[str]:
        self.workers.start(asyncio.sleep(0), self.died.append)
        self.queue.add(KEY)
        async with asyncio.timeout(5):
            await self.over.wait()
        await self.workers.stop(5)
        return self.meter.results


@pytest.mark.parametrize(
    "failure", [NotLeader("the renewal hangs"), Unavailable(0, "no answer"), RuntimeError("a mistake")]
)
async def test_a_key_that_could_not_be_worked_on_comes_back(failure: Exception) -> None:
    assert await Play(failure, Outcome("done")).run() == ["failed", "done"]


async def test_what_waits_is_also_looked_at_when_it_asked_for_it() -> None:
    play = Play(Outcome("waiting", look_again_in=0.0), Outcome("done"))
    play.queue = WorkQueue(jitter=lambda: 1e6)
    play.workers = Workers(play.queue, play._reconcile, play.meter, 2)  # type: ignore[arg-type]
    assert await play.run() == ["waiting", "done"]


async def test_readiness_waits_for_no_creation() -> None:
    created, ready = asyncio.Event(), asyncio.Event()

    async def reconcile(key: Key) -> Outcome:
        if key == KEY:
            ready.set()
        else:
            await created.wait()
        return Outcome("done")

    queue = WorkQueue()
    workers = Workers(queue, reconcile, Meter(), 2)  # type: ignore[arg-type]
    workers.start(asyncio.sleep(0), lambda task: None)
    for number in range(10):
        queue.add(("ns", f"new-{number}"))
    await asyncio.sleep(0.05)
    queue.add(KEY, lane=Lane.READINESS)
    async with asyncio.timeout(5):
        await ready.wait()
    assert queue.depth == 8
    created.set()
    await workers.stop(5)


async def test_workers_that_stop_have_not_died() -> None:
    play = Play(Outcome("done"))
    await play.run()
    assert play.died == []


async def test_a_worker_that_dies_is_told() -> None:
    class Broken(Meter):
        def reconciled(self, result: str, reason: str, seconds: float) -> Any:
            raise RuntimeError("a mistake in the counting")

    play = Play(Outcome("done"))
    died = asyncio.Event()
    workers = Workers(play.queue, play._reconcile, Broken(), 1)  # type: ignore[arg-type]
    workers.start(asyncio.sleep(0), lambda task: (play.died.append(task), died.set())[0])
    play.queue.add(KEY)
    async with asyncio.timeout(5):
        await died.wait()
    (task,) = play.died
    assert isinstance(task.exception(), RuntimeError)
    await workers.stop(0.01)

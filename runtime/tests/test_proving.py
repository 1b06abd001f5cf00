"""The prover beside an application in the same loop: what one question that waits does to it, and what the log repeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from modelport_runtime import proving, verdict
from modelport_runtime.asgi import App, Receive, Scope, Send
from modelport_runtime.counting import Counting
from modelport_runtime.draining import Draining
from modelport_runtime.metrics import Metrics
from modelport_runtime.proving import Prover, Served
from modelport_runtime.settings import Request, Settings
from modelport_runtime.verdict import Reason

LONG = 3600.0


class Slow:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def proved(app: App, settings: Settings) -> AsyncIterator[Prover]:
    counting = Counting(app, Metrics(), Draining(settings.drain), settings)
    prover = Prover(settings, Path())
    served = Served(counting, asyncio.get_running_loop())
    tasks = [asyncio.create_task(prover.run(served)), asyncio.create_task(prover.repeat())]
    try:
        yield prover
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - looks at what no event tells
            await asyncio.sleep(0.01)


async def test_an_answer_that_comes_late_heals_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "RETRY", LONG)
    app = Slow()
    async with proved(app, Settings(request=Request(), interval=LONG, timeout=0.05)) as prover:
        prover_says = prover.verdict
        await until(lambda: prover_says(False).reason is Reason.NOT_ANSWERING)
        app.go.set()
        await until(lambda: prover_says(False).reason is Reason.ANSWERED)
    assert app.asked == 1


async def test_a_question_is_given_up_after_patience_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "RETRY", 0.01)
    app = Slow()
    async with proved(app, Settings(request=Request(), interval=0.01, timeout=0.05)):  # ten time-outs are 0.5 s
        await until(lambda: app.asked == 2)


async def test_the_reason_is_repeated_while_a_question_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The application may fill the log, of which only the end is read."""
    monkeypatch.setattr(proving, "NEWS", 0.01)
    monkeypatch.setattr(verdict, "AGAIN", 0.01)
    caplog.set_level(logging.INFO, "modelport_runtime")
    async with proved(Slow(), Settings(request=Request(), interval=LONG, timeout=LONG)):
        await until(lambda: len(caplog.records) >= 3)
    assert {record.getMessage() for record in caplog.records} == {
        "prove: not ready: Starting: the application started; GET / was not answered yet"
    }

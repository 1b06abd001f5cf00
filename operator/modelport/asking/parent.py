"""The operator's end of the asking process: starts it with the first question, and again when it has died.

It must never import a client library, and never leave a question without an answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from itertools import count

from modelport.asking.wire import LONGEST_LINE, Answer, Ask
from modelport.render.desired import Question
from modelport.state.observed import DoorResult

logger = logging.getLogger(__name__)
_GRACE = 10.0  # seconds beyond the question's own deadline; the first one waits for the client library to load
_LEFT_OUT = ("openai_", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Asking:
    """Asks questions in a child process. `run` has to run for as long as questions are asked."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._wanted = asyncio.Event()
        self._started = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._prepared: set[str] = set()

    @property
    def pid(self) -> int | None:
        """The process id, while there is one."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Start the process when it is first wanted, and again whenever it has died, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            process = await self._spawn()
            self._process = process
            for runtime in self._prepared:
                self._send(Ask.preparation(runtime))
            self._started.set()
            try:
                await self._read(process)
                logger.warning("the asking process has ended")
            finally:
                self._started.clear()
                self._process = None
                self._nobody_answers()
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def prepare(self, runtime: str) -> None:
        """A question for this runtime will come: have the process and its client library loaded by then."""
        if runtime in self._prepared:
            return
        self._prepared.add(runtime)
        if self._started.is_set():
            self._send(Ask.preparation(runtime))
        else:
            self._wanted.set()

    async def ask(self, url: str, question: Question) -> tuple[DoorResult, str]:
        """The answer through `url`; always one, at the latest a little after the question's time-out."""
        ask = Ask.of(next(self._numbers), url, question)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = waiting
        try:
            async with asyncio.timeout(question.timeout + _GRACE):
                if not self._started.is_set():
                    self._wanted.set()
                    await self._started.wait()
                self._send(ask)
                answer = await waiting
        except (OSError, TimeoutError) as problem:
            logger.warning("the asking process did not answer: %r", problem)
            return DoorResult.UNREACHABLE, "the operator's asking process did not answer"
        finally:
            self._waiting.pop(ask.id, None)
        return answer.result, answer.detail

    def _send(self, ask: Ask) -> None:
        """Questions are short and few: the pipe takes them without waiting."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(ask.line())

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "modelport.asking",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            env={key: value for key, value in os.environ.items() if not key.lower().startswith(_LEFT_OUT)},
            start_new_session=True,  # Ctrl-C in a terminal is for the operator; the process ends with its pipe
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand answers to those who wait, until the process ends."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = Answer.parse(line)
            waiting = self._waiting.get(answer.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    def _nobody_answers(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the asking process ended"))

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
    """Asks questions in a child process."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def ask(self, url: str, question: Question) -> tuple[DoorResult, str]:
        """The answer through `url`; always one, at the latest a little after the question's time-out."""
        ask = Ask.of(next(self._numbers), url, question)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = waiting
        try:
            process = await self._running()
            assert process.stdin is not None
            process.stdin.write(ask.line())
            await process.stdin.drain()
            async with asyncio.timeout(question.timeout + _GRACE):
                answer = await waiting
        except (OSError, TimeoutError) as problem:
            logger.warning("the asking process did not answer: %r", problem)
            return DoorResult.UNREACHABLE, "the operator's asking process did not answer"
        finally:
            self._waiting.pop(ask.id, None)
        return answer.result, answer.detail

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "modelport.asking",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=LONGEST_LINE,
                    env={key: value for key, value in os.environ.items() if not key.lower().startswith(_LEFT_OUT)},
                    start_new_session=True,  # Ctrl-C in a terminal is for the operator, which then closes the pipe
                )
                self._reader = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand answers to those who wait, until the process ends; then nobody waits for it any longer."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = Answer.parse(line)
            waiting = self._waiting.get(answer.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        code = await process.wait()
        if self._process is process:
            logger.warning("the asking process ended with %s", code)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the asking process ended"))

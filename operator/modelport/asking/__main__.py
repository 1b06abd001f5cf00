"""The asking process: questions on standard input, answers on standard output, until standard input ends.

It is a process of its own so that the client libraries' memory is not the operator's. It must never print anything
else on standard output, and never keep a question longer than its deadline.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import sys
from functools import cache
from types import ModuleType

from modelport.asking.verdict import Refused
from modelport.asking.wire import LONGEST_LINE, Answer, Ask
from modelport.state.observed import DoorResult

_AT_ONCE = 16
_CLIENTS = {"vllm": "modelport.asking.vllm", "triton": "modelport.asking.triton"}
_PLAIN = "modelport.asking.http"


@cache
def _client(name: str) -> ModuleType:
    """Load a client library, with the first question that needs it. What it made stays for ever: the garbage collector need
    not look at it with every question."""
    module = importlib.import_module(name)
    gc.freeze()
    return module


async def answer(question: Ask) -> Answer:
    """Ask, and never fail."""
    try:
        client = _client(_CLIENTS.get(question.runtime, _PLAIN))
        if not question.url:
            return Answer(question.id, DoorResult.UNREACHABLE, "nobody was asked")
        async with asyncio.timeout(question.timeout):
            return Answer(question.id, DoorResult.ANSWERED, await client.ask(question))
    except Refused as refusal:
        return Answer(question.id, refusal.result, refusal.detail)
    except TimeoutError:
        detail = f"no answer through the Service within {question.timeout:g} s"
        return Answer(question.id, DoorResult.UNREACHABLE, detail)
    except Exception as problem:  # whatever a library raises, the operator is owed an answer
        return Answer(question.id, DoorResult.UNREACHABLE, f"{type(problem).__name__}: {problem}")


async def serve(questions: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
    """Answer every line, several at a time, until there are no more."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(line: bytes) -> None:
        async with slots:
            answers.write((await answer(Ask.parse(line))).line())
        await answers.drain()

    async with asyncio.TaskGroup() as group:
        while line := await questions.readline():
            group.create_task(one(line))


async def main() -> None:
    """Serve standard input and output."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # What libraries print goes to standard error.
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, own)
    await serve(reader, asyncio.StreamWriter(transport, protocol, None, loop))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(main())

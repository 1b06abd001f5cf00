"""What a process is doing, as lines of the log: where each task stands, what the queue holds, who fails.

For SIGUSR1. It must never change anything, and never write more than some hundred lines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from modelport.app.history import History
from modelport.control.queue import WorkQueue

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)  # whoever sends the signal wants to see it, whatever level is set
_MOST = 100


def dump(queue: WorkQueue, history: History, **about: Any) -> None:
    """Write it down; `about` says more about the process as a whole."""
    under_way, failing = history.under_way, queue.in_back_off
    counts = {"depth": queue.depth, "oldest": queue.age, "inWork": len(under_way), "inBackOff": len(failing)}
    logger.info("dump: queue", extra={"facts": {**about, **_rounded(counts)}})
    for key, seconds in sorted(under_way.items(), key=lambda one: -one[1]):
        logger.info("dump: in work", extra={"key": key, "facts": _rounded({"seconds": seconds})})
    for key in failing[:_MOST]:
        standing, ended = queue.standing(key), history.ended(key)
        facts = {"failures": standing.failures, "dueIn": standing.due_in, "problem": ended and ended.problem}
        logger.info("dump: in back-off", extra={"key": key, "facts": _rounded(facts)})
    tasks = sorted(asyncio.all_tasks(), key=asyncio.Task.get_name)
    for task in tasks[:_MOST]:
        logger.info("dump: task", extra={"facts": {"task": task.get_name(), "at": list(stands(task))}})
    left_out = max(0, len(failing) - _MOST), max(0, len(tasks) - _MOST)
    logger.info("dump: end", extra={"facts": {"leftOut": {"inBackOff": left_out[0], "tasks": left_out[1]}}})


def stands(task: asyncio.Task[Any]) -> Iterator[str]:
    """Where it stands, from its own function to the one that waits: module, line, function."""
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = _first(waiting, "cr_frame", "gi_frame", "ag_frame")
        if frame is None:
            return
        yield f"{frame.f_globals.get('__name__')}:{frame.f_lineno} {frame.f_code.co_qualname}"
        waiting = _first(waiting, "cr_await", "gi_yieldfrom", "ag_await")


def _first(thing: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)


def _rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}

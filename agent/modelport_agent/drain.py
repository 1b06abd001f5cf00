"""Waits until a server has nothing to do, so that stopping it cuts nobody off. It never asks the model anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from modelport_agent.config import Drain
from modelport_agent.prove.model import Work

LOOK_EVERY = 0.5


def idle(previous: Work | None, current: Work | None) -> bool:
    """Nothing in progress, twice, and nothing done in between (Triton counts only what waits, not what runs)."""
    if previous is None or current is None:
        return False
    return previous.others == current.others == 0 and previous.progress == current.progress


async def drain(limits: Drain, look: Callable[[], Awaitable[Work | None]]) -> bool:
    """True when the server became idle, False when the deadline came first."""
    began, previous = time.monotonic(), None
    await asyncio.sleep(min(limits.delay, limits.deadline))
    while (left := limits.deadline - (time.monotonic() - began)) > 0:
        try:
            current = await asyncio.wait_for(look(), left)
        except TimeoutError:
            return False
        if idle(previous, current):
            return True
        previous = current
        await asyncio.sleep(min(LOOK_EVERY, max(left, 0.0)))
    return False

"""Waits until a server has nothing to do, so that stopping it cuts nobody off. It never asks the model anything.

Triton counts what waits and what is finished, not what runs. There the counts have to stand still for twice as long as
an answer usually takes; a request that runs for longer still is left to Triton's own --exit-timeout-secs, as nothing
tells of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from modelport_agent.config import Drain
from modelport_agent.prove.model import Work

LOOK_EVERY = 0.5


def idle(previous: Work | None, current: Work | None) -> bool:
    """Nothing in progress, twice, and nothing done in between."""
    if previous is None or current is None:
        return False
    return previous.others == current.others == 0 and previous.progress == current.progress


def over(work: Work | None, still: float) -> bool:
    """Whether `still` seconds without a change rule out that something runs."""
    return work is not None and still >= 2 * work.unseen


async def drain(
    limits: Drain,
    look: Callable[[], Awaitable[Work | None]],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bool:
    """True when the server became idle, False when the deadline came first."""
    began, previous = clock(), None
    await sleep(min(limits.delay, limits.deadline))
    since = clock()
    while (left := limits.deadline - (clock() - began)) > 0:
        try:
            current = await asyncio.wait_for(look(), left)
        except TimeoutError:
            return False
        if not idle(previous, current):
            since = clock()
        elif over(current, clock() - since):
            return True
        previous = current
        await sleep(min(LOOK_EVERY, max(left, 0.0)))
    return False

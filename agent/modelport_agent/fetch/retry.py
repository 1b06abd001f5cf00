"""Another try for what may pass by itself, with growing pauses, bounded, and told on standard output."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from modelport_agent.fetch.errors import Code, FetchError, TransientError

T = TypeVar("T")
TRIES = 6
LONGEST = 60.0
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def pause(failures: int, asked: float | None) -> float:
    """Seconds before the next try: 1, 2, 4, ... 30, or what the server asked for, at most a minute."""
    return min(LONGEST, asked if asked is not None else min(30.0, 2.0 ** (failures - 1)))


def retrying(
    what: str, call: Callable[[], T], moved: Callable[[], int] = lambda: 0, sleep: Callable[[float], None] = time.sleep
) -> T:
    """`call()`; a TransientError is tried again until TRIES in a row brought nothing (`moved` did not grow)."""
    failures, before = 0, moved()
    while True:
        try:
            return call()
        except TransientError as error:
            failures = 1 if moved() > before else failures + 1
            before = moved()
            if failures >= TRIES:
                raise FetchError(Code.NETWORK, f"{what}: {error} ({failures} tries)") from error
            seconds = pause(failures, error.wait)
            print(f"fetch: {what}: {error}; trying again in {seconds:g} s ({failures} of {TRIES - 1})", flush=True)
            sleep(seconds)


def retry_after(value: str | None) -> float | None:
    """The Retry-After header's seconds; its date form is not worth a clock."""
    return float(value) if value and value.isdigit() else None

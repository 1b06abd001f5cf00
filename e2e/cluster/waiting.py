"""Waiting for something that can be checked. It must never stand for a check: it only repeats one."""

from __future__ import annotations

import time
from collections.abc import Callable

from e2e.host import SetupError


def _nothing() -> None:
    """Nothing to look at meanwhile."""


def wait_for(what: str, check: Callable[[], bool], seconds: float, meanwhile: Callable[[], None] = _nothing) -> None:
    """Repeat `check` until it holds; `meanwhile` may raise when there is nothing left to wait for."""
    deadline = time.monotonic() + seconds
    while not check():
        meanwhile()
        if time.monotonic() > deadline:
            raise SetupError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)

"""Gives memory that is free back to the node. glibc keeps it where something small lies behind it, so that each list of many
resources would leave the process larger. It must never be needed: another C library has no such call."""

from __future__ import annotations

import asyncio
import ctypes

EVERY = 60.0


async def give_back() -> None:
    """Once a minute, until cancelled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(EVERY)
        if trim is not None:
            trim(0)

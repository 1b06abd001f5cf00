"""Keeps memory that is free from staying with the process, which glibc does where something small lies behind it: each list of
many resources would leave the operator larger. It must never be needed: another C library has none of these calls."""

from __future__ import annotations

import asyncio
import ctypes

EVERY = 60.0
_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 128 << 10  # bytes, as at the start: glibc raises it to the largest block that was freed


async def give_back() -> None:
    """From now on large blocks go back to the node as soon as they are free, and others once a minute, until cancelled."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    while True:
        await asyncio.sleep(EVERY)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)

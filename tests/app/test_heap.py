"""Free memory goes back to the node, though what lies behind it is in use."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from modelport.app import heap

MIB = 1 << 20


def resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


async def test_what_is_free_between_what_is_used_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "EVERY", 0.01)
    blocks = [b"x" * (20 << 10) for _ in range(64 * MIB // (20 << 10))]
    kept = blocks[::2]
    blocks.clear()
    before = resident()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await heap.give_back()
    assert resident() < before - 16
    assert kept

"""Free memory goes back to the node, though what lies behind it is in use."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from pathlib import Path
from modelport.app import heap

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) >> 10

def filled_and_freed(size, behind=2048):
    blocks = [(b"x" * size, b"y" * behind) for _ in range((64 << 20) // size)]
    before = resident()
    kept = [small for _, small in blocks]
    blocks.clear()
    return before, kept

async def main():
    heap.EVERY = {every}
    giving = asyncio.create_task(heap.give_back())
    await asyncio.sleep(0.1)
    filled_and_freed({size})
    before, kept = filled_and_freed({size})
    await asyncio.sleep(0.5)
    print(before - resident(), len(kept))

asyncio.run(main())
"""


@pytest.mark.parametrize(("size", "every"), [(20 << 10, 0.1), (300 << 10, 3600.0)], ids=["small", "large"])
def test_what_is_free_between_what_is_used_is_given_back(size: int, every: float) -> None:
    program = PROGRAM.format(size=size, every=every)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 48, "MiB"
    assert kept

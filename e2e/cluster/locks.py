"""One file lock between processes. It must never be held without a word to the one who waits."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def say(text: str) -> None:
    """Progress goes to standard error: standard output belongs to what was asked for."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path, purpose: str) -> Iterator[None]:
    """Hold `path` as a lock; the kernel releases it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process: {purpose}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

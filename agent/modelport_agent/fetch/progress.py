"""Tells on standard output how far a fetch is: a line every two seconds, and one at the end."""

from __future__ import annotations

import threading
import time
from types import TracebackType

EVERY_SECONDS = 2.0
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """Bytes for people: 1.2 GiB."""
    power = 0
    while count >= 1024 and power < len(UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.0f} {UNITS[power]}" if power == 0 else f"{count:.1f} {UNITS[power]}"


class Progress:
    """Counts from several threads; `with` starts and ends the telling."""

    def __init__(self, label: str, files: int, total: int) -> None:
        self.label, self.files, self.total = label, files, total
        self.done_files = self.bytes = self.kept = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def count(self, amount: int) -> None:
        with self._lock:
            self.bytes += amount

    def keep(self, amount: int) -> None:
        """Bytes that an earlier run brought: done, but not part of the rate."""
        with self._lock:
            self.bytes += amount
            self.kept += amount

    def finished_file(self) -> None:
        with self._lock:
            self.done_files += 1

    def line(self) -> str:
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = max(self.bytes - self.kept, 0) / seconds
        share = f" ({100 * self.bytes // self.total} %)" if self.total else ""
        rest = max(self.total - self.bytes, 0)
        left = f", about {rest / rate:.0f} s left" if rate and rest else ""
        amounts = f"{size(self.bytes)} of {size(self.total)}{share}"
        return f"fetch: {self.label}: {self.done_files} of {self.files} files, {amounts}, {size(rate)}/s{left}"

    def _tell(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            print(self.line(), flush=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            print(self.line(), flush=True)

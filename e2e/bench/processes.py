"""What processes have used, as the kernel counts it: CPU seconds and memory. It must never signal any of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Times:
    """CPU seconds of one process, with its parent."""

    parent: int
    seconds: float


def snapshot() -> dict[int, Times]:
    """Every process of the machine."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        times = _read(entry)
        if times is not None:
            found[int(entry.name)] = times
    return found


def parse(stat: str) -> Times:
    """A line of /proc/PID/stat; the command in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return Times(int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS)


def seconds(times: dict[int, Times], pids: Iterable[int]) -> float:
    """Of these together; one that has ended counts nothing."""
    return sum(times[pid].seconds for pid in pids if pid in times)


def children(times: dict[int, Times], pid: int) -> list[int]:
    """Direct children that run now."""
    return [child for child, of in times.items() if of.parent == pid]


def busy() -> float:
    """CPU seconds of the whole machine since it started, without those in which it waited or had nothing to do."""
    user, nice, system, _idle, _waiting, irq, softirq, steal, *_ = (
        int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def peak_mib(pid: int) -> float:
    """The most memory that was ever resident of a running process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _read(entry: Path) -> Times | None:
    try:
        return parse((entry / "stat").read_text())
    except OSError:  # it ended while it was being looked at
        return None

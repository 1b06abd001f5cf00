"""The control groups of the cluster: every process of it, pods included, is below one group of our own.

So all of them are found even when the records of their parents are lost. It must never touch another group.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

NAME = "modelport"
PODS = f"{NAME}/kubepods"
_PROGRAMS = f"{NAME}/programs"


def make() -> None:
    """Make the group in every hierarchy; on cgroup v1 a new cpuset is empty until it copies its parent's."""
    for root in _hierarchies():
        for group in (root / NAME, root / _PROGRAMS):
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                value = group.parent / name
                if value.exists() and (group / name).read_text().strip() == "" and not _unified(root):
                    (group / name).write_text(value.read_text())


def joining(command: tuple[str, ...]) -> tuple[str, ...]:
    """A prefix that puts a program into our group, then runs `command`; on v1 the pids hierarchy tells who is ours."""
    return ("sh", "-c", f'echo $$ > {_listing() / _PROGRAMS}/cgroup.procs && exec "$@"', "sh", *command)


def kill_all(group: str = NAME, seconds: float = 20.0) -> None:
    """Kill every process below the group, again and again until there is none."""
    deadline = time.monotonic() + seconds
    while (found := list(_members(group))) and time.monotonic() < deadline:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def remove() -> None:
    """Remove our groups, the innermost first; runc makes some in a unified hierarchy beside v1, too."""
    for root in [*_mounted("cgroup"), *_mounted("cgroup2")]:
        top = root / NAME
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError as error:
                print(f"control group {folder} stays: {error}", flush=True)


def _members(group: str) -> Iterator[int]:
    for path in (_listing() / group).rglob("cgroup.procs"):
        try:
            yield from (int(pid) for pid in path.read_text().split())
        except OSError:  # the group went away, or (v2) is threaded
            continue


def _hierarchies() -> list[Path]:
    """The mounted v1 hierarchies, or the unified one where there is no other."""
    return _mounted("cgroup") or _mounted("cgroup2")


def _mounted(kind: str) -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] == kind]


def _listing() -> Path:
    """The hierarchy by which we tell our processes."""
    hierarchies = _hierarchies()
    return next((root for root in hierarchies if "pids" in root.name.split(",")), hierarchies[0])


def _unified(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()

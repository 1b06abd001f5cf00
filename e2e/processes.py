"""The processes of a container as the node sees them. Only where the node is this machine, as in our own cluster."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from e2e.kube import Json


@dataclass(frozen=True)
class Process:
    """A process of a container: its id on the node, its id in the container, its command line."""

    pid: int
    inner_pid: int
    command: tuple[str, ...]

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short."""
        os.kill(self.pid, signal.SIGKILL)


def of_container(pod: Json, container: str) -> list[Process]:
    """The processes of one container of a pod, the first one first."""
    statuses = pod["status"]["containerStatuses"] + pod["status"].get("initContainerStatuses", [])
    (identity,) = [
        status["containerID"].removeprefix("containerd://") for status in statuses if status["name"] == container
    ]
    found = [process for entry in Path("/proc").glob("[0-9]*") if (process := _read(entry, identity))]
    if not found:
        raise LookupError(
            f"no process of {container} is on this machine: these tests need the cluster of `make cluster`"
        )
    return sorted(found, key=lambda process: process.inner_pid)


def _read(entry: Path, identity: str) -> Process | None:
    try:
        if identity not in (entry / "cgroup").read_text():
            return None
        status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines() if ":\t" in line)
        command = (entry / "cmdline").read_bytes().decode(errors="replace").removesuffix("\0").split("\0")
    except OSError:  # it ended while it was being looked at
        return None
    return Process(int(entry.name), int(status["NSpid"].split()[-1]), tuple(command))

"""Programs that run on, recorded by process id and start time, so that a later command can find and end them.

It must never signal a process that it has not recorded: an id that the kernel gave away again is told apart by
the start time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.commands import environment
from e2e.host import SetupError

# Waits for the end of the pipe, then kills what is recorded in the folder it stands in.
_GUARD = r"""read -r _
for file in *.json; do kill -9 "$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$file")"; done
"""


@dataclass(frozen=True)
class Record:
    """A process as the kernel tells it apart: its id, and when it started (ticks since boot), in which boot."""

    pid: int
    started: int
    boot: str


class Processes:
    """The programs whose records and logs lie in one folder."""

    def __init__(self, directory: Path) -> None:
        self._records = directory / "processes"
        self._logs = directory / "logs"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start `command` in a session of its own, unless it runs already."""
        if self.alive(name):
            return
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), start_new_session=True
            )
        self._children[name] = child
        started = _started(child.pid)
        if started is not None:
            record = {"pid": child.pid, "started": started, "boot": boot_id()}
            (self._records / f"{name}.json").write_text(json.dumps(record))

    def alive(self, name: str) -> bool:
        """Whether the recorded process still runs."""
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            return False
        record = self.record(name)
        return record is not None and record.boot == boot_id() and _started(record.pid) == record.started

    def record(self, name: str) -> Record | None:
        """What was recorded of `name`, or None."""
        try:
            return Record(**json.loads((self._records / f"{name}.json").read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def names(self) -> list[str]:
        """Every program ever started and not stopped."""
        return sorted(path.stem for path in self._records.glob("*.json"))

    def stop(self, name: str, grace: float = 5.0) -> None:
        """End the process: asked first, killed after `grace` seconds."""
        record = self.record(name)
        for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if record is None or not self.alive(name):
                break
            os.kill(record.pid, number)
            self._wait_for_end(name, wait)
        child = self._children.pop(name, None)
        if child is not None:
            child.wait()
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def end_with_this_process(self) -> None:
        """Have the programs killed when this process ends, however it ends (the guard reads a pipe of ours)."""
        self._records.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD], stdin=subprocess.PIPE, cwd=self._records, start_new_session=True
        )

    def release(self) -> None:
        """Send the guard home."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def log(self, name: str) -> Path:
        """The file that has the program's output."""
        return self._logs / f"{name}.log"

    def check(self, name: str) -> None:
        """Raise with the end of its log where the program has ended."""
        if not self.alive(name):
            tail = self.log(name).read_text(errors="replace")[-2000:] if self.log(name).exists() else ""
            raise SetupError(f"{name} has ended; the end of {self.log(name)}:\n{tail}")

    def _wait_for_end(self, name: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.alive(name) and time.monotonic() < deadline:
            time.sleep(0.02)


def _environment() -> dict[str, str]:
    """What programs get of ours: no proxies, no KUBECONFIG."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": environment()["PATH"]}


def boot_id() -> str:
    """Differs after every boot: ids and start times say nothing across one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _started(pid: int) -> int | None:
    """The start time of a running process; None for none, or for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])

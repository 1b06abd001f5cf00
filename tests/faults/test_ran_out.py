"""Class 12: memory or disk run out."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.harness import Engine, until
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.container import Container
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

MANY = 5000
MIB = 1 << 20


class Memory:
    """A control group with a limit, which needs root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        old = (folder / "memory.limit_in_bytes").exists()
        self._limit = folder / ("memory.limit_in_bytes" if old else "memory.max")
        self._usage = folder / ("memory.usage_in_bytes" if old else "memory.current")

    @property
    def used(self) -> int:
        return int(self._usage.read_text())

    def limit(self, size: int) -> None:
        self._limit.write_text(str(size))


@pytest.fixture
def memory(namespace: str) -> Iterator[Memory]:
    first = Path("/sys/fs/cgroup/memory")
    folder = (first if first.is_dir() else first.parent) / f"modelport-{namespace}"
    folder.mkdir()
    yield Memory(folder)
    until("all of it has ended", lambda: not (folder / "cgroup.procs").read_text())
    folder.rmdir()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory(memory: Memory, stopped: Engine) -> None:
    """It is enough for a few resources, and kills the operator on its way to many, until it is raised."""
    stopped.operator.program = staged.program(cgroup=memory.folder)
    stopped.operator.start()
    prepare(stopped)
    memory.limit(memory.used + 16 * MIB)
    names = frozenset(f"model-{number:04}" for number in range(MANY))
    with Container(stopped.operator) as container:
        for name in sorted(names):
            stopped.apply(name, replicas=0)
        until("it was killed again and again", lambda: container.exits.count(-9) > 2, within=300)
        commotion(stopped)
        memory.limit(2048 * MIB)
        everything_is_as_it_should_be(stopped, PENDING | names, within=900)
        assert set(container.exits) == {-9}
    stopped.operator.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.long
@pytest.mark.slow
def test_disk(stopped: Engine, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it logs, works and keeps what is temporary; it ends and begins meanwhile, and logs again when there is room."""
    log = disk / "operator.log"
    stopped.operator = replace(stopped.operator, log=log)
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.chdir(disk)
    stopped.operator.start()
    prepare(stopped)
    fill(log)
    assert os.statvfs(disk).f_bavail == 0
    commotion(stopped)
    everything_is_as_it_should_be(stopped, PENDING)
    stopped.operator.kill()
    stopped.apply("edited", vllm={"maxModelLen": 256})
    stopped.operator.start()
    everything_is_as_it_should_be(stopped, PENDING)
    log.write_bytes(b"")
    process = stopped.operator.process
    assert process is not None
    process.send_signal(signal.SIGUSR1)
    until("it logs again", lambda: log.stat().st_size)
    stopped.operator.stop()


def fill(file: Path) -> None:
    with suppress(OSError), file.open("ab", buffering=0) as end:
        while True:
            end.write(bytes(1024))


def test_a_log_that_takes_no_line(stopped: Engine) -> None:
    stopped.operator.program = staged.program(log="/dev/full")
    process = stopped.operator.start().process
    assert process is not None
    prepare(stopped)
    process.send_signal(signal.SIGUSR1)
    commotion(stopped)
    everything_is_as_it_should_be(stopped, PENDING)
    assert stopped.operator.stop() == 0

"""`python -m tests.repeat`: each case of the faults many times in a row, several cases side by side, each with a control
plane of its own.

A case that has passed as often as it has to is not run again on the same sources, so that a run which was broken off goes
on where it was. Ends with status 1 where a case has failed; the file that holds its output is named.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from e2e.cluster.paths import cache

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("operator", "agent", "crds", "charts", "e2e", "tests", "pyproject.toml", "uv.lock")
FAST, SLOW = 20, 5
"""How often in a row; slow is what carries that marker."""
_QUIETLY = ("-q", "-x", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Case:
    """One test with its parameters."""

    name: str
    """pytest's node id."""
    times: int

    def mark(self, folder: Path) -> Path:
        """The file that is there once the case has passed; beside it lies the output of the last run."""
        return folder / hashlib.sha256(f"{self.name} {self.times}".encode()).hexdigest()[:16]

    def run(self, folder: Path) -> bool:
        """Whether it passed every time."""
        mark = self.mark(folder)
        command = [sys.executable, "-m", "pytest", *_QUIETLY, f"--count={self.times}", *self._repeated()]
        with mark.with_suffix(".log").open("wb") as log:
            passed = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode == 0
        if passed:
            mark.write_text(f"{self.name} {self.times}\n")
        return passed

    def _repeated(self) -> Iterator[str]:
        """pytest-repeat's name of each repetition: it has one parameter more."""
        for number in range(1, self.times + 1):
            repetition = f"{number}-{self.times}]"
            yield f"{self.name[:-1]}-{repetition}" if self.name.endswith("]") else f"{self.name}[{repetition}"


class _Collector:
    """What pytest finds."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def cases(paths: list[str], times: int | None) -> list[Case]:
    """All of them, those first that take longest."""
    collector = _Collector()
    with redirect_stdout(StringIO()) as said:
        status = pytest.main(["--collect-only", "-qq", *paths], plugins=[collector])
    if status != pytest.ExitCode.OK:
        raise SystemExit(said.getvalue())
    found = [(item, item.get_closest_marker("slow") is not None) for item in collector.items]
    found.sort(key=lambda one: not one[1])
    return [Case(item.nodeid, times or (SLOW if slow else FAST)) for item, slow in found]


def sources() -> str:
    """A hash of all that decides how a case ends."""
    digest = hashlib.sha256()
    for path in sorted(_files()):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for name in SOURCES:
        below = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*")
        yield from (path for path in below if path.is_file() and "__pycache__" not in path.parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.repeat", description=__doc__)
    parser.add_argument("paths", nargs="*", default=["tests/faults"], help="files or node ids; all faults unless given")
    parser.add_argument("--jobs", type=int, default=2, help="cases at the same time (default: %(default)s)")
    parser.add_argument("--times", type=int, help=f"how often in a row (default: {FAST}, and {SLOW} of slow cases)")
    parser.add_argument("--again", action="store_true", help="those, too, that have passed on the same sources")
    chosen = parser.parse_args()
    folder = cache() / "repeats" / sources()
    folder.mkdir(parents=True, exist_ok=True)
    every = cases(chosen.paths, chosen.times)
    left = [case for case in every if chosen.again or not case.mark(folder).exists()]
    print(f"{len(every)} cases, {len(every) - len(left)} of them passed before on these sources", flush=True)
    began, failed = time.monotonic(), []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        running = {pool.submit(case.run, folder): case for case in left}
        for number, done in enumerate(as_completed(running), 1):
            case = running[done]
            if not done.result():
                failed.append(case)
            word = "passed" if done.result() else f"FAILED, see {case.mark(folder).with_suffix('.log')}"
            minutes = (time.monotonic() - began) / 60
            print(f"[{number}/{len(left)}] {minutes:.1f} min: {case.name} x {case.times}: {word}", flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(every)} cases failed")
    print(f"{len(every)} cases, each passed as often in a row as it has to")


if __name__ == "__main__":
    main()

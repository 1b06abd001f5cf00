"""What the operator's process takes while time goes by, and whether any of it grows. It must never disturb the process."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import linear_regression, median

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot

from e2e.bench import processes
from tests.engine.harness import Operator, until

TEN_MINUTES = 600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    seconds: float
    """Since the beginning."""
    resident: float
    """MiB of the controller process."""
    asking: float
    """MiB of the process that asks the models."""
    tasks: int
    descriptors: int
    depth: float
    age: float
    """Seconds that the oldest key of the queue has waited."""
    cpu: float
    """Seconds of CPU so far, both processes."""
    reconciles: float
    done: int
    """What has happened to the resources so far."""


class Probe:
    """Looks at one operator."""

    def __init__(self, operator: Operator, done: Callable[[], int]) -> None:
        self._operator, self._done = operator, done
        self._began = time.monotonic()

    def look(self) -> Sample:
        """Now. The tasks are those of the operator's own dump."""
        process = self._operator.process
        assert process is not None
        assert process.poll() is None, f"the operator ended: {self._operator.log.read_text()[-3000:]}"
        times = processes.snapshot()
        family = [process.pid, *processes.children(times, process.pid)]
        return Sample(
            seconds=time.monotonic() - self._began,
            resident=_resident(process.pid),
            asking=sum(_resident(pid) for pid in family[1:]),
            tasks=self._tasks(process.pid),
            descriptors=len(list(Path(f"/proc/{process.pid}/fd").iterdir())),
            depth=self._operator.metric("modelport_queue_depth"),
            age=self._operator.metric("modelport_queue_age_seconds"),
            cpu=processes.seconds(times, family),
            reconciles=self._operator.metric("modelport_reconciles_total"),
            done=self._done(),
        )

    def _tasks(self, pid: int) -> int:
        log = self._operator.log
        before = log.stat().st_size
        self._operator.process.send_signal(signal.SIGUSR1)  # type: ignore[union-attr]
        dumped = until("the dump is written", lambda: _dumped(log, before))
        left_out = next(line["leftOut"]["tasks"] for line in dumped if line["message"] == "dump: end")
        return int(left_out) + sum(line["message"] == "dump: task" for line in dumped)


def _dumped(log: Path, since: int) -> list[dict[str, dict[str, int]]]:
    """The lines of a dump, once it is complete."""
    with log.open("rb") as file:
        file.seek(since)
        text = file.read()
    lines = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines() if b"dump: " in line]
    return lines if lines and lines[-1]["message"] == "dump: end" else []


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def slope(samples: Sequence[Sample]) -> float:
    """MiB by which the controller grows in ten minutes: least squares over the samples."""
    return linear_regression([one.seconds for one in samples], [one.resident for one in samples]).slope * TEN_MINUTES


def grown(samples: Sequence[Sample], of: Callable[[Sample], float], slack: float) -> tuple[float, float] | None:
    """The median of the first third and of the last, where the last is higher by more than a tenth and `slack`."""
    third = len(samples) // 3
    first, last = (median(map(of, part)) for part in (samples[:third], samples[-third:]))
    return (first, last) if last > 1.1 * first + slack else None


def write(samples: Sequence[Sample], warm: float, folder: Path) -> None:
    """Every sample as CSV, and a picture of what may grow; what came before `warm` is shaded."""
    with (folder / "samples.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Sample)])
        rows.writeheader()
        rows.writerows(asdict(one) for one in samples)
    drawn = ("resident", "asking", "tasks", "descriptors", "age", "depth")
    figure, parts = pyplot.subplots(2, 3, figsize=(13, 6.5), layout="constrained")
    for part, name in zip(parts.flat, drawn, strict=True):
        part.plot([one.seconds / 60 for one in samples], [getattr(one, name) for one in samples])
        part.axvspan(0, warm / 60, alpha=0.12)
        part.set(title=_TITLES[name], xlabel="minutes")
        part.set_ylim(bottom=0)
        part.grid(visible=True, alpha=0.25)
    figure.savefig(folder / "soak.png", dpi=120)
    pyplot.close(figure)


_TITLES = {
    "resident": "resident memory, MiB",
    "asking": "the asking process, MiB",
    "tasks": "asyncio tasks",
    "descriptors": "file descriptors",
    "age": "oldest key in the queue, seconds",
    "depth": "keys that wait",
}

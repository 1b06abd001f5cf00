"""What a measurement says: figures by contender and size, beside the null operator's, with the limits that Modelport holds.

Pure. It must never hide a run that was disturbed, or a limit that was not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from e2e.bench.result import Phase, Result

FLOOR, OURS = "null", "modelport"
DISTURBED = 0.15
"""Of one core: a run during which more was taken by others counts as disturbed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What Modelport's figure may be at most: as it stands, or in multiples of the null operator's."""

    most: float
    relative: bool = False
    sizes: tuple[int, ...] = ()
    """Only with so many resources; empty: with any number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    label: str
    figure: Callable[[Result], float | None]
    digits: int = 1
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure of one contender; `kept` is None where no limit says anything about it."""

    value: float | None
    ratio: float | None
    limit: Limit | None = None
    kept: bool | None = None


def disturbed(result: Result) -> bool:
    """Whether others took too much while resources were made."""
    return result.foreign_share > DISTURBED


def judge(row: Row, result: Result, floor: Result | None) -> Judged:
    """The figure, its ratio to the floor's, and whether it keeps its limit."""
    value = row.figure(result)
    below = row.figure(floor) if floor is not None else None
    ratio = value / below if value is not None and below else None
    limit = next((one for one in row.limits if not one.sizes or result.size in one.sizes), None)
    if result.contender != OURS or limit is None:
        return Judged(value, ratio)
    measured = ratio if limit.relative else value
    # Half a unit of the last digit that is shown is not over the limit.
    slack = 0.005 if limit.relative else 0.5 * 10.0**-row.digits
    return Judged(value, ratio, limit, None if measured is None else measured < limit.most + slack)


GROWTH = 1.2
"""With five times as many resources, each may cost this much more."""


def growth(results: Sequence[Result], small: int = 1000, large: int = 5000) -> Iterator[tuple[str, str, float]]:
    """How much more each contender's creation costs per resource with many than with few: 1.0 is linear."""
    for contender in dict.fromkeys(result.contender for result in results):
        by_size = {result.size: result for result in results if result.contender == contender}
        if small in by_size and large in by_size:
            for row in (CHILDREN_EXIST, OPERATOR_CPU):
                few, many = row.figure(by_size[small]), row.figure(by_size[large])
                if few and many:
                    yield contender, row.label, many / few * small / large


def _phase(name: str, value: Callable[[Phase], float | None]) -> Callable[[Result], float | None]:
    return lambda result: value(result.phases[name]) if name in result.phases else None


def _each(name: str, value: Callable[[Phase], float | None]) -> Callable[[Result], float | None]:
    """Of each resource."""

    def figure(result: Result) -> float | None:
        found = _phase(name, value)(result)
        return None if found is None else found / result.size

    return figure


def _milliseconds(name: str, figure: str) -> Callable[[Result], float | None]:
    def found(phase: Phase) -> float | None:
        seconds = phase.figures.get(figure)
        return None if seconds is None else 1000 * seconds

    return _phase(name, found)


CHILDREN_EXIST = Row(
    "all children exist (s)",
    _phase("create", lambda phase: phase.figures.get("all_children")),
    limits=(Limit(1.3, relative=True, sizes=(1000, 5000)),),
)
OPERATOR_CPU = Row(
    "CPU of the operator (s)",
    _phase("create", lambda phase: phase.cpu["operator"]),
    digits=2,
    limits=(Limit(2.5, relative=True, sizes=(1000, 5000)),),
)
PEAK = Row(
    "peak memory of the operator (MiB)",
    lambda result: result.peak_mib or None,
    digits=0,
    limits=(Limit(120, sizes=(1, 100, 1000)), Limit(250, sizes=(5000,))),
)

TABLE: dict[str, tuple[Row, ...]] = {
    "creation": (
        Row("writes per resource", _each("create", lambda phase: phase.requests["writes"]), 2, (Limit(5),)),
        Row("reads per resource", _each("create", lambda phase: phase.requests["gets"]), 2, (Limit(0),)),
        Row("dry runs per resource", _each("create", lambda phase: phase.requests["dry_runs"]), 2, (Limit(0),)),
        Row("refused requests", _phase("create", lambda phase: phase.requests["refused"]), 0),
        CHILDREN_EXIST,
        Row("all Ready (s)", _phase("create", lambda phase: phase.figures.get("all_ready"))),
        OPERATOR_CPU,
        Row("CPU of the operator per resource (ms)", lambda result: _per_resource(result)),
        Row("CPU of its asking process (s)", _phase("create", lambda phase: phase.cpu["asking"])),
        Row("CPU of API server and etcd (s)", _phase("create", lambda phase: phase.cpu["kube-apiserver"] + phase.cpu["etcd"])),
        PEAK,
        Row("peak memory of its asking process (MiB)", lambda result: result.asking_peak_mib, 0),
    ),
    "an idle minute": (
        Row("requests", _phase("idle", lambda phase: sum(_asked(phase)) / phase.seconds * 60), 1, (Limit(5),)),
        Row("CPU of the operator (s)", _phase("idle", lambda phase: phase.cpu["operator"] / phase.seconds * 60), 2),
    ),
    "restart, nothing changed": (
        Row("writes", _phase("restart", lambda phase: phase.requests["writes"]), 0, (Limit(0),)),
        Row("dry runs", _phase("restart", lambda phase: phase.requests["dry_runs"]), 0, (Limit(0),)),
        Row("reads", _phase("restart", lambda phase: phase.requests["gets"]), 0),
        Row("LISTs, their pages, and watches", _phase("restart", lambda phase: phase.requests["lists"]), 0),
        Row("until it is at rest (s)", _phase("restart", lambda phase: phase.figures.get("at_rest"))),
        Row("CPU of the operator (s)", _phase("restart", lambda phase: phase.cpu["operator"]), 2),
        Row("CPU of its asking process (s)", _phase("restart", lambda phase: phase.cpu["asking"]), 2),
        Row("peak memory of the operator (MiB)", _phase("restart", lambda phase: phase.figures.get("peak_mib")), 0),
    ),
    "one field of all changed": (
        Row("writes to children per resource", _each("change", lambda phase: phase.figures.get("children")), 2, (Limit(1),)),
        Row("writes to status per resource", _each("change", lambda phase: phase.requests["writes"] - (phase.figures.get("children") or 0)), 2, (Limit(2),)),
        Row("all children carry it (s)", _phase("change", lambda phase: phase.figures.get("all_children")), 1, (Limit(1.5, relative=True, sizes=(1000,)),)),
        Row("CPU of the operator (s)", _phase("change", lambda phase: phase.cpu["operator"]), 2),
    ),
    "child ready -> resource Ready, nothing else happens": (
        Row("median (ms)", _milliseconds("ready, calm", "ready_median"), 0),
        Row("median without the question through the door (ms)", _milliseconds("ready, calm", "share_median"), 0, (Limit(30),)),
        Row("99th percentile without the question (ms)", _milliseconds("ready, calm", "share_p99"), 0),
    ),
    "child ready -> resource Ready, while 1000 others are made": (
        Row("median without the question through the door (ms)", _milliseconds("ready, busy", "share_median"), 0),
        Row("99th percentile without the question (ms)", _milliseconds("ready, busy", "share_p99"), 0, (Limit(300),)),
    ),
}  # fmt: skip
"""Every line, by what happens."""


def _per_resource(result: Result) -> float | None:
    seconds = OPERATOR_CPU.figure(result)
    return None if seconds is None else 1000 * seconds / result.size


def _asked(phase: Phase) -> tuple[int, ...]:
    return tuple(number for kind, number in phase.requests.items() if kind != "refused")

"""`python -m e2e.bench`: measures the operator beside the null operator, or beside any other; README.md says how."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from e2e.bench import contender, plot, report, result, run, terminal
from e2e.bench.contender import Contender
from e2e.bench.driver import say
from e2e.bench.result import Result
from e2e.bench.stage import ROOT
from e2e.bench.web import BenchError
from e2e.host import SetupError

_WIDTH = 120  # of the table where the output is no terminal


def main() -> None:
    """Measure, then print, write and draw; status 1 where something went wrong."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, and folders go
    measured: list[Result] = []
    try:
        if options.profile is not None:
            _profile(options)
            return
        for one in _measured(options):
            measured.append(one)
    except (SetupError, contender.ContenderError, BenchError) as problem:
        say(f"error: {problem}")
        raise SystemExit(1) from None
    finally:
        if measured:
            _tell(measured, options.out or ROOT / "out" / "bench" / time.strftime("%Y%m%d-%H%M%S"))
    if any(one.broke_off for one in measured):
        raise SystemExit(1)


def _tell(measured: list[Result], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result.dump(measured, folder / "results.json")
    plot.draw(measured, folder / "growth.png")
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    terminal.show(measured, console)
    console.print(f"{folder / 'results.json'}\n{folder / 'growth.png'}", soft_wrap=True)


def _profile(options: argparse.Namespace) -> None:
    """Only the last contender, with the most resources up to a thousand."""
    one = [*_contenders(options)][-1]
    size = max((size for size in options.sizes if size <= 1000), default=options.sizes[0])
    say(f"{one.name} with {size}, sampled")
    run.profile(one, size, options.profile)
    print(options.profile)


def _contenders(options: argparse.Namespace) -> Iterator[Contender]:
    yield from (contender.load(contender.HERE / f"{name}.yaml") for name in options.contenders.split(","))
    yield from (contender.load(path) for path in options.contender)


def _measured(options: argparse.Namespace) -> Iterator[Result]:
    """Each contender with each number of resources; one that others disturbed is measured once more."""
    contenders = list(_contenders(options))
    for size in options.sizes:
        chosen = run.Options(
            idle=options.idle if size >= run.OTHERS else 0.0,
            change=size <= options.change_up_to,
            latency=size == min((each for each in options.sizes if each >= run.OTHERS), default=0),
        )
        for one in contenders:
            yield _undisturbed(one, size, chosen, keep=options.keep_disturbed)


def _undisturbed(one: Contender, size: int, chosen: run.Options, *, keep: bool) -> Result:
    say(f"{one.name} with {size}")
    first = run.measure(one, size, chosen)
    if keep or first.broke_off or not report.disturbed(first):
        return first
    say(f"  disturbed: others took {first.foreign_share:.0%} of a core; once more")
    again = run.measure(one, size, chosen)
    return min(first, again, key=lambda each: (bool(each.broke_off), each.foreign_share))


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, default=[1, 100, 1000, 5000], help="numbers of resources: 1,100,1000,5000"
    )
    parser.add_argument("--contenders", default="null,modelport", help="of those in e2e/bench/contenders")
    parser.add_argument("--contender", type=Path, action="append", default=[], metavar="FILE", help="another one")
    parser.add_argument("--idle", type=float, default=60, help="seconds to look on while nothing happens")
    parser.add_argument("--change-up-to", type=int, default=1000, help="the largest size at which all are changed, too")
    parser.add_argument("--keep-disturbed", action="store_true", help="measure once, and mark what others disturbed")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="no table: a flame graph (.svg) or stacks (.txt)")
    parser.add_argument("--out", type=Path, help="folder of results.json and growth.png")
    return parser


main()

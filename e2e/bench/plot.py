"""Draws how cost grows with the number of resources, each contender a line, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import LogFormatter

from e2e.bench.report import CHILDREN_EXIST, FLOOR, OPERATOR_CPU, PEAK, Row
from e2e.bench.result import Result

_DRAWN: tuple[Row, ...] = (OPERATOR_CPU, PEAK, CHILDREN_EXIST)


def draw(results: Sequence[Result], path: Path) -> None:
    """A picture with one part for each of CPU, memory and time."""
    figure, parts = pyplot.subplots(1, len(_DRAWN), figsize=(13, 4.2), layout="constrained")
    for part, row in zip(parts, _DRAWN, strict=True):
        for contender in dict.fromkeys(result.contender for result in results):
            points = [  # a logarithm has no place for nothing
                (one.size, value)
                for one in sorted(results, key=lambda one: one.size)
                if one.contender == contender and (value := row.figure(one))
            ]
            sizes, values = [size for size, _ in points], [value for _, value in points]
            part.plot(sizes, values, "--" if contender == FLOOR else "-", marker="o", label=contender)
        part.set(xscale="log", yscale="log", title=row.label, xlabel="resources")
        ticks = sorted({result.size for result in results})
        part.set_xticks(ticks, [str(size) for size in ticks])
        part.yaxis.set_major_formatter("{x:g}")
        part.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
        part.grid(visible=True, which="both", alpha=0.25)
    parts[0].legend()
    figure.suptitle("What it costs until all resources are Ready")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)

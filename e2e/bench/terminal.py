"""Prints a measurement as a table, one for each number of resources. It must never decide what is good."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e.bench.report import DISTURBED, FLOOR, GROWTH, OURS, TABLE, Judged, Row, disturbed, growth, judge
from e2e.bench.result import Result


def show(results: Sequence[Result], console: Console) -> None:
    """All of them."""
    for size in dict.fromkeys(result.size for result in results):
        console.print(_table([result for result in results if result.size == size], size))
    for contender, label, factor in growth(results):
        kept = f"; limit {GROWTH:g}x {_word(factor <= GROWTH)}" if contender == OURS else ""
        console.print(
            f"{contender}: {label}: each resource costs {factor:.2f}x with 5000 of what it costs with 1000{kept}"
        )
    for result in results:
        if result.broke_off:
            console.print(f"[red]broke off[/]: {result.contender} with {result.size}: {escape(result.broke_off)}")
        if disturbed(result):
            console.print(
                f"[yellow]disturbed[/]: {result.contender} with {result.size}: others took {result.foreign_share:.0%} of a "
                f"core (more than {DISTURBED:.0%}); its times and CPU seconds say little, ratios a little more"
            )


def _table(results: list[Result], size: int) -> Table:
    table = Table(title=f"{size} resource{'s' * (size > 1)}", title_justify="left", show_edge=False)
    table.add_column("what")
    for result in results:
        table.add_column(result.contender, justify="right")
    table.add_column("limit")
    floor = next((result for result in results if result.contender == FLOOR), None)
    for title, rows in TABLE.items():
        shown = [row for row in rows if any(row.figure(result) is not None for result in results)]
        if shown:
            table.add_section()
            table.add_row(f"[bold]{title}")
        for row in shown:
            judged = [judge(row, result, floor) for result in results]
            table.add_row(row.label, *(_cell(row, one) for one in judged), _limit(judged))
    return table


def _cell(row: Row, judged: Judged) -> str:
    if judged.value is None:
        return "-"
    ratio = f"  ({judged.ratio:.2f}x)" if judged.ratio is not None else ""
    return f"{judged.value:.{row.digits}f}{ratio}"


def _limit(judged: list[Judged]) -> str:
    for one in judged:
        if one.limit is not None:
            return f"{one.limit.most:g}{'x' if one.limit.relative else ''} {_word(one.kept)}"
    return ""


def _word(kept: bool | None) -> str:
    return {True: "[green]ok[/]", False: "[red]over[/]", None: "not measured"}[kept]

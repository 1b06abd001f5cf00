"""The table: ratios, limits, and that nothing that was disturbed goes unnoticed."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from e2e.bench import plot, processes, result, terminal
from e2e.bench.report import CHILDREN_EXIST, OPERATOR_CPU, PEAK, TABLE, disturbed, growth, judge
from e2e.bench.result import Phase, Result

CPU = {"operator": 5.0, "asking": 0.0, "kube-apiserver": 50.0, "etcd": 7.0, "bench": 7.0}


def measured(contender: str, size: int = 1000, factor: float = 1.0) -> Result:
    counts = {"writes": 5 * size, "gets": 0, "lists": 0, "dry_runs": 0, "refused": 0}
    few = dict.fromkeys(counts, 0)
    cpu = {part: seconds * factor for part, seconds in CPU.items()}
    latency = dict.fromkeys(["ready_median", "ready_p99", "share_median", "share_p99"], 0.02 * factor)
    phases = {
        "create": Phase(50.0, cpu, 1.0, counts, {"all_children": 40.0 * factor, "all_ready": 50.0}),
        "idle": Phase(60.0, cpu, 1.0, {**few, "lists": 3}),
        "restart": Phase(3.0, cpu, 0.1, {**few, "lists": 7}, {"at_rest": 2.0, "peak_mib": 90.0}),
        "change": Phase(60.0, cpu, 1.0, {**few, "writes": 3 * size}, {"children": size, "all_children": 30.0 * factor}),
        "ready, calm": Phase(10.0, cpu, 0.1, few, latency),
        "ready, busy": Phase(60.0, cpu, 1.0, few, latency),
    }
    return Result(contender, size, phases, peak_mib=100.0, asking_peak_mib=70.0)


@pytest.mark.parametrize(("factor", "kept"), [(1.0, True), (1.3, True), (1.31, False)])
def test_a_relative_limit_is_held_against_the_null_operator(factor: float, kept: bool) -> None:
    judged = judge(CHILDREN_EXIST, measured("modelport", factor=factor), measured("null"))
    assert judged.ratio == pytest.approx(factor)
    assert judged.kept is kept


def test_an_absolute_limit_goes_by_the_number_of_resources() -> None:
    ours = replace(measured("modelport"), peak_mib=200.0)
    assert judge(PEAK, ours, None).kept is False
    assert judge(PEAK, replace(ours, size=5000), None).kept is True


def test_limits_are_ours_alone_and_need_a_floor_where_they_are_relative() -> None:
    assert judge(OPERATOR_CPU, measured("another", factor=9.0), measured("null")).kept is None
    assert judge(OPERATOR_CPU, measured("modelport", factor=9.0), None).kept is None
    assert judge(OPERATOR_CPU, measured("modelport", factor=9.0), measured("null")).kept is False


def test_a_run_is_disturbed_by_the_phase_in_which_others_took_most() -> None:
    calm = measured("null")
    assert not disturbed(calm)
    calm.phases["restart"].foreign = 0.16 * calm.phases["restart"].seconds
    assert disturbed(calm)


def test_growth_is_by_resource() -> None:
    few, many = measured("modelport"), measured("modelport", 5000, factor=6.0)
    grown = {label: factor for _, label, factor in growth([few, many])}
    assert grown == {CHILDREN_EXIST.label: pytest.approx(1.2), OPERATOR_CPU.label: pytest.approx(1.2)}
    assert list(growth([few])) == []


def test_every_figure_has_a_value_and_none_where_its_phase_was_left_out() -> None:
    rows = [row for rows in TABLE.values() for row in rows]
    assert [row.label for row in rows if row.figure(measured("null")) is None] == []
    only = Result("null", 1, {"create": measured("null", 1).phases["create"]})
    assert rows[0].figure(only) == 5
    assert sum(row.figure(only) is None for row in rows) > len(rows) / 2


def test_the_table_says_ratio_limit_and_disturbance() -> None:
    slow, ours = measured("null"), measured("modelport", factor=3.0)
    slow.phases["create"].foreign = 40.0
    out = io.StringIO()
    terminal.show([slow, ours], Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    (line,) = [each for each in lines if "CPU of the operator (s)" in each and "2.5x" in each]
    assert "5.00  (1.00x)" in line
    assert "15.00  (3.00x)" in line
    assert "over" in line
    assert any("disturbed: null with 1000: others took 80% of a core" in each for each in lines)


def test_what_was_measured_before_it_broke_off_is_shown() -> None:
    broken = measured("modelport")
    broken.phases = {"create": broken.phases["create"]}
    broken.broke_off = "operator has ended:\n[Errno 111]"
    out = io.StringIO()
    terminal.show([broken], Console(file=out, width=120))
    assert "all children exist (s)" in out.getvalue()
    assert "broke off: modelport with 1000: operator has ended:\n[Errno 111]" in out.getvalue()


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    both = [measured("null"), measured("modelport")]
    result.dump(both, tmp_path / "results.json")
    assert result.load(tmp_path / "results.json") == both


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    nothing = Result("another", 1, broke_off="it never started")
    plot.draw(
        [nothing, *(measured(name, size) for name in ("null", "modelport") for size in (1, 1000))],
        tmp_path / "growth.png",
    )
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_cpu_seconds_of_a_process_whatever_its_name() -> None:
    fields = ["S", "42", *["0"] * 9, "150", "50", *["0"] * 30]
    times = processes.parse(f"7 (a (strange) name) {' '.join(fields)}")
    assert times.parent == 42
    assert times.seconds == pytest.approx(200 / processes._TICKS)

"""A contender that a file describes, measured as a whole: the null operator, on a real API server of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.bench import contender, run
from e2e.bench.report import TABLE

NULL = contender.HERE / "null.yaml"
pytestmark = pytest.mark.apiserver


def test_the_null_operator_as_a_file_that_somebody_wrote(tmp_path: Path) -> None:
    file = tmp_path / "another.yaml"
    file.write_text(NULL.read_text().replace('name: "null"', "name: another"))
    found = run.measure(contender.load(file), 3, run.Options(idle=1.0, latency=False))
    assert found.contender == "another"
    figures = {row.label: row.figure(found) for row in TABLE["creation"] + TABLE["restart, nothing changed"]}
    assert figures["writes per resource"] == 5
    assert figures["reads per resource"] == 0
    assert figures["writes"] == 0
    assert found.phases["create"].figures["children"] == 9
    assert found.phases["change"].requests["writes"] == 9
    assert found.phases["change"].figures["children"] == 3
    assert found.phases["idle"].requests == dict.fromkeys(found.phases["idle"].requests, 0)
    assert found.peak_mib > 10


def test_an_operator_that_ends_is_said_to_have_ended() -> None:
    broken = contender.load(NULL).model_copy(update={"command": ("sh", "-c", "echo no licence; exit 1")})
    found = run.measure(broken, 1, run.Options())
    assert found.broke_off == "operator has ended:\nno licence\n"
    assert found.phases == {}

"""Mutants break a line of today's source: one that has been left behind says so at once, and not only to `make mutants`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.path.stem)
def test_it_applies_and_its_test_is_there(mutant: Mutant) -> None:
    check = ["git", "apply", "--check", "--verbose", str(mutant.path)]
    applied = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert applied.returncode == 0, applied.stderr
    file, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in Path(ROOT, file).read_text()

"""From what Kubernetes, a server or one of our programs says about a pod to the sentence that a user reads: causes.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.state.catalogue import entries
from modelport.state.diagnosis import diagnose

from .failing import failing
from .world import DESIRED

CAUSES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("causes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CAUSES, ids=lambda case: case["cause"])
def test_the_cause_and_what_to_do(case: dict[str, Any]) -> None:
    ((kind, message),) = ((name, value) for name, value in case.items() if name not in ("cause", "origin", "says"))
    found = diagnose(failing(message, kind), DESIRED)
    assert found is not None
    assert (found.cause, found.message) == (case["cause"], case["says"])


def test_each_entry_of_the_catalogue_has_a_case() -> None:
    assert {case["cause"] for case in CAUSES} == {entry.id for entry in entries()}

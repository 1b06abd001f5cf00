"""From what Kubernetes, a server or one of our programs says about a pod to the sentence that a user reads: causes.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.state.catalogue import entries
from modelport.state.diagnosis import diagnose

from .causes import CAUSES, message
from .failing import failing
from .page import PAGE, SECTIONS, page
from .world import DESIRED


@pytest.mark.parametrize("case", CAUSES, ids=lambda case: case["cause"])
def test_the_cause_and_what_to_do(case: dict[str, Any]) -> None:
    kind, said = message(case)
    found = diagnose(failing(said, kind), DESIRED.spec_hash)
    assert found is not None
    assert (found.cause, found.message) == (case["cause"], case["says"])


def test_each_entry_of_the_catalogue_has_a_case() -> None:
    assert {case["cause"] for case in CAUSES} == {entry.id for entry in entries()}


def test_the_page_tells_every_case() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
    assert {message(case)[0] for case in CAUSES} == {kind for _, kinds in SECTIONS.values() for kind in kinds}

"""Fixtures on the real cluster. `make e2e` has put up the stack before: cluster, images, hub mirror, operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e import stack
from e2e.kube import Json, kubectl, wait_ready

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START = {"language": 180, "assistant": 900, "guarded": 900, "ocr": 300}
"""Seconds that an example may take to become Ready on a busy machine; a bound, not an expectation."""


@pytest.fixture(scope="session")
def serving() -> Callable[[str], Json]:
    """Have an example running and Ready: `serving("language")` gives its resource."""
    applied: set[str] = set()

    def have(name: str) -> Json:
        if name not in applied:
            kubectl("apply", "-n", stack.MODELS, "-f", str(EXAMPLES / f"{name}.yaml"))
            applied.add(name)
        return wait_ready(name, stack.MODELS, START[name])

    return have


@pytest.fixture
def apply() -> Iterator[Callable[[str], None]]:
    """Apply YAML in the models' namespace; taken away after the test."""
    manifests: list[str] = []

    def one(manifest: str) -> None:
        manifests.append(manifest)
        kubectl("apply", "-n", stack.MODELS, "-f", "-", stdin=manifest)

    yield one
    for manifest in reversed(manifests):
        kubectl("delete", "-n", stack.MODELS, "--ignore-not-found", "--wait=true", "-f", "-", stdin=manifest)

"""The operator and the agent agree on what a URI is, so that nobody waits for a GPU to learn of a misspelt one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.runtimes.sources import problems
from modelport_agent.fetch.errors import FetchError
from modelport_agent.fetch.plan import parse_source

GOOD = [
    "hf://owner/repo",
    "hf://owner/repo@main",
    "hf://owner/repo@refs%2Fpr%2F1/folder/file.bin",
    "hf://owner/repo/",
    "https://host/file.onnx",
    "https://host:8443/a/b/file.onnx?x=1",
    f"https://host/file#sha256={'a' * 64}",
]
BAD = [
    "hf://owner",
    "hf://owner/",
    "hf://owner/repo@",
    "hf://owner/repo#main",
    "hf://-owner/repo",
    "hf://datasets/owner/repo",
    "hf://spaces/owner/repo",
    "hf://owner/repo/../x",
    "hf://owner/repo/a//b",
    "https://host",
    "https://host/folder/",
    "https://host/a%2F..",
    "https://[host/file",
    "https:///file",
    "https://host/file#main",
    "https://host/file#sha256=12",
]


def accepted(uri: str) -> bool:
    """Whether the agent would fetch it."""
    try:
        parse_source(uri)
    except (FetchError, ValueError):
        return False
    return True


def refused(uri: str) -> bool:
    """Whether the operator has something against it."""
    return bool(list(problems("spec.model.uri", uri)))


@pytest.mark.parametrize("uri", [*GOOD, *BAD])
def test_operator_and_agent_agree(uri: str) -> None:
    assert (not refused(uri)) == accepted(uri) == (uri in GOOD)


PIECES = [*"/@#?.-_a0:%=~\\\u00e9", "..", "%2F", "owner", "sha256=", "a" * 64, "datasets"]
BEGINNINGS = ["hf://", "hf://o/r", "https://", "https://h/f", "https://h/"]


@settings(max_examples=1000, database=None, derandomize=True)
@given(st.sampled_from(BEGINNINGS), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_they_agree_on_whatever_else_people_write(beginning: str, rest: str) -> None:
    assert refused(beginning + rest) != accepted(beginning + rest)

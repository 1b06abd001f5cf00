"""The operator and the agent agree on what a URI is, so that nobody waits for a GPU to learn of a misspelt one."""

from __future__ import annotations

import pytest

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
    "https://host",
    "https://host/folder/",
    "https:///file",
    "https://host/file#main",
    "https://host/file#sha256=12",
]


def accepted(uri: str) -> bool:
    """Whether the agent would fetch it."""
    try:
        parse_source(uri)
    except FetchError:
        return False
    return True


@pytest.mark.parametrize("uri", [*GOOD, *BAD])
def test_operator_and_agent_agree(uri: str) -> None:
    assert (not list(problems("spec.model.uri", uri))) == accepted(uri) == (uri in GOOD)

"""Whether an installation's defaults mean something: told once when the operator starts, instead of to every user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelport.api.names import Runtime
from modelport.runtimes.base import Problem

from .desired import Identity, Invalid
from .platform import Platform
from .render import attempt
from .resolve import POD_TEMPLATE
from .unknown import unknown_fields

ROOT = "defaults"
_GPU = {"gpu": {"count": 1}}
_SMALLEST: Mapping[Runtime, Mapping[str, Any]] = {
    Runtime.VLLM: {"model": {"uri": "hf://owner/repo"}, **_GPU},
    Runtime.TRITON: {"triton": {"models": [{"name": "model", "uri": "hf://owner/repo"}]}, **_GPU},
    Runtime.FASTAPI: {"fastapi": {"app": "app:app"}, **_GPU},
}
"""The least that a user writes for each runtime; with a GPU, so that options about GPUs are looked at, too."""


def problems(platform: Platform) -> tuple[Problem, ...]:
    """Why the smallest resource of some runtime could not be rendered on this platform; paths begin with `defaults`."""
    return tuple(dict.fromkeys(_problems(platform)))


def _problems(platform: Platform) -> Iterator[Problem]:
    if not isinstance(platform.defaults.get(POD_TEMPLATE, {}), Mapping):
        yield Problem(f"{ROOT}.{POD_TEMPLATE}", "should be a map")
        return
    yield from unknown_fields(platform.defaults, ROOT)
    for runtime, smallest in _SMALLEST.items():
        result = attempt(Identity("default", "example", ""), {"runtime": str(runtime), **smallest}, platform)
        if isinstance(result, Invalid):
            yield from (Problem(_moved(problem.path), problem.message) for problem in result.problems)


def _moved(path: str) -> str:
    return ROOT + path.removeprefix("spec")

"""What can be worked out from what an error says: the values that would have been right. Pure.

The functions that entries of the catalogue name under `computed`: texts in, a text for the advice out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from pydantic.alias_generators import to_camel

from modelport.api.blocks import VllmFlags

_MOST_DIVISORS = 8
_OPTION = re.compile(r"(?<!\S)--?[A-Za-z][\w-]{0,80}")


def divisors(number: str) -> str:
    """`14` -> `1, 2, 7, 14`: the sizes of tensor parallelism that divide so many heads, the smallest first."""
    total = int(number)
    found = [size for size in range(1, min(total, 64) + 1) if total % size == 0]
    return ", ".join(map(str, found[:_MOST_DIVISORS]))


def options(arguments: str) -> str:
    """`--nonsense s3cr3t -x` -> `--nonsense, -x`: the names without their values, which may be secrets."""
    return ", ".join(_OPTION.findall(arguments)) or "an argument"


def nearest_option(arguments: str) -> str:
    """`--max-modle-len=9` -> `did you mean spec.vllm.maxModelLen?`; nothing where no option of vLLM is similar. One that later
    versions have is not misspelt."""
    first = next(iter(_OPTION.findall(arguments)), "").replace("_", "-")
    near = get_close_matches(first, _options(), n=1, cutoff=0.8)
    if not near:
        return ""
    field = near[0].removeprefix("--").replace("-", "_")
    name = f"spec.vllm.{to_camel(field)}" if field in VllmFlags.model_fields else near[0]
    return f"other versions of vLLM know {name};" if near[0] == first else f"did you mean {name}?"


def nearest_word(word: str, known: str) -> str:
    """`hermez`, `hermes,mistral` -> `did you mean hermes?`; nothing where none is similar."""
    near = get_close_matches(word, known.split(","), n=1)
    return f"did you mean {near[0]}?" if near else ""


HINTS: Mapping[str, Callable[..., str]] = {f.__name__: f for f in (divisors, options, nearest_option, nearest_word)}
"""By the name that the catalogue uses."""


@cache
def _options() -> tuple[str, ...]:
    text = files("modelport.state").joinpath("vllm_options.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))

"""What goes between the operator and its asking process: one JSON object on one line, each way.

It must never import a client library: the operator's own process loads this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelport.render.desired import Question
from modelport.state.observed import DoorResult

LONGEST_LINE = 1 << 20
_LONGEST_DETAIL = 400


@dataclass(frozen=True, slots=True)
class Ask:
    """One question; `url` is where to ask, whatever the question itself says."""

    id: int
    runtime: str
    url: str
    models: tuple[str, ...]
    task: str | None
    request: Mapping[str, Any] | None
    expect_status: int
    expect_contains: str | None
    timeout: float
    disabled: bool

    @classmethod
    def of(cls, number: int, url: str, question: Question) -> Ask:
        """The question as it is sent."""
        return cls(
            id=number,
            runtime=str(question.runtime),
            url=url,
            models=question.models,
            task=question.task,
            request=question.request,
            expect_status=question.expect_status,
            expect_contains=question.expect_contains,
            timeout=question.timeout,
            disabled=question.disabled,
        )

    @classmethod
    def preparation(cls, runtime: str) -> Ask:
        """Asks nobody anything; the client library is loaded on the way."""
        return cls(0, runtime, "", (), None, None, 0, None, 0.0, True)

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Ask:
        fields = json.loads(line)
        return cls(**{**fields, "models": tuple(fields["models"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the question with the same id."""

    id: int
    result: DoorResult
    detail: str

    def line(self) -> bytes:
        return json.dumps([self.id, self.result, bounded(self.detail)]).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Answer:
        number, result, detail = json.loads(line)
        return cls(int(number), DoorResult(result), str(detail))


def bounded(text: str) -> str:
    """One line of bearable length: servers put whole tracebacks into their answers."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"

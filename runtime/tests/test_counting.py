"""What a request that the application answers, breaks off or leaves unfinished is counted as."""

from __future__ import annotations

from contextlib import suppress

import pytest

from modelport_runtime.asgi import Message, Receive, Scope, Send
from modelport_runtime.counting import Counting
from modelport_runtime.draining import Draining
from modelport_runtime.metrics import Metrics
from modelport_runtime.settings import Request, Settings
from modelport_runtime.verdict import Traffic

SETTINGS = Settings(request=Request("POST", "/predict"))


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def swallow(message: Message) -> None:
    """The client."""


@pytest.mark.parametrize(
    ("path", "status", "whole", "error", "counted"),
    [
        ("/predict", 200, True, None, Traffic(1, 0)),
        ("/predict", 404, True, None, Traffic(0, 0)),
        ("/predict", 500, True, None, Traffic(0, 1)),
        ("/other", 200, True, None, Traffic(0, 0)),
        ("/other", 500, True, None, Traffic(0, 1)),
        ("/predict", 200, False, RuntimeError("the model died"), Traffic(0, 1)),
        ("/predict", 200, True, RuntimeError("in a background task"), Traffic(1, 0)),
        ("/predict", 200, False, None, Traffic(0, 0)),  # the client went away in the middle
    ],
)
async def test_only_a_whole_answer_is_proof(
    path: str, status: int, whole: bool, error: Exception | None, counted: Traffic
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": not whole})
        if error is not None:
            raise error

    counting = Counting(app, Metrics(), Draining(SETTINGS.drain), SETTINGS)
    with suppress(RuntimeError):
        await counting({"type": "http", "method": "POST", "path": path}, nothing, swallow)
    assert counting.traffic == counted

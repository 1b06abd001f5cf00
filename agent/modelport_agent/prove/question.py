"""Which question a model is asked, and whether an answer's content is one. Pure.

An answer counts by what is in it: a 200 with an empty list of choices proves nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from modelport_agent.config import Expect, ProveConfig, Request
from modelport_agent.prove.model import Response

SHOWN = 200


def question(config: ProveConfig) -> Request | None:
    """The request that proves the first model; None when there is nothing to ask beyond readiness."""
    if config.disabled:
        return None
    if config.request is not None:
        return config.request
    if config.runtime != "vllm":
        return None
    model = config.models[0]
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "completion": ("/v1/completions", {"prompt": "Hello", "max_tokens": 1, "temperature": 0}),
        "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}),
        "embedding": ("/v1/embeddings", {"input": "Hello"}),
    }
    path, body = bodies.get(config.task or "completion", bodies["completion"])
    return Request("POST", path, "application/json", json.dumps({"model": model, **body}).encode())


def fault(config: ProveConfig, response: Response) -> str:
    """Why this answer is not the expected one, in words; empty when it is."""
    expect: Expect = config.expect
    if response.status != expect.status:
        return f"the server answered {response.status} where {expect.status} is expected{excerpt(response.body)}"
    if config.request is None and config.runtime == "vllm" and expect.status == 200:
        check = CONTENT.get(config.task or "completion", completion_fault)
        try:
            wrong = check(json.loads(response.body))
        except (ValueError, LookupError, TypeError, AttributeError):
            wrong = "its answer has not the form of the API"
        if wrong:
            return f"{wrong}{excerpt(response.body)}"
    if expect.contains is not None and expect.contains not in response.body.decode(errors="replace"):
        return f"the answer does not contain {expect.contains!r}{excerpt(response.body)}"
    return ""


def completion_fault(answer: Any) -> str:
    if not answer["choices"]:
        return "the answer has no choices"
    if not isinstance(answer["choices"][0]["text"], str):
        return "the answer's first choice has no text"
    return _token_fault(answer)


def chat_fault(answer: Any) -> str:
    if not answer["choices"]:
        return "the answer has no choices"
    if not isinstance(answer["choices"][0]["message"], dict):
        return "the answer's first choice has no message"
    return _token_fault(answer)


def embedding_fault(answer: Any) -> str:
    if not answer["data"] or not answer["data"][0]["embedding"]:
        return "the answer has no embedding"
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in answer["data"][0]["embedding"]):
        return "the embedding holds values that are not finite numbers"
    return ""


def _token_fault(answer: Any) -> str:
    """One token may well be an empty text; that it was generated is what counts."""
    usage = answer.get("usage") or {}
    return "no token was generated" if usage.get("completion_tokens") == 0 else ""


CONTENT: dict[str, Callable[[Any], str]] = {
    "completion": completion_fault,
    "chat": chat_fault,
    "embedding": embedding_fault,
}


def excerpt(body: bytes) -> str:
    """What the server itself said, short: its error message where it has one."""
    text = body.decode(errors="replace")
    try:
        error = json.loads(text)
        error = error.get("error", error.get("message", text)) if isinstance(error, dict) else text
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except ValueError:
        pass
    text = " ".join(text.split())
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    return f": {shown}" if shown else ""

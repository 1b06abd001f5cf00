"""A plain HTTP question, sent as the user wrote it. No redirects, no proxies, a bounded answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import aiohttp

from modelport.asking.verdict import by_status
from modelport.asking.wire import Ask
from modelport.state.observed import DoorResult

_LONGEST_ANSWER = 1 << 20


async def ask(question: Ask) -> str:
    """Send the user's request, or look at the front page; what was answered, for people. Raises Refused."""
    async with aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        if question.request is None:
            return await _look(session, question.url)
        return await _send(session, question, question.request)


async def _look(session: aiohttp.ClientSession, url: str) -> str:
    """Without a question any answer of the application will do: few have a page at /."""
    async with session.get(f"{url}/", allow_redirects=False) as answer:
        if answer.status >= 500:
            raise by_status("GET /", answer.status, "")
        return f"GET / answered {answer.status}"


async def _send(session: aiohttp.ClientSession, question: Ask, request: Mapping[str, Any]) -> str:
    body = _body(request)
    method = request.get("method") or ("GET" if body is None else "POST")
    what = f"{method} {request['path']}"
    headers = {"Content-Type": request.get("contentType") or "application/json"} if body is not None else {}
    url = question.url + request["path"]
    async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
        text = (await _read(answer.content)).decode(errors="replace")
        if answer.status != question.expect_status:
            raise by_status(what, answer.status, text)
    if question.expect_contains is not None and question.expect_contains not in text:
        refusal = by_status(what, answer.status, f"the answer does not contain {question.expect_contains!r}")
        refusal.result = DoorResult.WRONG
        raise refusal
    return f"{what} answered {answer.status}"


async def _read(content: aiohttp.StreamReader) -> bytes:
    """As much of the answer as is worth looking at."""
    read = bytearray()
    while len(read) < _LONGEST_ANSWER and (part := await content.read(_LONGEST_ANSWER - len(read))):
        read += part
    return bytes(read)


def _body(request: Mapping[str, Any]) -> bytes | None:
    if request.get("bodyBase64") is not None:
        return base64.b64decode(request["bodyBase64"])
    text = request.get("body")
    return None if text is None else str(text).encode()

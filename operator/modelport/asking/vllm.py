"""Asks an OpenAI-compatible server with the official client, without a key: 401 means that the door was reached."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import httpx2
import openai

from modelport.asking import http
from modelport.asking.verdict import Refused, by_status, missing
from modelport.asking.wire import Ask
from modelport.state.observed import DoorResult

_LONGEST_ANSWER = 4 << 20
_UNUSED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The door is plain HTTP; without this the client would make one for each question."""


class _Bounded(httpx2.AsyncBaseTransport):
    """Sends no key, and gives up on an answer that does not end."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=_UNUSED, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        del request.headers["Authorization"]
        answer = await self._inner.handle_async_request(request)
        assert isinstance(answer.stream, httpx2.AsyncByteStream)
        answer.stream = _BoundedStream(answer.stream)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for part in self._inner:
            length += len(part)
            if length > _LONGEST_ANSWER:
                raise Refused(DoorResult.WRONG, f"the answer is longer than {_LONGEST_ANSWER >> 20} MiB")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


async def ask(question: Ask) -> str:
    """List the models and ask the first; what was answered, for people. Raises Refused."""
    transport = httpx2.AsyncClient(transport=_Bounded(), trust_env=False, follow_redirects=False)
    async with openai.AsyncOpenAI(
        api_key="none",  # the client insists on one; it is never sent
        base_url=f"{question.url}/v1",
        http_client=transport,
        max_retries=0,
        timeout=question.timeout,
    ) as client:
        await _listed(client, question)
        if question.request is not None:
            return await http.ask(question)
        if question.disabled:
            return "GET /v1/models lists the models"
        return await _answered(client, question)


async def _listed(client: openai.AsyncOpenAI, question: Ask) -> None:
    try:
        listed = [model.id for model in (await client.models.list()).data or []]
    except openai.APIError as problem:
        raise _refusal("GET /v1/models", problem) from problem
    if not set(question.models) <= set(listed):
        raise missing(question.models, listed)


async def _answered(client: openai.AsyncOpenAI, question: Ask) -> str:
    task, model = question.task or "completion", question.models[0]
    try:
        if task == "chat":
            messages = [{"role": "user", "content": "Hi"}]
            await client.chat.completions.create(model=model, messages=messages, max_tokens=1)  # type: ignore[arg-type]
        elif task == "embedding":
            await client.embeddings.create(model=model, input="Hi")
        else:
            await client.completions.create(model=model, prompt="Hi", max_tokens=1)
    except openai.APIError as problem:
        raise _refusal(f"the {task} question", problem) from problem
    return f"the {task} question was answered by {model}"


def _refusal(what: str, problem: openai.APIError) -> Refused:
    if isinstance(problem, openai.APIStatusError):
        return by_status(what, problem.status_code, problem.message)
    if isinstance(problem, openai.APITimeoutError):
        return Refused(DoorResult.UNREACHABLE, f"{what} was not answered in time")
    if isinstance(problem.__cause__, Refused):
        return problem.__cause__
    if isinstance(problem, openai.APIConnectionError):
        return Refused(DoorResult.UNREACHABLE, f"{what} could not be asked: {problem.__cause__ or problem}")
    return Refused(DoorResult.WRONG, f"{what} was answered with something else: {problem.message}")

"""One question in process: what the application sees of it, and what its caller waits for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi import Request as HttpRequest
from fastapi.middleware.trustedhost import TrustedHostMiddleware

from modelport_runtime.asgi import Receive, Scope, Send
from modelport_runtime.asking import LARGEST, ask
from modelport_runtime.settings import Request

HERE = Path(__file__).parent


def question(path: str = "/") -> Request:
    return Request("POST", path, "application/json", b'{"a": 1}')


async def test_the_application_sees_an_ordinary_request() -> None:
    app = FastAPI()

    @app.post("/a b")
    async def echo(request: HttpRequest, q: str) -> dict[str, Any]:
        return {"q": q, "body": await request.json(), "model": request.state.model, "length": len(await request.body())}

    answer = await ask(app, question("/a%20b?q=x%26y"), {"model": "loaded"}, HERE)
    assert answer.status == 200
    assert answer.body == b'{"q":"x&y","body":{"a":1},"model":"loaded","length":8}'
    assert answer.error is None


async def test_a_path_beyond_ascii_comes_as_a_client_would_send_it() -> None:
    app = FastAPI()

    @app.post("/größe")
    async def echo(request: HttpRequest, q: str) -> list[str]:
        return [q, request.scope["raw_path"].decode("ascii")]

    answer = await ask(app, question("/größe?q=é%26"), {}, HERE)
    assert answer.body.decode() == '["é&","/gr%C3%B6%C3%9Fe"]'


async def test_the_host_is_the_name_that_the_application_lets_in() -> None:
    app = FastAPI()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["language"])

    @app.post("/")
    async def answer() -> str:
        return "ok"

    assert (await ask(app, question(), {}, HERE, "language")).status == 200
    assert (await ask(app, question(), {}, HERE)).status == 400


async def test_an_answer_left_unfinished_is_told_as_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    answer = await ask(app, question(), {}, HERE)
    assert answer.error == "the application ended its answer half way, without an exception"


async def test_an_exception_is_explained_with_its_place() -> None:
    app = FastAPI()

    @app.post("/")
    async def fail() -> None:
        raise LookupError("no such weights")

    answer = await ask(app, question(), {}, HERE)
    assert answer.status == 500
    assert answer.error is not None
    assert answer.error.startswith("test_asking.py:")
    assert answer.error.endswith("LookupError: no such weights")


async def test_what_runs_after_the_answer_is_neither_waited_for_nor_cut_short() -> None:
    app, go, done = FastAPI(), asyncio.Event(), asyncio.Event()

    async def afterwards() -> None:
        await go.wait()
        done.set()

    @app.post("/")
    async def answer_first(tasks: BackgroundTasks) -> str:
        tasks.add_task(afterwards)
        return "first"

    assert (await ask(app, question(), {}, HERE)).body == b'"first"'
    go.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_giving_up_cancels_the_application() -> None:
    cancelled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(app, question(), {}, HERE), 0.05)
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_an_endless_answer_is_looked_at_up_to_a_limit() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive_disconnect(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)

    async def receive_disconnect(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    assert len((await ask(app, question(), {}, HERE)).body) == LARGEST

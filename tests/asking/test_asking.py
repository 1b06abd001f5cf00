"""The asking process against real sockets: what is answered through a door, and what becomes of the process itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from modelport.api.names import Runtime
from modelport.asking.parent import Asking
from modelport.asking.wire import bounded
from modelport.render.desired import Question
from modelport.state.observed import DoorResult

in_one_loop = pytest.mark.asyncio(loop_scope="module")
GOOD = {"id": "1", "object": "text_completion", "created": 1, "model": "m"}


class Server:
    """A door: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.listed: Any = {"object": "list", "data": [{"id": "m", "object": "model"}]}
        self.answer: Any = {**GOOD, "choices": [{"index": 0, "text": "x", "finish_reason": "length"}]}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if self.status == 302:
            raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
        if request.path == "/endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65536)
        body = self.listed if request.path == "/v1/models" else self.answer
        return web.json_response(body, status=self.status)


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@asynccontextmanager
async def running() -> AsyncIterator[Asking]:
    asking = Asking()
    task = asyncio.create_task(asking.run())
    yield asking
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking() -> AsyncIterator[Asking]:
    """One process for all tests, as for all questions of an operator."""
    async with running() as asking:
        yield asking


def question(runtime: Runtime = Runtime.VLLM, **fields: Any) -> Question:
    given: dict[str, Any] = {
        "runtime": runtime,
        "url": "http://not.used",
        "models": ("m",),
        "task": None,
        "request": None,
        "expect_status": 200,
        "expect_contains": None,
        "timeout": 5.0,
        "disabled": False,
        "has_api_key": False,
    }
    return Question(**{**given, **fields})


@in_one_loop
async def test_a_model_that_answers_and_nothing_of_the_environment_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the developer's own")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with running() as asking:
        result, detail = await asking.ask(server.url, question())
    assert (result, detail) == (DoorResult.ANSWERED, "the completion question was answered by m")
    assert not any("Authorization" in headers for headers in server.headers)


@in_one_loop
async def test_401_means_that_the_door_was_reached(asking: Asking, server: Server) -> None:
    server.status = 401
    result, detail = await asking.ask(server.url, question(has_api_key=True))
    assert (result, detail) == (DoorResult.AUTH_REQUIRED, "GET /v1/models answered 401")


@in_one_loop
async def test_a_model_that_is_not_listed(asking: Asking, server: Server) -> None:
    result, detail = await asking.ask(server.url, question(models=("m", "other")))
    assert (result, detail) == (DoorResult.WRONG, "the server does not list other; it lists m")


@in_one_loop
@pytest.mark.parametrize("runtime", list(Runtime))
async def test_redirects_are_not_followed(asking: Asking, server: Server, runtime: Runtime) -> None:
    server.status = 302
    request = {"path": "/predict", "body": "{}"}
    result, _ = await asking.ask(server.url, question(runtime, request=request))
    assert result is DoorResult.WRONG
    assert len(server.headers) == 1


@in_one_loop
@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_or_absent_server_is_no_wrong_answer(asking: Asking, server: Server, status: int) -> None:
    server.status = status
    result, _ = await asking.ask(server.url, question())
    assert result is DoorResult.UNREACHABLE


@in_one_loop
async def test_nobody_listens(asking: Asking) -> None:
    result, _ = await asking.ask("http://127.0.0.1:9", question())
    assert result is DoorResult.UNREACHABLE


@in_one_loop
@pytest.mark.parametrize("body", ["not an object", {"data": None}, {"data": [{"no": "id"}]}, 7])
async def test_whatever_is_listed_there_is_an_answer(asking: Asking, server: Server, body: Any) -> None:
    server.listed = body
    result, _ = await asking.ask(server.url, question())
    assert result is not DoorResult.ANSWERED


@in_one_loop
async def test_a_users_own_request_and_what_it_must_contain(asking: Asking, server: Server) -> None:
    server.answer = {"result": "en"}
    request = {"method": "POST", "path": "/predict", "contentType": "application/json", "body": '{"text": "hi"}'}
    asked = question(Runtime.FASTAPI, request=request, expect_contains='"en"')
    assert await asking.ask(server.url, asked) == (DoorResult.ANSWERED, "POST /predict answered 200")
    asked = question(Runtime.FASTAPI, request=request, expect_contains='"fr"')
    result, detail = await asking.ask(server.url, asked)
    assert result is DoorResult.WRONG
    assert "does not contain" in detail


@in_one_loop
async def test_an_application_without_a_question(asking: Asking, server: Server) -> None:
    server.status = 404
    result, detail = await asking.ask(server.url, question(Runtime.FASTAPI))
    assert (result, detail) == (DoorResult.ANSWERED, "GET / answered 404")
    server.status = 500
    result, _ = await asking.ask(server.url, question(Runtime.FASTAPI))
    assert result is DoorResult.WRONG


@in_one_loop
async def test_every_triton_model_has_to_be_ready(asking: Asking, server: Server) -> None:
    assert (await asking.ask(server.url, question(Runtime.TRITON)))[0] is DoorResult.ANSWERED
    server.status = 400
    assert (await asking.ask(server.url, question(Runtime.TRITON)))[0] is DoorResult.WRONG


@in_one_loop
async def test_an_endless_answer_is_bounded(asking: Asking, server: Server) -> None:
    request = {"method": "GET", "path": "/endless"}
    result, _ = await asking.ask(server.url, question(Runtime.FASTAPI, request=request))
    assert result is DoorResult.ANSWERED


@in_one_loop
async def test_the_process_is_started_again_when_it_has_died(asking: Asking, server: Server) -> None:
    assert (await asking.ask(server.url, question(Runtime.FASTAPI)))[0] is DoorResult.ANSWERED
    assert asking.pid is not None
    os.kill(asking.pid, signal.SIGKILL)
    results = [(await asking.ask(server.url, question(Runtime.FASTAPI)))[0] for _ in range(2)]
    assert results[1] is DoorResult.ANSWERED  # the first may have gone to the dying process


def test_the_process_ends_with_its_standard_input() -> None:
    command = [sys.executable, "-m", "modelport.asking"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_operator_loads_none_of_the_clients() -> None:
    code = "import sys, modelport.app.main; print([m for m in sys.modules if m.split('.')[0] in {set}])"
    heavy = {"grpc", "numpy", "openai", "tritonclient", "gevent"}
    done = subprocess.run([sys.executable, "-c", code.replace("{set}", repr(heavy))], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_details_are_one_bearable_line() -> None:
    assert bounded("a\n  b" + "x" * 1000).startswith("a b")
    assert len(bounded("x" * 1000)) == 400

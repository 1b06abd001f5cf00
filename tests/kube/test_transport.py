"""One request against a real socket: what is tried again, how long is waited, and what is told of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from modelport.kube.client import take_apart
from modelport.kube.connection import Connection
from modelport.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from modelport.kube.lease import NotLeader
from modelport.kube.transport import Read, Transport, decode

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "{server}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{token: "{token}"}}}}]
"""


class Script:
    """Answers with these one after the other, then with 200."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.tokens: list[str | None] = []
        self.silent = False

    async def handle(self, request: web.Request) -> web.Response:
        if self.silent:
            await asyncio.sleep(1)
        self.tokens.append(request.headers.get("Authorization"))
        return self.answers.pop(0) if self.answers else web.json_response({"kind": "Done"})


def refusal(code: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": f"said {code}"}, status=code, headers=headers)


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[tuple[Script, Transport, list[tuple[str, str, int]], Path]]:
    script = Script()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubeconfig = tmp_path / "kubeconfig"
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    kubeconfig.write_text(KUBECONFIG.format(server=server, token="old"))
    connection = Connection(str(kubeconfig))
    await connection.load()
    counted: list[tuple[str, str, int]] = []
    transport = Transport(connection, lambda *one: counted.append(one[:3]))
    yield script, transport, counted, kubeconfig
    await transport.close()
    await runner.cleanup()


async def send(transport: Transport) -> object:
    return await transport.request("PATCH", "/x", verb="apply", resource="things", body={})


async def test_retry_after_is_obeyed(script: tuple[Script, Transport, list[tuple[str, str, int]], Path]) -> None:
    server, transport, counted, _ = script
    server.answers = [refusal(429, {"Retry-After": "1"}), refusal(503)]
    started = time.monotonic()
    assert await send(transport) == {"kind": "Done"}
    assert time.monotonic() - started >= 1.0
    assert [code for _, _, code in counted] == [429, 503, 200]


@pytest.mark.parametrize(
    ("code", "kind"), [(400, Invalid), (403, Forbidden), (404, NotFound), (409, Conflict), (422, Invalid)]
)
async def test_what_is_refused_for_good_is_not_sent_again(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path], code: int, kind: type[ApiError]
) -> None:
    server, transport, counted, _ = script
    server.answers = [refusal(code)]
    with pytest.raises(kind, match=f"said {code}"):
        await send(transport)
    assert counted == [("apply", "things", code)]


async def test_a_rotated_token_is_read_after_401(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, transport, _, kubeconfig = script
    kubeconfig.write_text(kubeconfig.read_text().replace("old", "new"))
    monkeypatch.setattr("modelport.kube.connection._RELOAD_AT_MOST_EVERY", 0.0)
    server.answers = [refusal(401)]
    await send(transport)
    assert server.tokens == ["Bearer old", "Bearer new"]


async def test_of_many_that_are_refused_at_once_one_loads_the_new_token_for_all(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, _, kubeconfig = script
    kubeconfig.write_text(kubeconfig.read_text().replace("old", "new"))
    transport._connection._loaded_at = float("-inf")
    server.answers = [refusal(401) for _ in range(4)]
    assert await asyncio.gather(*(send(transport) for _ in range(4))) == [{"kind": "Done"}] * 4
    assert server.tokens == ["Bearer old"] * 4 + ["Bearer new"] * 4


async def test_401_that_stays_is_an_error(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, counted, _ = script
    server.answers = [refusal(401) for _ in range(9)]
    with pytest.raises(Unauthorized):
        await send(transport)
    assert len(counted) == 1  # it was loaded a moment ago


async def test_each_try_of_a_write_passes_the_gate(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, counted, _ = script
    server.answers = [refusal(500) for _ in range(9)]
    passed = 0

    def gate() -> float:
        nonlocal passed
        passed += 1
        if passed == 3:
            raise NotLeader("lost meanwhile")
        return 13.0

    with pytest.raises(NotLeader):
        await transport.request("PATCH", "/x", verb="apply", resource="things", body={}, gate=gate)
    assert len(counted) == 2


async def test_a_write_gives_up_when_the_gate_closes(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, counted, _ = script
    server.silent = True
    with pytest.raises(Unavailable, match="Timeout"):
        await transport.request("PATCH", "/x", verb="apply", resource="things", body={}, gate=lambda: 0.2, attempts=1)
    assert counted == [("apply", "things", 0)]


async def test_a_pause_that_one_write_was_asked_for_holds_the_others(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, _, _ = script
    server.answers = [refusal(429, {"Retry-After": "1"})]
    started = time.monotonic()

    async def write() -> float:
        await transport.request("PATCH", "/x", verb="apply", resource="things", body={}, gate=lambda: 13.0)
        return time.monotonic() - started

    first = asyncio.create_task(write())
    await asyncio.sleep(0.3)
    await transport.request("GET", "/x", verb="get", resource="things")
    assert time.monotonic() - started < 1.0
    assert min(await asyncio.gather(first, write(), write())) >= 1.0


async def test_what_orjson_finds_too_deep_is_read_all_the_same(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path],
) -> None:
    server, transport, _, _ = script
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        server.answers = [web.Response(text='{"a":' * 9_000 + "1" + "}" * 9_000)]
        assert await send(transport)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("text", "read"),
    [("<html>a proxy's</html>", decode), ("<html>a proxy's</html>", take_apart), ('{"items": []}', take_apart)],
)
async def test_an_answer_that_is_no_json_or_no_list_is_unavailable(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path], text: str, read: Read
) -> None:
    server, transport, _, _ = script
    server.answers = [web.Response(text=text)]
    with pytest.raises(Unavailable, match="no answer from the API server"):
        await transport.request("GET", "/x", verb="list", resource="things", attempts=1, read=read)


async def test_no_connection_is_unavailable(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(server="http://127.0.0.1:9", token="x"))
    connection = Connection(str(kubeconfig))
    await connection.load()
    counted: list[tuple[str, str, int]] = []
    transport = Transport(connection, lambda *one: counted.append(one[:3]))
    with pytest.raises(Unavailable, match="no answer from the API server"):
        await transport.request("GET", "/x", verb="get", resource="things", attempts=2)
    await transport.close()
    assert counted == [("get", "things", 0)] * 2
    await asyncio.sleep(0)


async def read_all(transport: Transport) -> None:
    async with transport.lines("/x", resource="things", query={}, silence=5.0) as content:
        while await content.readline():
            pass


async def test_a_watch_that_is_cut_off_is_unavailable(tmp_path: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}\n{}\r\n")
        await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        kubeconfig = tmp_path / "kubeconfig"
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        kubeconfig.write_text(KUBECONFIG.format(server=address, token="x"))
        connection = Connection(str(kubeconfig))
        await connection.load()
        transport = Transport(connection, lambda *one: None)
        with pytest.raises(Unavailable, match="connection was lost"):
            await read_all(transport)
        await transport.close()


async def test_a_watch_that_is_not_even_begun_is_given_up_long_before_one_that_is_silent(
    script: tuple[Script, Transport, list[tuple[str, str, int]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, transport, _, _ = script
    server.silent = True
    monkeypatch.setattr("modelport.kube.transport._TRY", 0.1)
    with pytest.raises(TimeoutError):
        await read_all(transport)


async def test_a_kubeconfig_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="credentials cannot be loaded"):
        await Connection(str(tmp_path / "none")).load()

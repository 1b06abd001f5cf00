"""The prover against a small HTTP application, for faults only.

That real servers answer it is shown by the end-to-end tests, on vLLM and Triton themselves. The application here
speaks their documented wire format for what a real server cannot be made to do on command: fall silent, answer 500,
answer nonsense, claim work in its metrics, close the connection half way. It is no model, and no test takes its
right answers as proof of anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from modelport_agent.config import Drain, ProveConfig
from modelport_agent.prove import client
from modelport_agent.prove.judge import NEWS
from modelport_agent.prove.loop import Prover
from modelport_agent.prove.model import Contact, Listing, Observation, Reason, Verdict, Work
from modelport_agent.server import Pages

from .conftest import AGENT

RIGHT = {"choices": [{"text": "a"}], "usage": {"completion_tokens": 1}}


@dataclass
class Faulty:
    """One behaviour for each path: a status and a body, or None for silence."""

    models: Any = field(default_factory=lambda: (200, {"data": [{"id": "m"}]}))
    answer: Any = (200, RIGHT)
    running: int = 0
    tokens: int = 0
    metrics: bool = True
    counts: str = ""  # in place of vLLM's
    answered: int = 0  # ours and others'
    failed: int = 0
    key: str | None = None
    asked: int = 0
    port: int = 0
    raw: bytes | None = None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            reply = self.reply(head)
            while reply is None:
                await asyncio.sleep(0.01)
                reply = self.reply(head, again=True)
            writer.write(reply)
        except (EOFError, OSError, asyncio.CancelledError):
            pass  # the asker has gone, or the test is over
        finally:
            writer.close()

    def reply(self, head: str, *, again: bool = False) -> bytes | None:
        path = head.split(" ")[1]
        if path == "/metrics":
            text = f"vllm:num_requests_running {self.running}\nvllm:generation_tokens_total {self.tokens}\n"
            for reason, count in (("stop", self.answered), ("error", self.failed)):
                text += f'vllm:request_success_total{{finished_reason="{reason}"}} {count}\n'
            return page(200, self.counts or text) if self.metrics else None
        if self.key and f"Bearer {self.key}" not in head:
            return page(401, {"error": "Unauthorized"})
        if path == "/v1/models":
            return page(*self.models) if self.models else None
        self.asked += path == "/v1/completions" and not again
        if self.raw is not None:
            return self.raw
        self.answered += path == "/v1/completions" and self.answer is not None and self.answer[0] == 200
        return page(*self.answer) if self.answer else None


def page(status: int, body: Any) -> bytes:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)


@asynccontextmanager
async def serving(app: Faulty) -> AsyncIterator[str]:
    server = await asyncio.start_server(app.handle, "127.0.0.1", app.port)
    app.port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{app.port}"
    finally:
        server.close()


@asynccontextmanager
async def proving(url: str, **changes: Any) -> AsyncIterator[Prover]:
    config = ProveConfig("vllm", url, ("m",), interval=0.3, timeout=0.9, drain=Drain(0.0, 5.0))
    prover = Prover(replace(config, **changes))
    task = asyncio.create_task(prover.run())
    try:
        yield prover
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "this did not come to pass"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def reason(prover: Prover, expected: Reason) -> Callable[[], bool]:
    return lambda: prover.verdict.reason == expected


async def test_gone_is_noticed_at_once_and_back_is_noticed_too() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url, interval=30.0) as prover:
        await until(lambda: prover.verdict.ready)
        assert prover.questions == {"right": 1}
    async with proving(url, interval=30.0) as prover:
        await until(lambda: "does not listen yet" in prover.verdict.message)
        async with serving(app):
            await until(lambda: prover.verdict.ready)


async def test_a_killed_server_leaves_within_a_second(tmp_path: Path) -> None:
    """The connection held between two questions tells, long before the next one is due."""
    script = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "models").write_text('{"data": [{"id": "m"}]}')
    port = free_port()
    process = start("python3", "-c", script.format(port=port), folder=tmp_path)
    try:
        async with proving(f"http://127.0.0.1:{port}", interval=60.0, disabled=True) as prover:
            await until(lambda: prover.verdict.ready)
            process.kill()
            assert await until(lambda: not prover.verdict.ready) < 2.0
            assert prover.verdict.reason == Reason.NOT_ANSWERING
    finally:
        process.kill()
        process.communicate()


async def test_silence_with_nothing_else_to_do_leaves_within_two_intervals() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url, interval=1.0, timeout=30.0) as prover:
        await until(lambda: prover.verdict.ready)
        app.answer = None
        assert await until(reason(prover, Reason.NOT_ANSWERING)) < 2 * 1.0 + 0.5
        app.answer = (200, RIGHT)
        await until(lambda: prover.verdict.ready)


async def test_busy_keeps_the_proof_while_work_moves_and_only_then() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url, interval=1.0, timeout=3.0) as prover:
        await until(lambda: prover.verdict.ready)
        app.answer, app.running = None, 4
        for _ in range(50):
            app.tokens += 1
            await asyncio.sleep(0.1)
            assert prover.verdict.ready, prover.verdict
        assert prover.verdict.reason == Reason.BUSY
        await until(reason(prover, Reason.NOT_ANSWERING))
        assert "none has moved for 3 intervals" in prover.verdict.message


async def test_a_server_that_answers_others_is_not_asked() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url) as prover:
        await until(lambda: app.asked > 2)
        assert prover.proofs == 0, "our own answers are no traffic"
        answering = asyncio.create_task(traffic(app))
        try:
            await until(lambda: prover.proofs > 1)
            asked, proofs, app.answer = app.asked, prover.proofs, None  # nobody would notice
            await until(lambda: prover.proofs > proofs + 3)
            assert (app.asked, prover.verdict.ready, prover.verdict.reason) == (asked, True, Reason.ANSWERED)
            app.models = None  # so busy that not even the list comes in time
            await until(lambda: prover.proofs > proofs + 5)
            assert prover.verdict.ready
        finally:
            answering.cancel()
        await until(lambda: not prover.verdict.ready)


async def test_a_server_that_fails_others_is_asked() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url) as prover:
        answering = asyncio.create_task(traffic(app))
        try:
            await until(lambda: prover.proofs > 1)
            failing = asyncio.create_task(traffic(app, failures=1))
            app.answer = (500, {"error": {"message": "boom"}})
            await until(reason(prover, Reason.WRONG_ANSWER))
            failing.cancel()
            await asyncio.sleep(1.0)
            assert not prover.verdict.ready, "what was found wrong is put right by the question alone"
        finally:
            answering.cancel()


async def traffic(app: Faulty, failures: int = 0) -> None:
    while True:
        app.answered += 1
        app.failed += failures
        await asyncio.sleep(0.05)


async def test_deaf_even_to_metrics() -> None:
    app = Faulty()
    async with serving(app) as url, proving(url, timeout=30.0) as prover:
        await until(lambda: prover.verdict.ready)
        app.answer, app.metrics, app.models = None, False, None
        await until(reason(prover, Reason.NOT_ANSWERING))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"answer": (500, {"error": {"message": "boom"}})}, Reason.WRONG_ANSWER),
        ({"answer": (200, {"choices": []})}, Reason.WRONG_ANSWER),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}, Reason.NOT_ANSWERING),
        ({"raw": b"SSH-2.0-OpenSSH\r\n\r\n"}, Reason.NOT_ANSWERING),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"}, Reason.NOT_ANSWERING),
        ({"models": (200, {"data": [{"id": "other"}]})}, Reason.MODEL_MISSING),
        ({"models": (200, "nonsense")}, Reason.NOT_ANSWERING),
        ({"key": "secret"}, Reason.UNAUTHORIZED),
    ],
)
async def test_what_is_no_answer(change: dict[str, Any], expected: Reason) -> None:
    app = Faulty()
    async with serving(app) as url, proving(url) as prover:
        await until(lambda: prover.verdict.ready)
        for name, value in change.items():
            setattr(app, name, value)
        await until(reason(prover, expected))
        assert not prover.verdict.ready


async def test_a_secret_that_changes_takes_no_server_out_that_has_the_key_of_its_start(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old\n")
    app = Faulty(key="old")
    async with serving(app) as url, proving(url, api_key_file=str(key), interval=0.2) as prover:
        await until(lambda: prover.verdict.ready)
        key.write_text("new\n")
        asked = app.asked
        await until(lambda: app.asked > asked + 2)
        assert prover.verdict.ready
        app.key = "new"  # the server was started anew, with the key of today
        await until(lambda: not prover.verdict.ready)
        await until(lambda: prover.verdict.ready)


async def test_the_mounted_key_is_read_anew(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old\n")
    app = Faulty(key="new")
    async with serving(app) as url, proving(url, api_key_file=str(key)) as prover:
        await until(reason(prover, Reason.UNAUTHORIZED))
        assert "refuses the mounted key" in prover.verdict.message
        key.write_text("new\n")
        await until(lambda: prover.verdict.ready)


async def test_drain_waits_for_work_and_ends_when_there_is_none() -> None:
    app = Faulty(running=2)
    async with serving(app) as url, proving(url) as prover:
        await until(lambda: prover.verdict.ready)
        pages = Pages(prover)
        draining = asyncio.create_task(pages.answer(b"GET /drain HTTP/1.1\r\n\r\n"))
        await until(reason(prover, Reason.DRAINING))
        asked = app.asked
        assert pages.readyz()[0] == 503
        await asyncio.sleep(1.2)
        assert not draining.done()
        app.running = 0
        status, _, text = await draining
        assert (status, json.loads(text)) == (200, {"idle": True})
        assert app.asked == asked


async def test_drain_ends_at_its_deadline_and_without_a_server() -> None:
    app = Faulty(running=2)
    async with serving(app) as url, proving(url, drain=Drain(0.1, 1.0)) as prover:
        began = time.monotonic()
        assert json.loads((await Pages(prover).drain())[2]) == {"idle": False}
        assert 0.9 < time.monotonic() - began < 2.0
    async with proving(url) as prover:
        began = time.monotonic()
        assert json.loads((await Pages(prover).drain())[2]) == {"idle": True}
        assert time.monotonic() - began < 2.0


async def test_after_a_drain_a_restarted_server_is_proved_anew() -> None:
    app = Faulty(port=free_port())
    async with proving(f"http://127.0.0.1:{app.port}") as prover:
        async with serving(app):
            await until(lambda: prover.verdict.ready)
            await Pages(prover).drain()
            assert prover.verdict.reason == Reason.DRAINING
        await until(reason(prover, Reason.STARTING))
        async with serving(app):
            await until(lambda: prover.verdict.ready)


def test_a_doubt_is_told_again_with_the_words_of_now(capsys: pytest.CaptureFixture[str]) -> None:
    """A message that changed soon after it was told, and stands since, is not held back for longer than another one."""
    prover = Prover(ProveConfig("vllm", "http://127.0.0.1:9", ("m",)))
    for text in ("first", "second", "second"):
        prover.conclude(Observation(Listing(Contact.ANSWERED, 500, message=text)))
    prover.told_at -= NEWS
    for _ in range(3):
        prover.conclude(Observation(Listing(Contact.ANSWERED, 500, message="second")))
    told = "prove: not ready: NotAnswering: the server does not list its models:"
    assert capsys.readouterr().out.splitlines() == [f"{told} first", f"{told} second"]


async def test_what_a_drain_remembers_of_triton() -> None:
    """With no request for a while, the question alone tells how long an answer takes."""
    app = Faulty()
    async with serving(app) as url:
        prover = Prover(ProveConfig("triton", url, ("m",)))
        prover.metrics_url, app.counts = url, "nv_inference_pending_request_count 0\n"
        prover.verdict = Verdict(True, Reason.ANSWERED, usual=1.5)
        prover.start_draining()
        assert await prover.remaining() == Work(0, 0, unseen=1.5)
    assert await prover.remaining() == Work(0, 0), "a server that is gone has nothing left to do"


def test_a_path_beyond_ascii_is_encoded() -> None:
    asked = client.head("h", client.get("/größe?q=a%20b&c=é"), None)
    assert asked.startswith(b"GET /gr%C3%B6%C3%9Fe?q=a%20b&c=%C3%A9 HTTP/1.1\r\n")


async def test_answers_in_chunks_and_to_the_end() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    to_the_end = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nabcde"
    for raw in (chunks, to_the_end):
        app = Faulty(raw=raw)
        async with serving(app) as url:
            assert (await client.ask(url, client.get("/x"), 5.0)).body == b"abcde"
    with pytest.raises(client.NoAnswerError) as refused:
        await client.ask(url, client.get("/x"), 5.0)
    assert refused.value.contact == Contact.REFUSED


def start(*command: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def read(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_the_program_its_pages_and_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, port = Faulty(), free_port()
    async with serving(app) as url:
        document = {"version": 1, "runtime": "vllm", "server": url, "models": ["m"], "interval": 0.2}
        (tmp_path / "agent.json").write_text(json.dumps(document))
        arguments = ["prove", "--config", str(tmp_path / "agent.json"), "--host", "127.0.0.1", "--port", str(port)]
        process = start(AGENT, *arguments, folder=tmp_path)
        base = f"http://127.0.0.1:{port}"
        try:
            await until(lambda: app.asked >= 5)
            status, ready = await asyncio.to_thread(read, f"{base}/readyz")
            assert (status, json.loads(ready)["reason"]) == (200, "Answered")
            assert json.loads(ready)["models"]["m"]["ready"] is True
            assert (await asyncio.to_thread(read, f"{base}/healthz"))[0] == 200
            metrics = (await asyncio.to_thread(read, f"{base}/metrics"))[1]
            assert "modelport_agent_ready 1\n" in metrics
            assert 'modelport_agent_questions_total{result="right"}' in metrics
            assert json.loads((await asyncio.to_thread(read, f"{base}/progress"))[1])["phase"] == "proving"
            assert (await asyncio.to_thread(read, f"{base}/nothing"))[0] == 404
            resident = resident_mib(process.pid)
        finally:
            os.kill(process.pid, signal.SIGTERM)
        began = time.monotonic()
        output = await asyncio.to_thread(lambda: process.communicate(timeout=10)[0])
    assert process.returncode == 0
    assert time.monotonic() - began < 2.0
    assert output.splitlines()[1].startswith("prove: ready: Answered: the model answered in")
    assert output.splitlines()[-1] == "prove: ended"
    with capsys.disabled():
        print(f"\nmodelport-agent prove: {resident:.1f} MiB resident")
    assert resident < 60


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

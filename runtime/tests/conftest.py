"""A real modelport-runtime process on loopback, asked as the kubelet and as clients ask it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

PATIENCE = 20.0  # seconds; a slow machine shared with others


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def _ask(url: str, body: bytes | None = None, content_type: str = "") -> Reply:
    headers = {"content-type": content_type} if body is not None else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=PATIENCE) as answer:
            return Reply(answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()})
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read(), {k.lower(): v for k, v in error.headers.items()})


class Runtime:
    """One process; `app` and `management` are its two addresses."""

    def __init__(self, folder: Path, target: str, settings: dict[str, Any] | None, ports: list[int]) -> None:
        self.folder = folder
        self.termination_log = folder / "termination-log"
        self.ports = ports
        self.app, self.management = (f"http://127.0.0.1:{port}" for port in ports)
        command = [sys.executable, "-m", "modelport_runtime", "serve", target, "--app-dir", str(folder)]
        command += ["--host", "127.0.0.1", "--port", str(ports[0]), "--management-port", str(ports[1])]
        if settings is not None:
            (folder / "runtime.json").write_text(json.dumps({"version": 1, "name": "test", **settings}))
            command += ["--config", str(folder / "runtime.json")]
        environment = os.environ | {"MODELPORT_TERMINATION_LOG": str(self.termination_log)}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def ask(self, path: str, body: bytes | None = None, content_type: str = "application/json") -> Reply:
        """On the application's port."""
        return _ask(self.app + path, body, content_type)

    def manage(self, path: str) -> Reply:
        """On the management port."""
        return _ask(self.management + path)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the application that the client means to keep."""
        return http.client.HTTPConnection(urlsplit(self.app).netloc, timeout=PATIENCE)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}; {self.readiness()}"
            time.sleep(0.02)

    def readiness(self) -> tuple[int, str]:
        try:
            reply = self.manage("/readyz")
        except OSError:
            return 0, "Unreachable"
        return reply.status, reply.json["reason"]

    def wait_for(self, status: int, reason: str) -> None:
        self.until(lambda: self.readiness() == (status, reason), f"{status} {reason}")

    def message(self) -> str:
        return str(self.manage("/readyz").json["message"])

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """Writes app.py and starts the runtime on it: start(code, settings)."""
    started: list[Runtime] = []

    def begin(
        code: str, settings: dict[str, Any] | None = None, target: str = "app:app", ports: list[int] | None = None
    ) -> Runtime:
        (tmp_path / "app.py").write_text(code)
        started.append(Runtime(tmp_path, target, settings, ports or _free_ports(2)))
        return started[-1]

    yield begin
    for runtime in started:
        if runtime.process.poll() is None:
            runtime.process.kill()
            runtime.process.wait()


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports

"""Starts that fail or are cut short: one line for people where Kubernetes shows it, and the whole traceback in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]


@pytest.mark.parametrize(
    ("code", "target", "line"),
    [
        (
            "import os\n\nimport tortch\n",
            "app:app",
            "app: IMPORT: app.py:3: ModuleNotFoundError: No module named 'tortch'",
        ),
        ("def f(:\n", "app:app", "app: IMPORT: app.py:1: SyntaxError: invalid syntax"),
        (
            "def load():\n    open('model.pt')\nload()\n",
            "app:app",
            "app: IMPORT: app.py:2: FileNotFoundError: [Errno 2]",
        ),
        (
            "application = None\n",
            "app:app",
            "app: IMPORT: app:app: app.py has no 'app'; it defines no ASGI application",
        ),
        ("x = 1\n", "main:app", "app: IMPORT: no module 'main' in "),
        ("app = {}\n", "app:app", "app: IMPORT: app:app is dict, not an ASGI application"),
        ("def app(): ...\n", "app:app", "call it in the module, app = make_app()"),
        ("def app(environ, start_response): ...\n", "app:app", "wrap a WSGI application"),
        ("import sys\nsys.exit('no GPU')\n", "app:app", "app: IMPORT: app.py:2: SystemExit: no GPU"),
        (
            "from fastapi import FastAPI\nfrom contextlib import asynccontextmanager\n@asynccontextmanager\n"
            "async def life(app):\n    raise OSError('no weights')\n    yield\napp = FastAPI(lifespan=life)\n",
            "app:app",
            "app: STARTUP: app.py:5: OSError: no weights",
        ),
    ],
)
def test_a_failing_start_leaves_one_line_for_people(start: Start, code: str, target: str, line: str) -> None:
    runtime = start(code, None, target)
    assert runtime.process.wait(20) == 1
    left = runtime.termination_log.read_text()
    assert line in left
    assert left.count("\n") == 1
    if "IMPORT: app.py" in line:
        assert "Traceback" in runtime.log.read_text()


def test_a_wrong_config_names_the_field(start: Start) -> None:
    runtime = start("", {"request": {"path": "predict"}})
    assert runtime.process.wait(20) == 1
    assert "request.path: 'predict' must begin with /" in runtime.termination_log.read_text()


def test_sigterm_while_the_model_loads_is_nobodys_mistake(start: Start) -> None:
    runtime = start("import time\ntime.sleep(3600)\n")
    runtime.wait_for(503, "Starting")
    assert runtime.end() == 128 + 15
    assert not runtime.termination_log.exists()


def test_a_proof_that_fails_ends_the_process(start: Start) -> None:
    """Its last verdict would stand for ever."""
    broken = "import modelport_runtime.proving as ours\nours.judge = None\nasync def app(*_): ...\n"
    runtime = start(broken, {"request": {"path": "/"}})
    runtime.process.wait(20)
    assert "the proof has failed, so the process ends" in runtime.log.read_text()
    assert "'NoneType' object is not callable" in runtime.log.read_text()


def test_a_taken_port_is_named(start: Start) -> None:
    first = start("async def app(scope, receive, send): ...\n")
    first.wait_for(200, "HttpOnly")
    second = start("async def app(scope, receive, send): ...\n", ports=first.ports)
    assert second.process.wait(20) == 1
    assert f"app: PORT: cannot listen on 127.0.0.1:{first.ports[1]}: Address already in use" in second.log.read_text()

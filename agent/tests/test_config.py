"""Every key of agent.json, its default, and what a wrong one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelport_agent.config import (
    ConfigError,
    Copy,
    Download,
    Drain,
    Expect,
    Link,
    ProveConfig,
    Request,
    load,
    parse_fetch,
    parse_prove,
)

SMALL: dict[str, Any] = {"version": 1, "runtime": "vllm", "server": "http://127.0.0.1:8000", "models": ["a"]}


def test_every_key() -> None:
    document = {
        "version": 1,
        "runtime": "triton",
        "server": "http://127.0.0.1:8000/",
        "models": ["ocr", "det"],
        "task": "infer",
        "request": {
            "method": "put",
            "path": "/v2/models/ocr/infer",
            "contentType": "application/octet-stream",
            "body": None,
            "bodyBase64": "AP8=",
        },
        "expect": {"status": 201, "contains": "Paris"},
        "interval": 5,
        "timeout": 2.5,
        "disabled": True,
        "apiKeyFile": "/run/modelport/api-key/key",
        "drain": {"delay": 0, "deadline": 25},
        "fetch": [],
        "unknown": {"of": "a newer operator"},
    }
    assert parse_prove(document) == ProveConfig(
        runtime="triton",
        server="http://127.0.0.1:8000",
        models=("ocr", "det"),
        task="infer",
        request=Request("PUT", "/v2/models/ocr/infer", "application/octet-stream", b"\x00\xff"),
        expect=Expect(201, "Paris"),
        interval=5.0,
        timeout=2.5,
        disabled=True,
        api_key_file="/run/modelport/api-key/key",
        drain=Drain(0.0, 25.0),
    )


def test_defaults() -> None:
    assert parse_prove(SMALL) == ProveConfig("vllm", "http://127.0.0.1:8000", ("a",))
    nulls = dict.fromkeys(("task", "request", "expect", "interval", "timeout", "disabled", "apiKeyFile", "drain"))
    assert parse_prove(SMALL | nulls) == parse_prove(SMALL)
    assert parse_prove(SMALL).drain == Drain(3.0, 55.0)
    assert parse_prove(SMALL | {"request": {"path": "/x", "body": "{}"}}).request == Request(
        "POST", "/x", "application/json", b"{}"
    )


def test_every_step() -> None:
    steps = [
        {"uri": "hf://o/r", "to": "/models/m"},
        {"uri": "https://h/f", "to": "/models/m/det", "layout": "triton-model"},
        {"file": "/etc/modelport/det.config.pbtxt", "to": "/models/m/det/config.pbtxt"},
        {"folder": "/run/modelport/code/det", "to": "/models/m/det/1"},
        {"link": "/mnt/claims/w", "to": "/models/m", "layout": "folder"},
    ]
    assert parse_fetch({"version": 1, "fetch": steps}) == (
        Download("hf://o/r", Path("/models/m"), "folder"),
        Download("https://h/f", Path("/models/m/det"), "triton-model"),
        Copy(Path("/etc/modelport/det.config.pbtxt"), Path("/models/m/det/config.pbtxt"), folder=False),
        Copy(Path("/run/modelport/code/det"), Path("/models/m/det/1"), folder=True),
        Link(Path("/mnt/claims/w"), Path("/models/m"), "folder"),
    )
    assert parse_fetch({"version": 1}) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runtime": "tgi"}, "runtime: 'tgi' is none of vllm, triton"),
        ({"runtime": None}, "runtime: is missing"),
        ({"server": "https://x"}, "server: 'https://x' has to be http://HOST:PORT"),
        ({"models": []}, "models: needs at least one name, each a non-empty string"),
        ({"models": "a"}, "models: is a str where a list is expected"),
        ({"task": "dream"}, "task: 'dream' is none of completion, chat, embedding, infer"),
        ({"interval": 0}, "interval: 0 is not a number of seconds from 0.1 to 86400"),
        ({"timeout": "30"}, "timeout: '30' is not a number of seconds from 0.1 to 86400"),
        ({"disabled": 1}, "disabled: is a int where a bool is expected"),
        ({"expect": {"status": True}}, "expect.status: is a bool where a int is expected"),
        ({"drain": {"delay": -1}}, "drain.delay: -1 is not a number of seconds from 0 to 86400"),
        ({"request": {}}, "request.path: is missing"),
        ({"request": {"path": "x"}}, "request.path: 'x' has to start with / and to hold no blanks"),
        ({"request": {"path": "/x", "body": "", "bodyBase64": ""}}, "request.body: give body or bodyBase64, not both"),
        ({"request": {"path": "/x", "bodyBase64": "?"}}, "request.bodyBase64: .*"),
        ({"request": {"path": "/x", "method": "GET /y"}}, "request.method or contentType: .*"),
    ],
)
def test_messages_name_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$".replace(".s", "[.]s").replace("(", r"\(")):
        parse_prove(SMALL | change)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("x", r"fetch\[0\]: is not an object"),
        ({"to": "/x"}, r"fetch\[0\]: needs exactly one of uri, file, folder and link"),
        ({"uri": "hf://o/r"}, r"fetch\[0\]\.to: is missing"),
        ({"uri": "hf://o/r", "to": "models"}, r"fetch\[0\]\.to: models is not an absolute path without '\.\.'"),
        ({"uri": "hf://o/r", "to": "/m/../x"}, r"fetch\[0\]\.to: .*"),
        ({"uri": "hf://o/r", "to": "/m", "layout": "flat"}, r"fetch\[0\]\.layout: 'flat' is none of folder, .*"),
    ],
)
def test_messages_name_the_step(step: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        parse_fetch({"version": 1, "fetch": [step]})


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ("[]", "holds a list"), ('{"version": 2}', "this agent reads version 1, not 2")],
)
def test_documents_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "agent.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load(str(tmp_path / "agent.json"))


def test_a_document_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(str(tmp_path / "agent.json"))

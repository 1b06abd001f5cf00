"""runtime.json: the contract with the operator, and what is said about a wrong file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from modelport_runtime.settings import Drain, Expect, Request, Settings, SettingsError, parse, read


def test_what_is_left_out_has_its_default() -> None:
    assert read(None) == parse({}) == parse({"version": 1, "request": None, "expect": None}) == Settings()


def test_everything_given_is_taken_and_the_unknown_ignored() -> None:
    document = {
        "version": 1,
        "name": "language",
        "request": {"method": "post", "path": "/p", "contentType": "text/plain", "body": "é", "bodyBase64": None},
        "expect": {"status": 201, "contains": "x", "jsonPath": "$.later"},
        "interval": 5,
        "timeout": 2.5,
        "disabled": True,
        "drain": {"delay": 0, "deadline": 9},
        "later": {},
    }
    request = Request("POST", "/p", "text/plain", "é".encode())
    expected = Settings("language", request, Expect(201, "x"), 5.0, 2.5, True, Drain(0.0, 9.0))
    assert parse(document) == expected


def test_a_binary_body_comes_as_base64() -> None:
    body = bytes(range(256))
    folded = base64.encodebytes(body).decode()
    assert parse({"request": {"path": "/", "bodyBase64": folded}}).request == Request(
        "POST", "/", "application/json", body
    )


def test_method_and_content_type_follow_from_the_body() -> None:
    assert parse({"request": {"path": "/x"}}).request == Request("GET", "/x", None, b"")
    assert parse({"request": {"path": "/x", "body": "{}"}}).request == Request("POST", "/x", "application/json", b"{}")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the file: must be an object"),
        ({"request": "GET /"}, "request: must be an object"),
        ({"request": {"path": "predict"}}, "request.path: 'predict' must begin with /"),
        ({"request": {"body": {}}}, "request.body: {} must be text"),
        ({"request": {"bodyBase64": "*"}}, "request.bodyBase64: is not base64"),
        ({"expect": {"status": "200"}}, "expect.status: '200' must be an HTTP status"),
        ({"expect": {"status": 20}}, "expect.status: 20 must be an HTTP status"),
        ({"interval": 0}, "interval: 0 must be a number of seconds, at least 0.05"),
        ({"timeout": "30s"}, "timeout: '30s' must be a number of seconds"),
        ({"drain": {"delay": -1}}, "drain.delay: -1 must be a number of seconds, at least 0"),
    ],
)
def test_a_wrong_value_is_named_by_its_field(document: Any, message: str) -> None:
    with pytest.raises(SettingsError, match="^" + message.replace("*", r"\*").replace("{}", r"\{\}")):
        parse(document)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.json: cannot be read: No such file"):
        read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SettingsError, match=r"bad\.json: is not JSON"):
        read(tmp_path / "bad.json")

"""Reads runtime.json, the file that the operator renders for one pod.

Unknown keys are ignored, so that an older runtime starts under a newer operator; a wrong value is refused with the
path of its field. Must never read anything but that file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# How long work in flight may show no progress before it no longer passes for "busy": this many timeouts.
PATIENCE = 10


class SettingsError(ValueError):
    """The settings cannot be used; the text names the field."""


@dataclass(frozen=True)
class Request:
    """The question that proves the model."""

    method: str = "GET"
    path: str = "/"
    content_type: str | None = None
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Expect:
    """What the answer must be: `status` None takes any 2xx, `contains` None any text."""

    status: int | None = None
    contains: str | None = None

    def accepts_status(self, status: int) -> bool:
        return 200 <= status < 300 if self.status is None else status == self.status


@dataclass(frozen=True)
class Drain:
    """Seconds: `delay` lets the endpoint's removal spread, `deadline` counts from the call of /drain."""

    delay: float = 3.0
    deadline: float = 25.0


@dataclass(frozen=True)
class Settings:
    name: str = "app"
    request: Request | None = None
    expect: Expect = field(default_factory=Expect)
    interval: float = 10.0
    timeout: float = 30.0
    disabled: bool = False
    drain: Drain = field(default_factory=Drain)

    @property
    def patience(self) -> float:
        """Seconds without any progress after which busy is taken for stuck."""
        return self.timeout * PATIENCE


def read(path: Path | None) -> Settings:
    if path is None:
        return Settings()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: is not JSON: {error}") from error
    try:
        return parse(document)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def parse(document: Any) -> Settings:
    top = _mapping(document, "the file")
    drain = _mapping(top.get("drain"), "drain")
    return Settings(
        name=_text(top, "name", "name") or Settings.name,
        request=_request(top["request"]) if top.get("request") is not None else None,
        expect=_expect(_mapping(top.get("expect"), "expect")),
        interval=_seconds(top, "interval", "interval", Settings.interval),
        timeout=_seconds(top, "timeout", "timeout", Settings.timeout),
        disabled=bool(top.get("disabled", False)),
        drain=Drain(
            delay=_seconds(drain, "delay", "drain.delay", Drain.delay, least=0.0),
            deadline=_seconds(drain, "deadline", "drain.deadline", Drain.deadline, least=0.0),
        ),
    )


def _request(raw: Any) -> Request:
    given = _mapping(raw, "request")
    path = _text(given, "path", "request.path") or Request.path
    if not path.startswith("/"):
        raise SettingsError(f"request.path: {path!r} must begin with /")
    body = _body(given)
    method = _text(given, "method", "request.method") or ("POST" if body else "GET")
    content_type = _text(given, "contentType", "request.contentType") or ("application/json" if body else None)
    return Request(method.upper(), path, content_type, body)


def _body(given: Mapping[str, Any]) -> bytes:
    encoded = _text(given, "bodyBase64", "request.bodyBase64")
    if encoded is None:
        return (_text(given, "body", "request.body") or "").encode()
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)  # YAML writers fold long lines
    except binascii.Error as error:
        raise SettingsError(f"request.bodyBase64: is not base64: {error}") from error


def _expect(given: Mapping[str, Any]) -> Expect:
    status = given.get("status")
    if status is not None and (not isinstance(status, int) or not 100 <= status <= 599):
        raise SettingsError(f"expect.status: {status!r} must be an HTTP status, such as 200")
    return Expect(status=status, contains=_text(given, "contains", "expect.contains"))


def _mapping(raw: Any, where: str) -> Mapping[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{where}: must be an object with named fields")
    return raw


def _text(given: Mapping[str, Any], key: str, where: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise SettingsError(f"{where}: {value!r} must be text")
    return value


def _seconds(given: Mapping[str, Any], key: str, where: str, default: float, least: float = 0.05) -> float:
    value = given.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise SettingsError(f"{where}: {value!r} must be a number of seconds, at least {least:g}")
    return float(value)

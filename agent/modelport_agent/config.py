"""What the operator wrote for this pod (`agent.json`), as frozen dataclasses.

Parsing is strict about types and lenient about keys it does not know, so that an older agent runs under a newer
operator. It must never read anything but the document it is given.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNTIMES = ("vllm", "triton")
TASKS = ("completion", "chat", "embedding", "infer")
LAYOUTS = ("folder", "triton-model")


class ConfigError(Exception):
    """The document is not what this agent can follow; the text names the field."""


@dataclass(frozen=True)
class Request:
    """One HTTP question, sent as it stands."""

    method: str
    path: str
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Expect:
    """What makes an answer right."""

    status: int = 200
    contains: str | None = None


@dataclass(frozen=True)
class Drain:
    """Seconds: first `delay` for the endpoint's removal, then until nothing runs, `deadline` at most in all."""

    delay: float = 3.0
    deadline: float = 55.0


@dataclass(frozen=True)
class ProveConfig:
    """Whom to ask, what, and how often."""

    runtime: str
    server: str
    models: tuple[str, ...]
    task: str | None = None
    request: Request | None = None
    expect: Expect = Expect()
    interval: float = 10.0
    timeout: float = 30.0
    disabled: bool = False
    api_key_file: str | None = None
    drain: Drain = Drain()


@dataclass(frozen=True)
class Download:
    """Fetch `uri` into the folder `to`."""

    uri: str
    to: Path
    layout: str = "folder"


@dataclass(frozen=True)
class Copy:
    """Copy one file, or every file of a folder, from a mounted volume."""

    source: Path
    to: Path
    folder: bool


@dataclass(frozen=True)
class Link:
    """Point `to` at files that another volume holds."""

    source: Path
    to: Path
    layout: str = "folder"


Step = Download | Copy | Link


def load(path: str) -> dict[str, Any]:
    """The document at `path`, its version checked."""
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds a {type(document).__name__} where an object is expected")
    if document.get("version") != 1:
        raise ConfigError(f"{path}: version: this agent reads version 1, not {document.get('version')!r}")
    return document


def parse_prove(document: dict[str, Any]) -> ProveConfig:
    """The part of the document that `prove` follows."""
    models = _get(document, "models", list)
    if not models or not all(isinstance(name, str) and name for name in models):
        raise ConfigError("models: needs at least one name, each a non-empty string")
    expect = _get(document, "expect", dict, {})
    drain = _get(document, "drain", dict, {})
    return ProveConfig(
        runtime=_choice(document, "runtime", RUNTIMES) or _missing("runtime"),
        server=_server(_get(document, "server", str)),
        models=tuple(models),
        task=_choice(document, "task", TASKS),
        request=_request(_get(document, "request", dict, None)),
        expect=Expect(
            status=_get(expect, "status", int, Expect.status, "expect."),
            contains=_get(expect, "contains", str, None, "expect."),
        ),
        interval=_seconds(document, "interval", ProveConfig.interval),
        timeout=_seconds(document, "timeout", ProveConfig.timeout),
        disabled=_get(document, "disabled", bool, False),
        api_key_file=_get(document, "apiKeyFile", str, None),
        drain=Drain(
            delay=_seconds(drain, "delay", Drain.delay, "drain.", least=0.0),
            deadline=_seconds(drain, "deadline", Drain.deadline, "drain.", least=0.0),
        ),
    )


def parse_fetch(document: dict[str, Any]) -> tuple[Step, ...]:
    """The steps that `fetch` takes, in order."""
    steps = _get(document, "fetch", list, [])
    return tuple(_step(step, f"fetch[{index}].") for index, step in enumerate(steps))


def _step(step: Any, where: str) -> Step:
    if not isinstance(step, dict):
        raise ConfigError(f"{where.rstrip('.')}: is not an object")
    kinds = [kind for kind in ("uri", "file", "folder", "link") if kind in step]
    if len(kinds) != 1:
        raise ConfigError(f"{where.rstrip('.')}: needs exactly one of uri, file, folder and link")
    source = _get(step, kinds[0], str, where=where)
    to = Path(_get(step, "to", str, where=where))
    if not to.is_absolute() or ".." in to.parts:
        raise ConfigError(f"{where}to: {to} is not an absolute path without '..'")
    if kinds[0] in ("file", "folder"):
        return Copy(Path(source), to, folder=kinds[0] == "folder")
    layout = _choice(step, "layout", LAYOUTS, where) or "folder"
    return Download(source, to, layout) if kinds[0] == "uri" else Link(Path(source), to, layout)


def _request(value: dict[str, Any] | None) -> Request | None:
    if value is None:
        return None
    where = "request."
    path = _get(value, "path", str, where=where)
    if not path.startswith("/") or any(char.isspace() for char in path):
        raise ConfigError(f"{where}path: {path!r} has to start with / and to hold no blanks")
    text, encoded = _get(value, "body", str, None, where), _get(value, "bodyBase64", str, None, where)
    if text is not None and encoded is not None:
        raise ConfigError(f"{where}body: give body or bodyBase64, not both")
    try:
        body = base64.b64decode(encoded, validate=True) if encoded is not None else (text or "").encode()
    except binascii.Error as error:
        raise ConfigError(f"{where}bodyBase64: {error}") from error
    method = _get(value, "method", str, "POST", where).upper()
    content_type = _get(value, "contentType", str, "application/json", where)
    if not method.isalpha() or "\n" in content_type or "\r" in content_type:
        raise ConfigError(f"{where}method or contentType: holds characters that HTTP does not allow")
    return Request(method, path, content_type, body)


def _server(url: str) -> str:
    if not url.startswith("http://"):
        raise ConfigError(f"server: {url!r} has to be http://HOST:PORT")
    return url.rstrip("/")


_REQUIRED: Any = object()


def _get(table: dict[str, Any], key: str, kind: type, default: Any = _REQUIRED, where: str = "") -> Any:
    """The value at `key`; null counts as absent, a wrong type is an error that names the field."""
    value = table.get(key)
    if value is None:
        return _missing(where + key) if default is _REQUIRED else default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}{key}: is a {type(value).__name__} where a {kind.__name__} is expected")
    return value


def _missing(field: str) -> Any:
    raise ConfigError(f"{field}: is missing")


def _choice(table: dict[str, Any], key: str, allowed: tuple[str, ...], where: str = "") -> str | None:
    value: str | None = _get(table, key, str, None, where)
    if value is not None and value not in allowed:
        raise ConfigError(f"{where}{key}: {value!r} is none of {', '.join(allowed)}")
    return value


def _seconds(table: dict[str, Any], key: str, default: float, where: str = "", least: float = 0.1) -> float:
    value = table.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 86400:
        raise ConfigError(f"{where}{key}: {value!r} is not a number of seconds from {least:g} to 86400")
    return float(value)

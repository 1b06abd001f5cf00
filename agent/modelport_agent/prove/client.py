"""A very small HTTP/1.1 client: one request per connection, a deadline, an answer of bounded length.

It exists so that the sidecar stays small. It must never wait without a limit, follow a redirect, or use a proxy.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlsplit

from modelport_agent.config import Request
from modelport_agent.prove.model import Contact, Response

LIMIT = 4 << 20
HEADER_LIMIT = 64 << 10
ASCII = "".join(map(chr, range(33, 127)))  # what a request line may hold as it is


class NoAnswerError(Exception):
    """There is no whole answer; `contact` says how far it came."""

    def __init__(self, contact: Contact, text: str) -> None:
        super().__init__(text)
        self.contact = contact


async def ask(base: str, request: Request, deadline: float, key: str | None = None) -> Response:
    """The answer to one request within `deadline` seconds."""
    target = urlsplit(base)
    host, port = target.hostname or "127.0.0.1", target.port or 80
    try:
        async with asyncio.timeout(deadline):
            try:
                reader, writer = await asyncio.open_connection(host, port, limit=HEADER_LIMIT)
            except OSError as error:
                raise NoAnswerError(Contact.REFUSED, f"{host}:{port}: {error}") from error
            try:
                writer.write(head(f"{host}:{port}", request, key) + request.body)
                await writer.drain()
                return await read_response(reader)
            finally:
                writer.close()
    except TimeoutError as error:
        raise NoAnswerError(Contact.SILENT, f"{request.path}: no answer within {deadline:g} s") from error
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        reason = str(error) or type(error).__name__
        raise NoAnswerError(Contact.BROKEN, f"{request.path}: the connection broke: {reason}") from error


def get(path: str) -> Request:
    return Request("GET", path, "", b"")


def head(host: str, request: Request, key: str | None) -> bytes:
    path = quote(request.path, safe=ASCII)
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += ["User-Agent: modelport-agent", "Accept: */*"]
    if request.body or request.method not in ("GET", "HEAD"):
        lines += [f"Content-Type: {request.content_type}", f"Content-Length: {len(request.body)}"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Status line, headers, body; informational answers are passed over."""
    while True:
        status_line, *header_lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, _, rest = status_line.partition(" ")
        status = int(rest[:3])
        if not version.startswith("HTTP/1."):
            raise ValueError("this is not HTTP/1.1")
        if status >= 200:
            break
    headers = {}
    for line in header_lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if status in (204, 304):
        return Response(status, b"")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Response(status, await read_chunks(reader))
    if "content-length" in headers:
        return Response(status, await reader.readexactly(bounded(int(headers["content-length"]))))
    return Response(status, await read_to_end(reader))


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        length = int((await reader.readline()).split(b";")[0], 16)
        bounded(len(body) + length)
        body += await reader.readexactly(length)
        await reader.readline()
        if length == 0:
            return bytes(body)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while data := await reader.read(64 << 10):
        body += data
        bounded(len(body))
    return bytes(body)


def bounded(length: int) -> int:
    if not 0 <= length <= LIMIT:
        raise ValueError(f"an answer of {length} bytes is longer than the {LIMIT} that are read")
    return length

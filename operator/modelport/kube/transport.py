"""Sends one request to the API server and answers with decoded JSON: deadlines, retries and metrics in one place.

It must never repeat a request that the API server refused for good, and never log a body or a credential.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from modelport.kube.connection import Connection
from modelport.kube.errors import ApiError, Unauthorized, Unavailable, error
from modelport.kube.pace import Pace

Count = Callable[[str, str, int, float], None]
"""Told of each answered request: verb, resource, status code (0: no answer), seconds until the answer began."""
Gate = Callable[[], float]
"""Called before each try of a write: for how many seconds we may still write; raises when we may not."""
Read = Callable[[bytes], Any]
"""What an answer means; raises ValueError when it means nothing."""

USER_AGENT = "modelport"
JSON = "application/json"
_ATTEMPTS = 5
_TRY = 10.0  # seconds for one try
_LONGEST_WAIT = 30.0  # seconds, for a Retry-After that asks for more
_LINE = 4 << 20  # bytes of the longest watch event; etcd keeps no object above 1.5 MiB


def decode(content: bytes) -> Any:
    """What an answer, an event or an object of a list says. orjson reads 1024 maps in one another, and the API server keeps
    ten times as many."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)


class Transport:
    """One aiohttp session for reads, writes and watches."""

    def __init__(self, connection: Connection, count: Count, pace: Pace | None = None) -> None:
        self._connection = connection
        self._count = count
        self._pace = pace or Pace()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=_TRY, connect=5),
            headers={"User-Agent": USER_AGENT, "Accept": JSON},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        verb: str,
        resource: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        gate: Gate | None = None,
        attempts: int = _ATTEMPTS,
        read: Read = decode,
    ) -> Any:
        """Send it, again after 429, 5xx and lost connections; decoded JSON, or what `read` makes of it. Raises ApiError.

        A request with a gate is a write: it waits for its turn, and no try outlasts what the gate allows."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Accept": accept} if data is None else {"Accept": accept, "Content-Type": content_type}
        failure: ApiError = Unavailable(0, "nothing was sent")
        for attempt in range(attempts):
            if gate is not None:
                await self._pace.turn()
            pause = min(0.2 * 2**attempt, 5.0) * random.uniform(0.5, 1.0)
            began = time.monotonic()
            try:
                async with self._send(method, path, query, data, headers, gate=gate) as answer:
                    self._count(verb, resource, answer.status, time.monotonic() - began)
                    content = await answer.read()
                    if answer.status < 300:
                        return read(content)
                    failure = error(answer.status, _decoded(content))
                    asked = _retry_after(answer.headers)
                    if asked and gate is not None:
                        self._pace.hold(asked)
                    pause = max(pause, asked)
            except Unavailable as problem:
                failure = problem
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:  # ValueError: it is no JSON
                self._count(verb, resource, 0, time.monotonic() - began)
                failure = Unavailable(0, f"no answer from the API server: {str(problem) or type(problem).__name__}")
            if isinstance(failure, Unauthorized) and await self._connection.renew(began):
                continue
            if not isinstance(failure, Unavailable):
                raise failure
            if attempt + 1 < attempts:
                await asyncio.sleep(pause)
        raise failure

    @asynccontextmanager
    async def lines(
        self, path: str, *, resource: str, query: Mapping[str, str], accept: str = JSON, silence: float
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """A watch: its body is read line by line; TimeoutError after `silence` seconds without a byte, and earlier if not even
        its beginning is answered."""
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=silence)
        began = time.monotonic()
        try:
            async with (
                asyncio.timeout(_TRY) as patience,
                self._send("GET", path, query, None, {"Accept": accept}, timeout=timeout, read_bufsize=_LINE) as answer,
            ):
                patience.reschedule(None)
                self._count("watch", resource, answer.status, time.monotonic() - began)
                if answer.status >= 300:
                    failure = error(answer.status, _decoded(await answer.read()))
                    if isinstance(failure, Unauthorized):
                        await self._connection.renew(began)
                    raise failure
                yield answer.content
        except TimeoutError:
            raise
        except aiohttp.ClientError as problem:
            raise Unavailable(0, f"the connection was lost: {str(problem) or type(problem).__name__}") from problem

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
        *,
        gate: Gate | None = None,
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        connection = self._connection
        token = await connection.authorization()
        if gate is not None and (left := gate()) < _TRY:  # the last thing before it is sent
            options["timeout"] = aiohttp.ClientTimeout(total=left)
        async with self._session.request(
            method,
            connection.server + path,
            params=query,
            data=data,
            headers={**headers, "Authorization": token} if token else headers,
            ssl=connection.ssl,
            proxy=connection.proxy,
            server_hostname=connection.server_hostname,
            allow_redirects=False,
            **options,
        ) as answer:
            yield answer


def _decoded(content: bytes) -> Any:
    """The body of a refusal; proxies in between answer with other things than JSON."""
    try:
        return orjson.loads(content)
    except ValueError:
        return None


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "")
    return min(float(value), _LONGEST_WAIT) if value.isdigit() else 0.0

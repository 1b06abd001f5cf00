"""A fault proxy between operator and API server: it lets so many writes through and holds the next one in its hands.

To the operator it is an API server on plain HTTP; to the API server it is the operator, by its certificate.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

from e2e.cluster.controlplane import ControlPlane
from tests.engine.harness import USER

_KUBECONFIG = """\
{{apiVersion: v1, kind: Config, current-context: p, contexts: [{{name: p, context: {{cluster: p, user: p}}}}],
  clusters: [{{name: p, cluster: {{server: "http://127.0.0.1:{port}"}}}}], users: [{{name: p, user: {{}}}}]}}
"""


class Proxy:
    """Connections are copied byte by byte; aiohttp sends one request at a time, so each begins a chunk of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.held = threading.Event()
        """A write has come that may not pass."""
        self._left = inf
        self._loop: asyncio.AbstractEventLoop
        self._open = asyncio.Event()
        self._over = asyncio.Event()
        self._address = urlsplit(plane.server)
        self._tls = ssl.create_default_context(cafile=str(plane.authority.certificate))
        ours = plane.authority.issue("behind-the-proxy", USER)
        self._tls.load_cert_chain(ours.certificate, ours.key)

    def hold_after(self, writes: int) -> None:
        """Let so many writes pass from now on, and no more."""
        self._left = writes

    def release(self) -> None:
        """What is held is sent now, though nobody may wait for the answer any more; what comes later passes."""
        self._left = inf
        self._loop.call_soon_threadsafe(self._open.set)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Its kubeconfig, as long as the block lasts."""
        port: Future[int] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(port)), daemon=True)
        thread.start()
        kubeconfig = folder / "proxy.kubeconfig"
        kubeconfig.write_text(_KUBECONFIG.format(port=port.result(30)))
        yield kubeconfig
        self._loop.call_soon_threadsafe(self._over.set)
        thread.join()

    async def _serve(self, port: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        port.set_result(server.sockets[0].getsockname()[1])
        await self._over.wait()
        server.close()

    async def _connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(self._address.hostname, self._address.port, ssl=self._tls)
        back = asyncio.ensure_future(_copy(answers, writer))
        try:
            with suppress(OSError):
                while data := await reader.read(1 << 16):
                    if data.startswith(b"PATCH "):
                        await self._pass()
                    requests.write(data)
                    await requests.drain()
            await asyncio.wait([back], timeout=1.0)  # what was sent last is carried out, whoever waits for it
        finally:
            back.cancel()
            requests.transport.abort()
            writer.transport.abort()

    async def _pass(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.held.set()
            await self._open.wait()


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()

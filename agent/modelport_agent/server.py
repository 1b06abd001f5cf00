"""The sidecar's own HTTP: /readyz, /healthz, /drain, /metrics, /progress. It tells what the prover found and
decides nothing; it never passes a request on to the model.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from dataclasses import asdict

from modelport_agent.config import ProveConfig
from modelport_agent.drain import drain
from modelport_agent.prove.loop import Prover

HEAD_LIMIT = 16 << 10
HEAD_SECONDS = 5.0
PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
Page = tuple[int, str, str]


async def serve(config: ProveConfig, host: str, port: int) -> None:
    """Prove and answer until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    pages = Pages(Prover(config))
    listener = await asyncio.start_server(pages.handle, host, port, limit=HEAD_LIMIT)
    print(f"prove: listening on {port}, asking {config.server} for {', '.join(config.models)}", flush=True)
    proving = asyncio.create_task(pages.prover.run())
    stopping = asyncio.create_task(ended.wait())
    await asyncio.wait({proving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    if proving.done():
        proving.result()
    proving.cancel()
    print("prove: ended", flush=True)


class Pages:
    """The pages, and the bytes around them."""

    def __init__(self, prover: Prover) -> None:
        self.prover = prover

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, kind, text = await self.answer(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS))
            body = text.encode()
            lines = [f"HTTP/1.1 {status} {PHRASES[status]}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever asked has gone, or never spoke HTTP, or this program ends
        finally:
            writer.close()

    async def answer(self, head: bytes) -> Page:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return as_json(405, {"error": "only GET"})
        if path == "/drain":
            return await self.drain()
        pages = {
            "/healthz": lambda: as_json(200, {"ok": True}),
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/progress": self.progress,
        }
        return pages[path]() if path in pages else as_json(404, {"error": "no such page", "pages": [*pages, "/drain"]})

    async def drain(self) -> Page:
        prover = self.prover
        prover.start_draining()
        quiet = await drain(prover.config.drain, prover.remaining)
        print(f"prove: drained: {'nothing runs or waits' if quiet else 'the deadline came first'}", flush=True)
        return as_json(200, {"idle": quiet})

    def readyz(self) -> Page:
        verdict = self.prover.verdict
        models = {name: asdict(state) for name, state in verdict.models.items()}
        shown = {"ready": verdict.ready, "reason": verdict.reason, "message": verdict.message, "models": models}
        return as_json(200 if verdict.ready else 503, shown)

    def progress(self) -> Page:
        prover = self.prover
        asked = prover.question.path if prover.question else None
        shown = {
            "phase": "draining" if prover.draining.is_set() else "proving",
            "reason": prover.verdict.reason,
            "message": prover.verdict.message,
            "forSeconds": round(time.monotonic() - prover.since, 1),
            "question": asked,
            "questions": dict(prover.questions),
            "provedByTraffic": prover.proofs,
        }
        return as_json(200, shown)

    def metrics(self) -> Page:
        prover = self.prover
        lines = [
            "# HELP modelport_agent_ready Whether the model in this pod is proved to answer.",
            "# TYPE modelport_agent_ready gauge",
            f"modelport_agent_ready {int(prover.verdict.ready)}",
            "# HELP modelport_agent_questions_total Questions put to the model, by what came of them.",
            "# TYPE modelport_agent_questions_total counter",
            *(f'modelport_agent_questions_total{{result="{key}"}} {n}' for key, n in prover.questions.items()),
            "# HELP modelport_agent_traffic_proofs_total Times that the model was not asked, as others' requests were answered.",
            "# TYPE modelport_agent_traffic_proofs_total counter",
            f"modelport_agent_traffic_proofs_total {prover.proofs}",
            "# HELP modelport_agent_answer_seconds How long the last right answer took.",
            "# TYPE modelport_agent_answer_seconds gauge",
            f"modelport_agent_answer_seconds {prover.verdict.usual:.6f}",
        ]
        return 200, "text/plain; version=0.0.4; charset=utf-8", "\n".join(lines) + "\n"


def as_json(status: int, value: object) -> Page:
    return status, "application/json", json.dumps(value)

"""The loopback responder that an asking process is pointed to: it answers for every resource as vLLM does, and knows when.

GET /asked tells, by resource, when its first question came and when its last answer went, and forgets them. It must never
be the slow part: it computes nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiohttp import web

from e2e.bench.web import Json

_CHOICE = {"index": 0, "text": "x", "finish_reason": "length"}
_COMPLETION = {"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [_CHOICE]}


class Door:
    """Answers /NAMESPACE/NAME/v1/models with the model NAME, and any question with one token."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[float, float]] = {}

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """A model list, an answer, or what was asked so far."""
        if request.path == "/asked":
            asked, self._asked = self._asked, {}
            return web.json_response(asked)
        began = time.time()
        name = request.path.split("/")[2]
        if request.method == "POST":
            await request.read()
        models: Json = {"object": "list", "data": [{"id": each, "object": "model"} for each in (name, "org/repo")]}
        response = web.json_response(_COMPLETION if request.method == "POST" else models)
        await response.prepare(request)
        await response.write_eof()
        self._asked[name] = (self._asked.get(name, (began, began))[0], time.time())
        return response


async def main(port: int) -> None:
    """Answer until ended."""
    runner = web.ServerRunner(web.Server(Door().answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

"""Makes resources and changes them, as fast as a few connections allow, and sees when each is done."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable

import aiohttp

from e2e.bench.contender import Contender
from e2e.bench.web import MERGE, BenchError, send, watch

AT_ONCE = 8
_TELL_EVERY = 5.0


def say(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


class Fleet:
    """All resources of one run."""

    def __init__(self, client: aiohttp.ClientSession, contender: Contender) -> None:
        self._client, self._contender = client, contender
        self._wanted: dict[str, int] = {}
        self.done: dict[str, float] = {}
        """When each resource was seen to be done with the generation that is wanted, in seconds since 1970."""
        self._news = asyncio.Event()

    async def watch(self) -> None:
        """Look on until cancelled."""
        async for resource in watch(self._client, self._contender.path):
            name = resource["metadata"]["name"]
            if name not in self.done and self._contender.is_done(resource, self._wanted.get(name, 1)):
                self.done[name] = time.time()
                self._news.set()

    async def create(self, names: Iterable[str]) -> None:
        """All of them."""
        await self._each(names, self._create)

    async def change(self, names: Iterable[str]) -> None:
        """One field of each."""
        for name in names:
            self._wanted[name] = self._wanted.get(name, 1) + 1
            self.done.pop(name, None)
        await self._each(names, self._change)

    async def until_done(self, what: str, names: list[str], alive: Callable[[], None], within: float) -> None:
        """Wait for all of these; `alive` raises when there is nothing to wait for any more."""
        end, tell = time.monotonic() + within, time.monotonic() + _TELL_EVERY
        missing = set(names)
        while missing := {name for name in missing if name not in self.done}:
            alive()
            now = time.monotonic()
            if now > end:
                raise BenchError(f"{what}: {len(missing)} of {len(names)} not done within {within:.0f} s")
            if now > tell:
                say(f"    {what}: {len(names) - len(missing)} of {len(names)} done")
                tell = now + _TELL_EVERY
            self._news.clear()
            try:
                async with asyncio.timeout(1):
                    await self._news.wait()
                await asyncio.sleep(0.05)  # more will have come by then: counting costs, too
            except TimeoutError:
                pass

    async def _each(self, names: Iterable[str], act: Callable[[str], Awaitable[None]]) -> None:
        waiting = iter(names)

        async def some() -> None:
            for name in waiting:
                await act(name)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())

    async def _create(self, name: str) -> None:
        await send(self._client, "POST", self._contender.path, self._contender.body(name))

    async def _change(self, name: str) -> None:
        await send(self._client, "PATCH", f"{self._contender.path}/{name}", self._contender.change, MERGE)

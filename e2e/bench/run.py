"""What is done with one contender and one number of resources, phase after phase, and what each phase cost."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from e2e.bench import processes
from e2e.bench.contender import Contender
from e2e.bench.driver import say
from e2e.bench.player import HELD
from e2e.bench.requests import PLAYER, Request, children_written, latencies, quantile, tally
from e2e.bench.result import Phase, Result
from e2e.bench.stage import Stage
from e2e.bench.web import BenchError

OTHERS = 1000
"""So many are made while single ones become ready."""
CALM, BUSY = 40, 80
_RELEASE_EVERY = 0.25


@dataclass(frozen=True)
class Options:
    """What is measured beyond creation and restart."""

    idle: float = 60.0
    """Seconds; 0 leaves it out."""
    change: bool = True
    latency: bool = True
    within: float = 1800.0
    """Seconds that all resources may take to be done."""


def measure(contender: Contender, size: int, options: Options) -> Result:
    """Everything, on an API server that is made for it and taken away after; where something goes wrong, what was
    measured before."""
    result = Result(contender.name, size)

    async def everything(stage: Stage) -> None:
        run = Run(contender, stage, options, result)
        names = [f"model-{number:05}" for number in range(size)]
        await run.create(names)
        result.peak_mib, result.asking_peak_mib = stage.peaks()
        if options.idle:
            await run.idle()
        await run.restart()
        if options.change:
            await run.change(names)
        if options.latency:
            await run.latency()

    try:
        _on_a_stage(contender, everything)
    except BenchError as problem:
        result.broke_off = str(problem)
    return result


def profile(contender: Contender, size: int, output: Path) -> None:
    """Sample the operator's process while so many resources are created, and nothing else."""

    output = output.absolute()

    async def creation(stage: Stage) -> None:
        run = Run(contender, stage, Options(), Result(contender.name, size))
        with stage.sampled(output):
            await run.create([f"model-{number:05}" for number in range(size)])

    _on_a_stage(contender, creation)


def _on_a_stage(contender: Contender, act: Callable[[Stage], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with Stage(contender, folder).open() as stage:
            await _warm_up(stage)
            await act(stage)

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        asyncio.run(all_of_it())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _warm_up(stage: Stage) -> None:
    """One resource first: what is loaded with the first one is no cost of each."""
    await stage.fleet.create(["warm-up"])
    await stage.fleet.until_done("warming up", ["warm-up"], stage.alive, Options.within)
    await stage.at_rest()


class Run:
    """One contender with one number of resources."""

    def __init__(self, contender: Contender, stage: Stage, options: Options, result: Result) -> None:
        self._user, self._plural = contender.user, contender.resource.plural
        self._stage, self._fleet, self._within = stage, stage.fleet, options.within
        self._options, self._result = options, result
        self._news: list[Request] = []
        """What was asked of the API server in the last phase."""

    async def create(self, names: list[str]) -> None:
        """All of them, until each is done."""
        async with self._phase("create") as phase:
            began = time.time()
            await self._fleet.create(names)
            phase.figures["all_made"] = time.time() - began
            await self._until_done("creating", names)
            phase.figures["all_ready"] = max(self._fleet.done[name] for name in names) - began
            await self._stage.at_rest()
        self._children(phase, began, created=True)
        await self._latencies(phase, names)

    async def idle(self) -> None:
        """Look on."""
        async with self._phase("idle"):
            say(f"    for {self._options.idle:.0f} s")
            await asyncio.sleep(self._options.idle)

    async def restart(self) -> None:
        """Nothing has changed meanwhile."""
        async with self._phase("restart") as phase:
            began = time.monotonic()
            self._stage.stop()
            phase.figures["stopped"] = time.monotonic() - began
            began = time.monotonic()
            self._stage.start()
            phase.figures["at_rest"] = await self._stage.at_rest() - began
            phase.figures["peak_mib"], _ = self._stage.peaks()

    async def change(self, names: list[str]) -> None:
        """One field of each, until each is done again."""
        async with self._phase("change") as phase:
            began = time.time()
            await self._fleet.change(names)
            await self._until_done("changing", names)
            phase.figures["all_ready"] = max(self._fleet.done[name] for name in names) - began
            await self._stage.at_rest()
        self._children(phase, began, created=False)

    async def latency(self) -> None:
        """Single resources become ready: first while nothing else happens, then while many others are being made."""
        calm = [f"{HELD}calm-{number:03}" for number in range(CALM)]
        busy = [f"{HELD}busy-{number:03}" for number in range(BUSY)]
        others = [f"other-{number:04}" for number in range(OTHERS)]
        self._stage.log.news()
        await self._fleet.create(calm + busy)
        await self._held(len(calm + busy))
        async with self._phase("ready, calm") as phase:
            await self._release(calm)
            await self._until_done("becoming ready", calm)
        await self._latencies(phase, calm)
        async with self._phase("ready, busy") as phase:
            making = asyncio.create_task(self._fleet.create(others))
            released = await self._release(busy)
            await making
            await self._until_done("meanwhile", busy + others)
        until = max(children_written(self._news, self._user, self._plural, created=True))
        await self._latencies(phase, [name for name in busy if released[name] < until])

    async def _held(self, number: int) -> None:
        """Wait until so many pods of them are there, and only have to become ready."""
        end, pods = time.monotonic() + self._within, 0
        while pods < number:
            self._stage.alive()
            if time.monotonic() > end:
                raise BenchError(f"only {pods} of {number} Deployments that are to become ready later are there")
            await asyncio.sleep(0.25)
            news = self._stage.log.news()
            pods += sum(one.user == PLAYER and (one.verb, one.resource) == ("create", "pods") for one in news)
        await self._stage.at_rest()

    async def _release(self, names: list[str]) -> dict[str, float]:
        """Let these become ready, one after the other; when each was let go."""
        released = {}
        for name in names:
            released[name] = time.time()
            self._stage.release(name)
            await asyncio.sleep(_RELEASE_EVERY)
        return released

    async def _until_done(self, what: str, names: list[str]) -> None:
        await self._fleet.until_done(what, names, self._stage.alive, self._within)

    def _children(self, phase: Phase, began: float, *, created: bool) -> None:
        """How many of them were written, and until when."""
        written = children_written(self._news, self._user, self._plural, created=created)
        phase.figures["children"] = float(len(written))
        phase.figures["all_children"] = max(written, default=began) - began

    async def _latencies(self, phase: Phase, names: Iterable[str]) -> None:
        """Child ready -> resource Ready, with and without the time that the question through the door took."""
        asked, chosen = await self._stage.asked(), frozenset(names)
        found = latencies(self._news, self._user, self._plural, self._fleet.done)
        whole = {name: seconds for name, seconds in found.items() if name in chosen}
        own = [max(0.0, seconds - asked.get(name, 0.0)) for name, seconds in whole.items()]
        phase.figures["ready_count"] = float(len(whole))
        phase.figures["ready_median"], phase.figures["ready_p99"] = _middle_and_end(whole.values())
        phase.figures["share_median"], phase.figures["share_p99"] = _middle_and_end(own)

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[Phase]:
        """Measure what happens in the block."""
        say(f"  {name}")
        phase = Phase()
        self._stage.log.news()
        before, busy, began = self._stage.used(), processes.busy(), time.monotonic()
        yield phase
        phase.seconds = time.monotonic() - began
        phase.cpu = {part: seconds - before.get(part, 0.0) for part, seconds in self._stage.used().items()}
        phase.foreign = max(0.0, processes.busy() - busy - sum(phase.cpu.values()))
        self._news = self._stage.log.news()
        phase.requests = asdict(tally(self._news, self._user))
        self._result.phases[name] = phase


def _middle_and_end(seconds: Iterable[float]) -> tuple[float | None, float | None]:
    values = list(seconds)
    return quantile(values, 0.5), quantile(values, 0.99)

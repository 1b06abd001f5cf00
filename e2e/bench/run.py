"""One contender with one number of resources, on an API server of its own: phase after phase, each with what it cost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from e2e.bench import processes
from e2e.bench.contender import NAMESPACE, Contender
from e2e.bench.driver import BenchError, Fleet, say
from e2e.bench.player import HELD
from e2e.bench.requests import PLAYER, AuditLog, Request, children_written, latencies, quantile, tally
from e2e.bench.result import Phase, Result
from e2e.bench.web import send, session
from e2e.cluster.binaries import binary
from e2e.cluster.controlplane import ControlPlane, Settings

ROOT = Path(__file__).parents[2]
OTHERS = 1000
"""So many are made while the probes become ready."""
CALM, BUSY = 40, 80
_RELEASE_EVERY = 0.25
_QUIET = 0.03  # of a core, over _QUIET_FOR seconds
_QUIET_FOR = 2.0
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_CONTROLLERS = ("serviceaccount-controller",)  # a pod needs the namespace's account; the player is the others


@dataclass(frozen=True)
class Options:
    """What is measured beyond the creation."""

    idle: float = 60.0
    """Seconds; 0 leaves it out."""
    change: bool = True
    latency: bool = True
    within: float = 900.0


class Run:
    """One contender on one API server."""

    def __init__(self, contender: Contender, size: int, options: Options, folder: Path) -> None:
        self._contender, self._size, self._options, self._folder = contender, size, options, folder
        self._plane = ControlPlane(folder, Settings(controllers=_CONTROLLERS))
        self._ports = _free_ports(2)
        self._operator: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        self._spent = {"operator": 0.0, "asking": 0.0}
        """CPU seconds of operator processes that have ended."""
        self._news: list[Request] = []
        self.result = Result(contender.name, size)

    async def measure(self) -> Result:
        """Everything, in order."""
        names = [f"model-{number:05}" for number in range(self._size)]
        async with self._stage() as fleet:
            await self._create(fleet, names)
            self._peak()
            if self._options.idle:
                await self._idle()
            await self._restart()
            if self._options.change:
                await self._change(fleet, names)
            if self._options.latency:
                await self._latency(fleet)
        return self.result

    async def profile(self, output: Path) -> None:
        """Sample the operator's process while resources are created, and nothing else."""
        names = [f"model-{number:05}" for number in range(self._size)]
        async with self._stage() as fleet:
            with self._sampled(output):
                await self._create(fleet, names)

    @contextmanager
    def _sampled(self, output: Path) -> Iterator[None]:
        """A flame graph, or with another suffix than .svg the stacks with their counts."""
        form = "flamegraph" if output.suffix == ".svg" else "raw"
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "99", "--format", form]
        sampler = self._launch("py-spy", [*command, "--output", str(output), "--pid", str(self._pid)], self._folder)
        try:
            yield
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.wait(60)

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[Fleet]:
        """API server, player, door and operator run; nothing has been made yet."""
        with self._plane, self._everything_ends():
            self._install()
            self._log = AuditLog(self._plane.audit_log, [self._contender.user, PLAYER])
            driver = self._plane.kubeconfig_for("bench-driver", ["system:masters"])
            async with session(driver, connections=12) as self._client:
                await send(self._client, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
                await self._answers(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default")  # each pod's
                await self._answers(self._contender.path)
                self._play()
                self._start()
                fleet = Fleet(self._client, self._contender)
                self._watching = asyncio.create_task(fleet.watch())
                await self._quiet()
                try:
                    await self._warm_up(fleet)
                    yield fleet
                finally:
                    self._watching.cancel()

    async def _warm_up(self, fleet: Fleet) -> None:
        """One resource first: what is loaded with the first one is no cost of each."""
        await fleet.create(["warm-up"])
        await fleet.until_done("warming up", ["warm-up"], self._alive, self._options.within)
        await self._quiet()

    async def _create(self, fleet: Fleet, names: list[str]) -> None:
        async with self._phase("create") as phase:
            began = time.time()
            await fleet.create(names)
            phase.figures["all_made"] = time.time() - began
            await fleet.until_done("creating", names, self._alive, self._options.within)
            phase.figures["all_ready"] = max(fleet.done[name] for name in names) - began
            await self._quiet()
        made = children_written(self._news, self._contender.user, self._contender.resource.plural, created=True)
        phase.figures["children"] = float(len(made))
        phase.figures["all_children"] = max(made, default=began) - began
        self._latencies(phase, fleet, set(names), await self._asked())

    async def _idle(self) -> None:
        async with self._phase("idle"):
            say(f"    idle for {self._options.idle:.0f} s")
            await asyncio.sleep(self._options.idle)

    async def _restart(self) -> None:
        async with self._phase("restart") as phase:
            began = time.monotonic()
            self._spent = {part: seconds for part, seconds in self._used().items() if part in self._spent}
            self._end(self._operator)
            phase.figures["stopped"] = time.monotonic() - began
            began = time.monotonic()
            self._start()
            phase.figures["at_rest"] = await self._quiet() - began
            phase.figures["peak_mib"] = processes.peak_mib(self._pid)

    async def _change(self, fleet: Fleet, names: list[str]) -> None:
        async with self._phase("change") as phase:
            began = time.time()
            await fleet.change(names)
            await fleet.until_done("changing", names, self._alive, self._options.within)
            phase.figures["all_ready"] = max(fleet.done[name] for name in names) - began
            await self._quiet()
        written = children_written(self._news, self._contender.user, self._contender.resource.plural, created=False)
        phase.figures["children"] = float(len(written))
        phase.figures["all_children"] = max(written, default=began) - began

    async def _latency(self, fleet: Fleet) -> None:
        """Single resources become ready: first while nothing else happens, then while many others are being made."""
        calm = [f"{HELD}calm-{number:03}" for number in range(CALM)]
        busy = [f"{HELD}busy-{number:03}" for number in range(BUSY)]
        others = [f"other-{number:04}" for number in range(OTHERS)]
        await fleet.create(calm + busy)
        await self._quiet()
        async with self._phase("ready, calm") as phase:
            await self._release(calm)
            await fleet.until_done("becoming ready", calm, self._alive, self._options.within)
        self._latencies(phase, fleet, set(calm), await self._asked())
        async with self._phase("ready, busy") as phase:
            making = asyncio.create_task(fleet.create(others))
            released = await self._release(busy)
            await making
            await fleet.until_done("meanwhile", busy + others, self._alive, self._options.within)
        user, plural = self._contender.user, self._contender.resource.plural
        until = max(children_written(self._news, user, plural, created=True))
        self._latencies(phase, fleet, {name for name in busy if released[name] < until}, await self._asked())

    async def _release(self, names: list[str]) -> dict[str, float]:
        """Let these become ready, one after the other; when each was let go."""
        player, released = self._players[0], {}
        assert player.stdin is not None
        for name in names:
            released[name] = time.time()
            player.stdin.write(f"{name}\n".encode())
            player.stdin.flush()
            await asyncio.sleep(_RELEASE_EVERY)
        return released

    async def _asked(self) -> dict[str, list[float]]:
        async with aiohttp.ClientSession() as plain, plain.get(f"http://127.0.0.1:{self._ports[1]}/asked") as answer:
            asked: dict[str, list[float]] = await answer.json()
            return asked

    def _latencies(self, phase: Phase, fleet: Fleet, names: set[str], asked: dict[str, list[float]]) -> None:
        """Child ready -> resource Ready, with and without the time that the question through the door took."""
        found = latencies(self._news, self._contender.user, self._contender.resource.plural, fleet.done)
        whole = {name: seconds for name, seconds in found.items() if name in names}
        spans = {name: asked[name][1] - asked[name][0] for name in whole if name in asked}
        own = {name: max(0.0, seconds - spans.get(name, 0.0)) for name, seconds in whole.items()}
        phase.figures["ready_count"] = float(len(whole))
        phase.figures["ready_median"] = quantile(whole.values(), 0.5)
        phase.figures["ready_p99"] = quantile(whole.values(), 0.99)
        phase.figures["share_median"] = quantile(own.values(), 0.5)
        phase.figures["share_p99"] = quantile(own.values(), 0.99)

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[Phase]:
        """Measure what happens in the block."""
        say(f"  {name}")
        phase = self.result.phases[name] = Phase()
        self._log.news()
        before, busy, began = self._used(), processes.busy(), time.monotonic()
        yield phase
        phase.seconds = time.monotonic() - began
        phase.cpu = {part: seconds - before.get(part, 0.0) for part, seconds in self._used().items()}
        phase.foreign = max(0.0, processes.busy() - busy - sum(phase.cpu.values()))
        self._news = self._log.news()
        counts = tally(self._news, self._contender.user)
        phase.requests = {
            "writes": counts.writes,
            "gets": counts.gets,
            "lists": counts.lists,
            "dry_runs": counts.dry_runs,
            "refused": counts.refused,
        }

    def _used(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        times = processes.snapshot()
        plane = {name: self._plane.processes.record(name) for name in self._plane.processes.names()}
        pids = {name: [record.pid] for name, record in plane.items() if record is not None}
        pids["bench"] = [os.getpid(), *(player.pid for player in self._players)]
        pids["operator"], pids["asking"] = [self._pid], processes.children(times, self._pid)
        return {part: processes.seconds(times, of) + self._spent.get(part, 0.0) for part, of in pids.items()}

    def _peak(self) -> None:
        times = processes.snapshot()
        self.result.peak_mib = processes.peak_mib(self._pid)
        self.result.asking_peak_mib = sum(map(processes.peak_mib, processes.children(times, self._pid)))

    async def _quiet(self) -> float:
        """Wait until the operator does next to nothing; when that began."""
        deadline = time.monotonic() + 120
        samples: list[tuple[float, float]] = []
        while True:
            self._alive()
            times, now = processes.snapshot(), time.monotonic()
            samples.append((now, processes.seconds(times, [self._pid, *processes.children(times, self._pid)])))
            old = next((one for one in reversed(samples) if now - one[0] >= _QUIET_FOR), None)
            if old is not None and samples[-1][1] - old[1] <= _QUIET * _QUIET_FOR:
                return old[0]
            if now > deadline:
                raise BenchError(f"{self._contender.name} has not come to rest within 120 s")
            await asyncio.sleep(0.25)

    def _install(self) -> None:
        path = f"{binary('kubectl').parent}:{binary('helm').parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(self._plane.kubeconfig)}
        script = f"set -euo pipefail\n{self._contender.install}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise BenchError(f"installing {self._contender.name} failed:\n{done.stderr[-2000:]}")

    async def _answers(self, path: str) -> None:
        """Wait until the API server has what is at the path."""
        for _ in range(600):
            async with self._client.get(path) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)
        raise BenchError(f"the API server does not serve {path}")

    def _play(self) -> None:
        player = self._plane.kubeconfig_for(PLAYER, ["system:masters"])
        self._players = [
            self._launch("player", [sys.executable, "-m", "e2e.bench.player"], player, stdin=subprocess.PIPE),
            self._launch("door", [sys.executable, "-m", "e2e.bench.door", str(self._ports[1])], player),
        ]

    def _start(self) -> None:
        user = self._contender.user
        kubeconfig = self._plane.kubeconfig_for(user, ["system:serviceaccounts"] if ":" in user else [])
        command = self._contender.arguments(
            python=sys.executable,
            port=str(self._ports[0]),
            door=f"http://127.0.0.1:{self._ports[1]}",
            kubeconfig=str(kubeconfig),
        )
        self._operator = self._launch("operator", command, kubeconfig)

    @property
    def _pid(self) -> int:
        assert self._operator is not None
        return self._operator.pid

    def _launch(
        self, name: str, command: list[str], kubeconfig: Path, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [*_ENDS_WITH_US, *command]
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=stdin, stdout=log, stderr=log)

    def _alive(self) -> None:
        """Raise where the driver's watch or a process has ended that must not."""
        if self._watching.done():
            self._watching.result()
        names = ["operator", "player", "door"]
        for name, process in zip(names, [self._operator, *self._players], strict=True):
            if process is None or process.poll() is not None:
                log = self._folder / f"{name}.log"
                raise BenchError(f"{name} has ended:\n{log.read_text(errors='replace')[-3000:]}")

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def _everything_ends(self) -> Iterator[None]:
        try:
            yield
        finally:
            for process in (self._operator, *self._players):
                self._end(process)


def measure(contender: Contender, size: int, options: Options) -> Result:
    """On an API server that is made for it and taken away after."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        return asyncio.run(Run(contender, size, options, folder).measure())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def profile(contender: Contender, size: int, output: Path) -> None:
    """Where the operator spends its time while so many resources are created."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        asyncio.run(Run(contender, size, Options(), folder).profile(output.absolute()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports

"""The stage on which one contender is measured: an API server of its own, the programs that play the world, the operator.

As a context manager it must never outlive the bench, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from e2e.bench import processes
from e2e.bench.contender import NAMESPACE, Contender
from e2e.bench.driver import Fleet
from e2e.bench.requests import PLAYER, AuditLog
from e2e.bench.web import BenchError, send, session
from e2e.cluster.binaries import binary
from e2e.cluster.controlplane import ControlPlane, Settings
from e2e.ports import free_ports

ROOT = Path(__file__).parents[2]
_QUIET, _OF_EACH = 0.03, 5e-5
"""Of a core, over _QUIET_FOR seconds: for the operator, and for each resource, whose model may be asked anew every few minutes."""
_QUIET_FOR = 2.0
_TITLE = re.compile('(<text id="title"[^>]*>)[^<]*<')  # else py-spy's command, with the paths of this machine
_RESTS_WITHIN = 600.0
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # however the bench ends
_CONTROLLERS = ("serviceaccount-controller",)  # a pod needs the namespace's account; the player is the others
_LESS_COLLECTING = ("env", "GOGC=400")  # a sixth of the API server's time goes to its garbage otherwise


class Stage:
    """Everything that runs while a contender is measured."""

    fleet: Fleet
    log: AuditLog
    _client: aiohttp.ClientSession
    _watching: asyncio.Task[None]

    def __init__(self, contender: Contender, folder: Path) -> None:
        self._contender, self._folder = contender, folder
        self._plane = ControlPlane(folder, Settings(controllers=_CONTROLLERS, prefix=_LESS_COLLECTING))
        self._port, self._door = free_ports(2)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._spent = {"operator": 0.0, "asking": 0.0}
        """CPU seconds of operator processes that have ended."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stage]:
        """All of it runs, and the operator is at rest; nothing has been made yet."""
        with self._plane, self._everything_ends():
            self._install()
            self.log = AuditLog(self._plane.audit_log, [self._contender.user, PLAYER])
            driver = self._plane.kubeconfig_for("bench-driver", ["system:masters"])
            async with session(driver, connections=12) as self._client:
                await send(self._client, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
                await self._answers(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default")  # each pod's
                await self._answers(self._contender.path)
                self._play()
                self.start()
                self.fleet = Fleet(self._client, self._contender)
                self._watching = asyncio.create_task(self.fleet.watch())
                try:
                    await self.at_rest()
                    yield self
                finally:
                    self._watching.cancel()

    def start(self) -> None:
        """Start the operator."""
        user = self._contender.user
        kubeconfig = self._plane.kubeconfig_for(user, ["system:serviceaccounts"] if ":" in user else [])
        command = self._contender.arguments(
            python=sys.executable,
            port=str(self._port),
            door=f"http://127.0.0.1:{self._door}",
            kubeconfig=str(kubeconfig),
        )
        self._launch("operator", command, kubeconfig)

    def stop(self) -> None:
        """End the operator as Kubernetes does, by SIGTERM."""
        self._spent = {part: seconds for part, seconds in self.used().items() if part in self._spent}
        _end(self._running.pop("operator"))

    def release(self, name: str) -> None:
        """Let a Deployment that the player holds back become ready."""
        player = self._running["player"]
        assert player.stdin is not None
        player.stdin.write(f"{name}\n".encode())
        player.stdin.flush()

    async def asked(self) -> dict[str, float]:
        """For each resource that was asked through the door since the last look, the seconds that this took."""
        async with aiohttp.ClientSession() as plain, plain.get(f"http://127.0.0.1:{self._door}/asked") as answer:
            return {name: last - first for name, (first, last) in (await answer.json()).items()}

    async def at_rest(self) -> float:
        """Wait until the operator does next to nothing; when that began, by the monotonic clock."""
        deadline = time.monotonic() + _RESTS_WITHIN
        quiet = (_QUIET + _OF_EACH * len(self.fleet.done)) * _QUIET_FOR
        samples: list[tuple[float, float]] = []
        while True:
            self.alive()
            used, now = self.used(), time.monotonic()
            samples.append((now, used["operator"] + used["asking"]))
            old = next((one for one in reversed(samples) if now - one[0] >= _QUIET_FOR), None)
            if old is not None and samples[-1][1] - old[1] <= quiet:
                return old[0]
            if now > deadline:
                raise BenchError(f"{self._contender.name} has not come to rest within {_RESTS_WITHIN:.0f} s")
            await asyncio.sleep(0.25)

    def used(self) -> dict[str, float]:
        """CPU seconds so far: of each program of the control plane, of the bench, the operator and its child processes."""
        times = processes.snapshot()
        plane = {name: self._plane.processes.record(name) for name in self._plane.processes.names()}
        pids = {name: [record.pid] for name, record in plane.items() if record is not None}
        pids["bench"] = [os.getpid(), *(one.pid for name, one in self._running.items() if name != "operator")]
        pids["operator"], pids["asking"] = [self._pid], processes.children(times, self._pid)
        return {part: processes.seconds(times, of) + self._spent.get(part, 0.0) for part, of in pids.items()}

    def peaks(self) -> tuple[float, float]:
        """The most memory that was ever resident, in MiB: of the operator, and of its child processes."""
        asking = processes.children(processes.snapshot(), self._pid)
        return processes.peak_mib(self._pid), sum(map(processes.peak_mib, asking))

    def alive(self) -> None:
        """Raise where the driver's watch or a process has ended that must not."""
        if self._watching.done():
            self._watching.result()
        for name, process in self._running.items():
            if process.poll() is not None:
                log = self._folder / f"{name}.log"
                raise BenchError(f"{name} has ended:\n{log.read_text(errors='replace')[-3000:]}")

    @contextmanager
    def sampled(self, output: Path) -> Iterator[None]:
        """A flame graph of the operator, or with another suffix than .svg its stacks with their counts."""
        form = "flamegraph" if output.suffix == ".svg" else "raw"
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "99", "--format", form]
        self._launch("sampler", [*command, "--output", str(output), "--pid", str(self._pid)], self._plane.kubeconfig)
        try:
            yield
        finally:
            sampler = self._running.pop("sampler")
            sampler.send_signal(signal.SIGINT)
            sampler.wait(60)
            if form == "flamegraph":
                output.write_text(_TITLE.sub(rf"\g<1>{self._contender.name}<", output.read_text(), count=1))

    @property
    def _pid(self) -> int:
        return self._running["operator"].pid

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
        kubeconfig = self._plane.kubeconfig_for(PLAYER, ["system:masters"])
        self._launch("player", [sys.executable, "-m", "e2e.bench.player"], kubeconfig, stdin=subprocess.PIPE)
        self._launch("door", [sys.executable, "-m", "e2e.bench.door", str(self._door)], kubeconfig)

    def _launch(self, name: str, command: list[str], kubeconfig: Path, stdin: int = subprocess.DEVNULL) -> None:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*_ENDS_WITH_US, *command], cwd=ROOT, env=environment, stdin=stdin, stdout=log, stderr=log
            )

    @contextmanager
    def _everything_ends(self) -> Iterator[None]:
        try:
            yield
        finally:
            for process in self._running.values():
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

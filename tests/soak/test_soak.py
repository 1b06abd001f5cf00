"""Twenty minutes of everyday life with a thousand resources: nothing grows, and in the end everything is as it should be.

    pytest -s -m long tests/soak
    SOAK="resources=100 minutes=2 rate=5" pytest -s -m long tests/soak

Memory is judged from the sixth minute on, where at least ten are left then; shorter runs only print it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from e2e.bench.web import session
from tests.engine.harness import Engine
from tests.faults.check import everything_is_as_it_should_be
from tests.soak import measures
from tests.soak.life import Life
from tests.soak.measures import Probe, Sample

pytestmark = [pytest.mark.apiserver, pytest.mark.long]

ROOT = Path(__file__).parents[2]
EVERY = 10.0
WARM, LONG_ENOUGH = 300.0, 600.0
MOST = 1.0
"""MiB in ten minutes."""
GROWS: dict[str, tuple[Callable[[Sample], float], float]] = {
    "tasks": (lambda one: one.tasks, 5),
    "file descriptors": (lambda one: one.descriptors, 2),
    "queue age": (lambda one: one.age, 1),
}


@dataclass(frozen=True)
class Plan:
    """How long, with how many resources, and how much happens to them in a second."""

    minutes: float = 20.0
    resources: float = 1000
    rate: float = 5.0

    @classmethod
    def given(cls) -> Plan:
        """By the environment, as `resources=100 minutes=2`."""
        pairs = (pair.partition("=") for pair in os.environ.get("SOAK", "").split())
        return replace(cls(), **{name: float(value) for name, _, value in pairs})

    @property
    def warm(self) -> float:
        """Seconds after which growth counts."""
        return min(WARM, self.minutes * 60 / 4)


PLAN = Plan.given()


@pytest.mark.usefixtures("collected")
@pytest.mark.timeout(PLAN.minutes * 60 + PLAN.resources * 2 + 600)
def test_nothing_grows_and_nothing_is_lost(stopped: Engine) -> None:
    folder = ROOT / "out" / "soak" / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    stopped.operator.start()
    samples: list[Sample] = []
    try:
        asyncio.run(soak(stopped, samples))
        everything_is_as_it_should_be(stopped, within=60 + PLAN.resources / 2)
    finally:
        if samples:
            measures.write(samples, PLAN.warm, folder)
            print(f"{folder / 'samples.csv'}\n{folder / 'soak.png'}")
    judge(samples)


async def soak(engine: Engine, samples: list[Sample]) -> None:
    """Make them, let things happen, and look every ten seconds; in the end wait until it is quiet."""
    async with session(engine.plane.kubeconfig, connections=16) as client:
        life = Life(client, engine.namespace, int(PLAN.resources))
        node = asyncio.create_task(life.play_node())
        try:
            began = time.monotonic()
            await life.begin()
            await until_ready(life)
            print(
                f"\n{life.alive} resources Ready after {time.monotonic() - began:.0f} s; now for {PLAN.minutes:g} min"
            )
            end = time.monotonic() + PLAN.minutes * 60
            probe = Probe(engine.operator, lambda: sum(life.done.values()))
            living = asyncio.create_task(life.go_on(end, PLAN.rate))
            while time.monotonic() < end:
                assert not node.done() and not (living.done() and living.exception()), (node, living)
                samples.append(await asyncio.to_thread(probe.look))
                say(samples, life)
                await asyncio.sleep(max(0.0, len(samples) * EVERY - samples[-1].seconds))
            await living
            print(", ".join(f"{what} {count}" for what, count in life.done.items()))
            await until_ready(life)
        finally:
            node.cancel()
            with suppress(asyncio.CancelledError):
                await node
    await asyncio.sleep(0.5)  # connections under TLS are closed a moment after their session


async def until_ready(life: Life) -> None:
    end = time.monotonic() + 60 + PLAN.resources
    while (ready := await life.ready()) < life.alive:
        assert time.monotonic() < end, f"{ready} of {life.alive} are Ready"
        await asyncio.sleep(1)


def say(samples: list[Sample], life: Life) -> None:
    now, before = samples[-1], samples[-2] if len(samples) > 1 else samples[-1]
    span = (now.seconds - before.seconds) or 1.0
    print(
        f"{now.seconds:6.0f} s  {life.alive} resources, {now.done} things done  {now.resident:6.1f} MiB"
        f" (asking {now.asking:.0f})  {now.tasks} tasks  {now.descriptors} descriptors  queue {now.depth:.0f},"
        f" {now.age:.1f} s  {(now.reconciles - before.reconciles) / span:.1f} reconciles/s"
        f"  {100 * (now.cpu - before.cpu) / span:.0f} % of a CPU",
        flush=True,
    )


def judge(samples: list[Sample]) -> None:
    """What may not grow, from when it is warm."""
    warm = [one for one in samples if one.seconds >= PLAN.warm]
    long_enough = warm[-1].seconds - warm[0].seconds >= LONG_ENOUGH - EVERY
    growth = measures.slope(warm)
    print(
        f"memory: {growth:+.2f} MiB in ten minutes, from {warm[0].seconds:.0f} s to {warm[-1].seconds:.0f} s, at most"
        f" {MOST:g}{'' if long_enough else ' (too short a time to judge it)'}"
    )
    for what, (of, slack) in GROWS.items():
        found = measures.grown(warm, of, slack)
        print(f"{what}: {'grew from {:g} to {:g}'.format(*found) if found else 'no growth'}")
        assert found is None, what
    assert not long_enough or growth < MOST

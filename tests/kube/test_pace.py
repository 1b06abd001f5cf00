"""The token bucket: as many writes at once as the burst, then at their pace, and none while the API server asks for a pause."""

from __future__ import annotations

import asyncio

import pytest

from modelport.kube import pace as module
from modelport.kube.pace import Pace


class Clock:
    """Time passes only by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.asyncio, "sleep", self.sleep)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def moments(pace: Pace, clock: Clock, writes: int) -> list[float]:
    """When each of so many writes may be sent, in seconds from the start."""

    async def run() -> list[float]:
        began = []
        for _ in range(writes):
            await pace.turn()
            began.append(round(clock.now - 1000.0, 6))
        return began

    return asyncio.run(run())


def test_a_burst_passes_at_once_and_the_rest_at_its_pace(clock: Clock) -> None:
    waited: list[float] = []
    pace = Pace(per_second=10, burst=3, waited=waited.append, clock=clock)
    assert moments(pace, clock, 5) == [0, 0, 0, 0.1, 0.2]
    assert waited == pytest.approx([0.1, 0.1])


def test_the_bucket_fills_no_higher_than_the_burst(clock: Clock) -> None:
    pace = Pace(per_second=10, burst=2, clock=clock)
    moments(pace, clock, 2)
    clock.now = 1000.0 + 3600
    assert moments(pace, clock, 3) == [3600, 3600, 3600.1]


def test_after_a_pause_that_was_asked_for_writes_come_one_by_one(clock: Clock) -> None:
    pace = Pace(per_second=10, burst=3, clock=clock)
    pace.hold(5)
    assert moments(pace, clock, 3) == [5, 5.1, 5.2]


def test_a_short_pause_never_ends_a_longer_one(clock: Clock) -> None:
    pace = Pace(per_second=10, burst=3, clock=clock)
    pace.hold(5)
    pace.hold(1)
    assert moments(pace, clock, 1) == [5]

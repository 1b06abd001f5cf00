"""Draining by the clock: what ends it, and what it never does."""

from __future__ import annotations

from modelport_runtime.draining import FORGET, Draining
from modelport_runtime.settings import Drain


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_pod_that_nobody_ends_goes_back_to_work() -> None:
    clock = Clock()
    draining = Draining(Drain(delay=0, deadline=5), clock)
    assert not draining.active()
    assert await draining.finish(lambda: 0) == 0
    assert draining.active()
    clock.now += 5 + FORGET - 0.1
    assert draining.active()
    clock.now += 0.2
    assert not draining.active()
    assert await draining.finish(lambda: 0) == 0
    assert draining.active(), "a second call counts anew"


async def test_sigterm_is_for_good_and_the_deadline_counts_from_the_first_call() -> None:
    clock = Clock()
    draining = Draining(Drain(delay=0, deadline=5), clock)
    assert draining.left() == 5
    await draining.finish(lambda: 0)
    clock.now += 2
    await draining.finish(lambda: 0)
    assert draining.left() == 3
    draining.end()
    assert draining.left() == 3
    clock.now += 1000
    assert draining.active()
    assert draining.left() == 0


async def test_what_does_not_end_is_given_up_at_the_deadline() -> None:
    clock = Clock()

    def busy() -> int:
        clock.now += 1
        return 2

    assert await Draining(Drain(delay=0, deadline=5), clock).finish(busy) == 2
    assert clock.now < 110

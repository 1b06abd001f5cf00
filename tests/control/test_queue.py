"""The queue: a key waits once, is never in two workers, and comes back by its own back-off."""

from __future__ import annotations

import asyncio

import pytest

from modelport.control.queue import FIRST_RETRY, LONGEST_RETRY, Lane, Standing, WorkQueue

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, jitter=lambda: 1.0)


def test_a_key_added_many_times_is_taken_once(queue: WorkQueue) -> None:
    for lane in (Lane.RESYNC, Lane.CHANGE, Lane.CHANGE):
        queue.add(A, lane=lane)
    assert queue.take()[0] == A
    assert queue.take() == (None, None)


def test_a_key_added_while_due_is_taken_once(queue: WorkQueue) -> None:
    queue.add(A, lane=Lane.RESYNC)
    assert queue.depth == 1  # due now
    queue.add(A)
    queue.add(A, after=5.0)
    assert queue.take()[0] == A
    queue.done(A)
    assert queue.take() == (None, None)


def test_a_key_in_work_is_not_given_to_a_second_worker(queue: WorkQueue) -> None:
    queue.add(A)
    assert queue.take()[0] == A
    queue.add(A)
    assert queue.take() == (None, None)
    queue.done(A)
    assert queue.take()[0] == A


def test_readiness_goes_before_everything(queue: WorkQueue) -> None:
    queue.add(A)
    queue.add(B, lane=Lane.RESYNC)
    queue.add(C, lane=Lane.READINESS)
    assert queue.depth == 3
    queue.add(B, lane=Lane.READINESS)
    assert [queue.take()[0] for _ in range(3)] == [C, B, A]
    assert queue.take() == (None, None)


def test_who_takes_readiness_alone_leaves_the_rest(queue: WorkQueue) -> None:
    queue.add(A)
    queue.add(B, lane=Lane.READINESS)
    assert queue.take(Lane.READINESS)[0] == B
    assert queue.take(Lane.READINESS) == (None, None)
    assert queue.take()[0] == A


def test_changes_go_before_resync(queue: WorkQueue) -> None:
    queue.add(A, lane=Lane.RESYNC)
    queue.add(B, lane=Lane.RESYNC)
    queue.add(C)
    assert queue.depth == 3
    queue.add(B)  # moves ahead although it was due already
    assert [queue.take()[0] for _ in range(3)] == [C, B, A]
    assert queue.take() == (None, None)


def test_the_earliest_of_several_moments_counts(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A, after=30.0)
    queue.add(A, after=10.0)
    queue.add(A, after=20.0)
    assert queue.take() == (None, 10.0)
    clock.now += 10.0
    assert queue.take()[0] == A
    queue.done(A)
    clock.now += 100.0
    assert queue.take() == (None, None)


def test_back_off_doubles_up_to_its_limit_and_is_forgotten_after_success(queue: WorkQueue) -> None:
    assert [queue.retry(A) for _ in range(4)] == [FIRST_RETRY * factor for factor in (1, 2, 4, 8)]
    for _ in range(10):
        queue.retry(A)
    assert queue.retry(A) == LONGEST_RETRY
    assert queue.failing == 1
    queue.succeeded(A)
    assert queue.failing == 0
    assert queue.retry(A) == FIRST_RETRY


def test_a_key_that_fails_for_ever_delays_no_other(queue: WorkQueue, clock: Clock) -> None:
    for _ in range(5):
        queue.add(A)
        queue.add(B)
        taken = {queue.take()[0], queue.take()[0]}
        assert taken == {A, B}
        queue.retry(A)
        queue.done(A)
        queue.done(B)
        clock.now += LONGEST_RETRY


def test_age_is_that_of_the_oldest_due_key(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    assert queue.depth == 1
    clock.now += 3.0
    queue.add(B)
    assert queue.depth == 2
    clock.now += 1.0
    assert queue.age == pytest.approx(4.0)


def test_a_closed_queue_takes_nothing(queue: WorkQueue) -> None:
    queue.close()
    queue.add(A)
    assert queue.take() == (None, None)


async def test_waiting_ends_with_the_next_key_even_if_a_later_one_was_known() -> None:
    queue = WorkQueue()
    queue.add(A, after=60.0)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(B)
    async with asyncio.timeout(1):
        assert await waiting == B


async def test_a_delayed_key_comes_by_itself() -> None:
    queue = WorkQueue()
    queue.add(A, after=0.01)
    async with asyncio.timeout(1):
        assert await queue.get() == A


def test_how_a_key_stands_is_told(queue: WorkQueue, clock: Clock) -> None:
    assert queue.standing(A) == Standing(working=False, waited=None, due_in=None, failures=0)
    queue.add(A)
    queue.standing(A)
    clock.now += 2
    assert queue.standing(A) == Standing(working=False, waited=2, due_in=None, failures=0)
    assert queue.take()[0] == A
    assert (queue.standing(A).working, queue.in_work, queue.in_back_off) == (True, (A,), ())
    queue.retry(A)
    queue.done(A)
    assert queue.standing(A) == Standing(working=False, waited=None, due_in=FIRST_RETRY, failures=1)
    assert (queue.in_work, queue.in_back_off) == ((), (A,))

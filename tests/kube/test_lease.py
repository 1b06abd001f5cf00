"""The Lease: one leads, by a monotonic clock; the other waits as long as was promised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelport.kube import lease as module
from modelport.kube.errors import Conflict, NotFound, Unavailable
from modelport.kube.lease import DURATION, MARGIN, Elector, NotLeader


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """A Lease in memory, with the API server's answers."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.silent = False

    async def read(self) -> dict[str, Any] | None:
        if self.down:
            raise Unavailable(0, "down")
        return self.lease

    async def write(self, lease: dict[str, Any]) -> dict[str, Any]:
        if self.down:
            raise Unavailable(0, "down")
        version = lease["metadata"].get("resourceVersion")
        if version is not None and self.lease is None:
            raise NotFound(404, "not found")
        if (version is None) != (self.lease is None) or (self.lease and version != str(self.version)):
            raise Conflict(409, "changed")
        self.version += 1
        self.lease = {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(self.version)}}
        if self.silent:
            await asyncio.Event().wait()
        return self.lease


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


def may_write(elector: Elector) -> bool:
    try:
        elector.check()
    except NotLeader:
        return False
    return True


async def test_the_first_leads_and_may_write_until_shortly_before_the_lease_ends(clock: Clock, store: Store) -> None:
    elector = Elector(store, "a", clock)
    assert not may_write(elector)
    assert await elector.step()
    assert may_write(elector)
    clock.now += DURATION - MARGIN - 0.1
    assert may_write(elector)
    clock.now += 0.2
    assert not may_write(elector)


async def test_the_second_waits_for_as_long_as_was_promised_by_its_own_clock(clock: Clock, store: Store) -> None:
    first, second = Elector(store, "a", clock), Elector(store, "b", clock)
    assert await first.step()
    assert not await second.step()
    clock.now += DURATION - 1
    assert await first.step()  # renewed: the waiting begins anew
    assert not await second.step()
    clock.now += DURATION - 1
    assert not await second.step()
    assert not may_write(first)
    clock.now += 1
    assert await second.step()
    assert may_write(second)
    assert store.lease is not None
    assert store.lease["spec"]["leaseTransitions"] == 2


async def test_never_do_two_lead(clock: Clock, store: Store) -> None:
    electors = [Elector(store, name, clock) for name in "abc"]
    for second in range(200):
        clock.now += 1.0
        store.down = 50 < second < 80
        for elector in electors if second % 40 < 20 else electors[1:]:
            await elector.step()
        assert sum(map(may_write, electors)) <= 1


async def test_a_released_lease_is_taken_at_once(clock: Clock, store: Store) -> None:
    first, second = Elector(store, "a", clock), Elector(store, "b", clock)
    assert await first.step()
    first.leading.set()
    assert not await second.step()
    await first.release()
    assert not may_write(first)
    assert await second.step()


async def test_a_container_restarted_in_its_pod_goes_on_at_once(clock: Clock, store: Store) -> None:
    assert await Elector(store, "pod", clock).step()
    assert await Elector(store, "pod", clock).step()


async def test_a_deleted_lease_is_made_anew_by_its_holder(clock: Clock, store: Store) -> None:
    elector = Elector(store, "a", clock)
    assert await elector.step()
    store.lease = None
    assert not await elector.step()
    assert await elector.step()


async def test_a_deleted_lease_is_nobody_elses_as_long_as_its_holder_may_write(clock: Clock, store: Store) -> None:
    first, second = Elector(store, "a", clock), Elector(store, "b", clock)
    assert await first.step()
    assert not await second.step()
    store.lease = None
    clock.now += DURATION - 1
    assert not await second.step()
    clock.now += 1
    assert not may_write(first)
    assert await second.step()


async def test_an_answer_that_never_comes_costs_one_try(
    clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_TRY", 0.01)
    elector = Elector(store, "a", clock)
    assert await elector.step()
    store.silent = True
    clock.now += 5
    assert not await elector.step()  # it was carried out, and nobody knows
    store.silent = False
    assert not await elector.step()
    assert await elector.step()
    clock.now += DURATION - MARGIN - 0.1
    assert may_write(elector)


async def test_it_is_released_though_the_last_renewal_was_broken_off(
    clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_TRY", 0.01)
    first, second = Elector(store, "a", clock), Elector(store, "b", clock)
    assert await first.step()
    first.leading.set()
    store.silent = True
    assert not await first.step()
    store.silent = False
    await first.release()
    assert await second.step()


async def test_whoever_lost_the_lease_does_not_release_it(clock: Clock, store: Store) -> None:
    first, second = Elector(store, "a", clock), Elector(store, "b", clock)
    assert await first.step()
    first.leading.set()
    assert not await second.step()
    clock.now += DURATION
    assert await second.step()
    await first.release()
    assert store.lease is not None
    assert store.lease["spec"]["holderIdentity"] == "b"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.0)
    monkeypatch.setattr(module, "RETRY_EVERY", 0.0)


@pytest.mark.usefixtures("no_pauses")
async def test_a_stolen_lease_ends_the_run(clock: Clock, store: Store) -> None:
    elector = Elector(store, "a", clock)
    running = asyncio.create_task(elector.run())
    await elector.leading.wait()
    assert store.lease is not None
    stolen = store.lease
    await store.write({**stolen, "spec": {**stolen["spec"], "holderIdentity": "b"}})
    async with asyncio.timeout(1):
        await running


@pytest.mark.usefixtures("no_pauses")
async def test_an_unreachable_api_server_ends_the_run_at_the_deadline(clock: Clock, store: Store) -> None:
    elector = Elector(store, "a", clock)
    running = asyncio.create_task(elector.run())
    await elector.leading.wait()
    store.down = True
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    clock.now += DURATION
    async with asyncio.timeout(1):
        await running

"""A mistake of ours: told of the resource that it happens on, tried again seldom, and never mixed up with the cluster's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from modelport.control.cache import Cache
from modelport.control.quarantine import Quarantine
from modelport.control.reconcile import Outcome
from modelport.kube.errors import ApiError, Unavailable
from modelport.kube.lease import NotLeader
from modelport.state.observed import Key, Resource

KEY = ("ns", "a")
SECRET = "what no status and no message may show"
RESOURCE = Resource("ns", "a", "uid", 1, "5", False, False, {}, {"observedGeneration": -1})


class Play:
    """A quarantine around a reconcile that fails as it is told to, and a publisher that keeps what is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fails: Exception | None = KeyError(SECRET)
        self.refuses: ApiError | None = None
        self.tried = 0
        self.cache = Cache()
        self.cache.put_resource(RESOURCE)
        self.quarantine = Quarantine(self._reconcile, self.cache, self, lambda: self.now)  # type: ignore[arg-type]

    async def _reconcile(self, key: Key) -> Outcome:
        self.tried += 1
        if self.fails is not None:
            raise self.fails
        return Outcome("done", "Ready")

    async def publish(self, resource: Resource, status: Mapping[str, Any], memory: object) -> None:
        if self.refuses is not None:
            raise self.refuses
        version = str(int(resource.resource_version) + 1)
        self.cache.own_status(replace(resource, status=status, resource_version=version))

    def edit(self) -> None:
        """A new generation."""
        seen = self.resource
        version = str(int(seen.resource_version) + 1)
        self.cache.put_resource(replace(seen, generation=seen.generation + 1, resource_version=version))

    async def look(self) -> Outcome:
        return await self.quarantine.reconcile(KEY)

    @property
    def resource(self) -> Resource:
        found = self.cache.resource(KEY)
        assert found is not None
        return found


async def test_it_is_told_and_left_alone_for_five_minutes() -> None:
    play = Play()
    assert await play.look() == Outcome("failed", "InternalError", 300.0)
    assert play.resource.status["phase"] == "InternalError"
    assert play.resource.status["message"].startswith("the operator itself fails on this resource (KeyError in ")
    play.now += 100
    assert (await play.look()).look_again_in == 200.0
    assert play.tried == 1
    play.now += 200
    assert await play.look() == Outcome("failed", "InternalError", 300.0)
    assert play.tried == 2


async def test_another_spec_is_a_new_chance() -> None:
    play = Play()
    await play.look()
    play.edit()
    play.fails = None
    assert await play.look() == Outcome("done", "Ready")
    assert (await play.look(), play.tried) == (Outcome("done", "Ready"), 3)


async def test_what_was_held_is_forgotten_with_the_resource() -> None:
    play = Play()
    await play.look()
    play.cache.drop_resource(KEY)
    play.fails = None
    await play.look()
    play.cache.put_resource(replace(RESOURCE, resource_version="99"))
    assert await play.look() == Outcome("done", "Ready")


async def test_the_traceback_is_logged_once_for_each_generation(caplog: pytest.LogCaptureFixture) -> None:
    play = Play()
    for _ in range(3):
        await play.look()
        play.now += 300
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]
    assert not any(SECRET in record.getMessage() for record in caplog.records)
    play.edit()
    await play.look()
    assert bool(caplog.records[-1].exc_info)
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize(
    "problem", [Unavailable(503, "later"), NotLeader("lost"), ConnectionResetError(), TimeoutError()]
)
async def test_what_the_cluster_and_the_network_do_is_no_mistake_of_ours(problem: Exception) -> None:
    play = Play()
    play.fails = problem
    with pytest.raises(type(problem)):
        await play.look()
    assert play.resource.status == RESOURCE.status


async def test_a_status_that_could_not_be_written_is_written_at_the_next_look() -> None:
    play = Play()
    play.refuses = Unavailable(503, "later")
    with pytest.raises(Unavailable):
        await play.look()
    play.refuses = None
    await play.look()
    assert play.resource.status["phase"] == "InternalError"
    assert play.tried == 1


async def test_an_edit_while_it_fails_is_not_told_of_the_older_spec() -> None:
    play = Play()

    async def edited_meanwhile(key: Key) -> Outcome:
        play.edit()
        raise KeyError

    play.quarantine = Quarantine(edited_meanwhile, play.cache, play, lambda: play.now)  # type: ignore[arg-type]
    assert await play.look() == Outcome("settling", look_again_in=0.0)
    assert play.resource.status == RESOURCE.status

"""Status writes that the API server refuses: what is gone is left to the watch, what was changed is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.control.cache import Cache
from modelport.control.memory import Memory
from modelport.control.publish import Publisher
from modelport.kube.errors import ApiError, Conflict, NotFound
from modelport.kube.events import Recorder
from modelport.state.observed import Resource

RESOURCE = Resource("ns", "a", "uid", 1, "5", False, False, {}, {"observedGeneration": -1})
STATUS = {"observedGeneration": 1, "phase": "Creating"}


class Refusing:
    """Answers every status write with the same refusal."""

    def __init__(self, refusal: ApiError) -> None:
        self.refusal = refusal
        self.versions: list[str] = []

    async def apply_status(self, namespace: str, name: str, version: str, status: Any) -> Any:
        self.versions.append(version)
        raise self.refusal


def publisher(cluster: Any, cache: Cache) -> Publisher:
    return Publisher(cluster, cache, Recorder(cluster, "test"))


async def test_a_resource_that_was_changed_stays_known_and_is_tried_again() -> None:
    cache, cluster = Cache(), Refusing(Conflict(409, "the object has been modified"))
    cache.put_resource(RESOURCE)
    with pytest.raises(Conflict):
        await publisher(cluster, cache).publish(RESOURCE, STATUS, Memory("uid"))
    assert cache.resource(("ns", "a")) == RESOURCE
    assert cluster.versions == ["5"]


async def test_a_resource_that_is_gone_is_left_to_the_watch() -> None:
    cache, cluster = Cache(), Refusing(NotFound(404, "not found"))
    cache.put_resource(RESOURCE)
    assert await publisher(cluster, cache).publish(RESOURCE, STATUS, Memory("uid")) is None
    assert cache.resource(("ns", "a")) == RESOURCE

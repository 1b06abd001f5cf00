"""Status writes that the API server refuses: what is gone is left to the watch, what was changed is tried again."""

from __future__ import annotations

from dataclasses import replace
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


class Accepting:
    """Takes every status write, and keeps it."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def apply_status(self, namespace: str, name: str, version: str, status: Any) -> Any:
        self.written.append(status)
        metadata = {"namespace": namespace, "name": name, "uid": "uid", "generation": 1, "resourceVersion": "6"}
        return {"metadata": metadata, "spec": {}, "status": status}


async def test_counts_that_differ_only_for_a_moment_cost_no_write() -> None:
    cluster, memory, now = Accepting(), Memory("uid"), [100.0]
    tells = Publisher(cluster, Cache(), Recorder(cluster, "test"), clock=lambda: now[0])  # type: ignore[arg-type]
    shown = replace(RESOURCE, status={**STATUS, "replicas": 1})
    assert await tells.publish(shown, {**STATUS, "replicas": 2}, memory) == 2.0
    now[0] += 1.5
    assert await tells.publish(shown, shown.status, memory) is None
    now[0] += 1.0
    assert await tells.publish(shown, {**STATUS, "replicas": 2}, memory) == 2.0
    assert cluster.written == []
    now[0] += 2.0
    assert await tells.publish(shown, {**STATUS, "replicas": 2}, memory) is None
    assert cluster.written == [{**STATUS, "replicas": 2}]

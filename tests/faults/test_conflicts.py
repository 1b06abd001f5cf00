"""Class 7: 409 storms. Somebody else writes to every object as fast as the API server lets them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import ClusterApi
from tests.engine.harness import Engine, until
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.proxy import Proxy, Refuse
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

COLLECTIONS = ("configmaps", "services", "deployments")


@contextmanager
def storm(engine: Engine) -> Iterator[list[int]]:
    """Another writer's annotation changes on all objects, again and again; how often, so far."""
    over, rounds = threading.Event(), [0]

    def blow() -> None:
        with ClusterApi(engine.plane) as api:
            writer = Engine(engine.plane, api, engine.namespace, engine.operator, engine.door)
            while not over.wait(0.01):
                paths = [f"{writer.at}/{item['metadata']['name']}" for item in api.get(writer.at)["items"]]
                paths += [
                    writer.path(kind, item["metadata"]["name"]) for kind in COLLECTIONS for item in writer.items(kind)
                ]
                for path in paths:
                    patch = {"metadata": {"annotations": {"example.com/round": str(rounds[0])}}}
                    api.request("PATCH", f"{path}?fieldManager=storm", patch, "application/merge-patch+json")
                rounds[0] += 1

    thread = threading.Thread(target=blow, daemon=True)
    thread.start()
    yield rounds
    over.set()
    thread.join()


def test_another_writer_on_every_object(engine: Engine) -> None:
    """What people do is carried out in the middle of it."""
    prepare(engine)
    with storm(engine) as rounds:
        until("it blows", lambda: rounds[0] > 2)
        commotion(engine)
        everything_is_as_it_should_be(engine, PENDING, within=120)
    annotations = engine.items("deployments", "edited")[0]["metadata"]["annotations"]
    assert "example.com/round" in annotations
    everything_is_as_it_should_be(engine, PENDING)


@pytest.mark.long
def test_a_third_of_all_writes_is_answered_with_409(proxied: Engine, proxy: Proxy) -> None:
    prepare(proxied)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    proxy.rule = lambda request: Refuse(409) if request.write and chance.random() < 1 / 3 else None
    commotion(proxied)
    everything_is_as_it_should_be(proxied, PENDING, within=120)

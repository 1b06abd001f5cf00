"""Class 5: watches that say nothing more and do not end, as behind a load balancer that has forgotten the connection."""

from __future__ import annotations

import pytest

from tests.engine.harness import Engine
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.proxy import Proxy
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

WATCHED = ("modeldeployments", "deployments", "services", "configmaps", "replicasets", "pods")


def stall(engine: Engine, proxy: Proxy, within: float) -> None:
    prepare(engine)
    process = engine.operator.process
    assert process is not None
    proxy.stall(*WATCHED)
    assert not any(proxy.watched(resource) for resource in WATCHED)
    commotion(engine)
    everything_is_as_it_should_be(engine, PENDING, within=within)
    assert process.poll() is None


def test_a_watch_that_is_silent_for_too_long_is_begun_anew(stopped: Engine, proxy: Proxy) -> None:
    stopped.operator.program = staged.program(silence=5)
    stopped.operator.start()
    stall(stopped, proxy, within=60)


@pytest.mark.long
@pytest.mark.slow
def test_within_the_operators_own_patience(proxied: Engine, proxy: Proxy) -> None:
    """75 seconds, as bookmarks come every minute; what follows may have to wait for a second watch."""
    stall(proxied, proxy, within=180)

"""Class 2: the API server ends while people work, and comes back."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.engine.harness import Engine, until
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]


def test_the_process_outlives_it_and_misses_nothing(engine: Engine) -> None:
    prepare(engine)
    process = engine.operator.process
    assert process is not None
    commotion(engine)
    engine.plane.restart_apiserver(grace=0)
    with suppress(OSError):
        engine.api.get("/version")  # the connection that the tests keep is lost, too
    until("the watches are back", lambda: engine.operator.metric("modelport_watch_reconnects_total") > 0)
    engine.apply("after")
    # The garbage collector takes a Deployment that was deleted and made anew while its watch was broken for the same one,
    # and leaves the old ReplicaSet to itself until it starts anew.
    engine.plane.restart_controller_manager()
    everything_is_as_it_should_be(engine, PENDING)
    assert process.poll() is None

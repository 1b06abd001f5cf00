"""Class 10: the operator's wall clock jumps an hour forward, and back again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.engine.harness import Engine, steady, until
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

HOUR = timedelta(hours=1)


def test_an_hour_forward_and_back(stopped: Engine, tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    shift.write_text("0")
    stopped.operator.program = staged.program(clock=shift)
    process = stopped.operator.start().process
    assert process is not None
    prepare(stopped)
    for ahead in (HOUR, timedelta()):
        stopped.forget()
        shift.write_text(str(ahead.total_seconds()))
        until("its clock shows it", partial(is_ahead, stopped, ahead))
        assert steady("requests", lambda: stopped.requests()) == []
        commotion(stopped) if ahead else stopped.apply("edited")
        everything_is_as_it_should_be(stopped, PENDING)
    assert process.poll() is None


def is_ahead(engine: Engine, by: timedelta) -> bool:
    """Whether the Lease was renewed at a time that differs by so much from ours, as the operator tells it."""
    lease = engine.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{engine.namespace}/leases/modelport")
    return abs(datetime.fromisoformat(lease["spec"]["renewTime"]) - datetime.now(UTC) - by) < HOUR / 2

"""Events come after everything else, and what is refused holds up no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelport.kube.errors import Forbidden
from modelport.kube.events import Recorder
from modelport.kube.kinds import Kind
from modelport.kube.lease import NotLeader
from modelport.state.observed import Resource
from modelport.state.status import Event

RESOURCE = Resource("ns", "a", "uid", 1, "5", False, False, {}, {})


class Written:
    """Takes Events, and refuses what it is told to once."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.notes: list[str] = []
        self.times: list[str] = []

    async def create(self, kind: Kind, namespace: str, event: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop()
        self.notes.append(event["note"])
        self.times.append(event["eventTime"])


def recorder(written: Written, count: int, busy: bool = False) -> Recorder:
    """One for which so many Events wait."""
    made = Recorder(written, "test", lambda: busy)  # type: ignore[arg-type]
    for number in range(count):
        made.record(RESOURCE, Event("Normal", "Ready", str(number)))
    return made


async def run_for(seconds: float, one: Recorder) -> None:
    task = asyncio.create_task(one.run())
    await asyncio.sleep(seconds)
    task.cancel()


async def test_they_are_written_in_order_with_the_time_at_which_they_happened() -> None:
    written = Written()
    await run_for(0.1, recorder(written, 50))
    assert written.notes == [str(number) for number in range(50)]
    assert written.times == sorted(written.times)


async def test_as_long_as_something_else_is_to_be_done_there_are_few() -> None:
    written = Written()
    one = recorder(written, 50, busy=True)
    await run_for(0.1, one)
    assert written.notes == ["0"]
    await one.flush(10)
    assert len(written.notes) == 50


@pytest.mark.parametrize("refusal", [Forbidden(403, "no right to create events"), NotLeader()])
async def test_one_that_is_refused_is_logged_and_holds_up_no_other(
    refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written(refusal)
    await run_for(0.1, recorder(written, 3))
    assert written.notes == ["1", "2"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_oldest_of_very_many_are_dropped() -> None:
    written = Written()
    await recorder(written, 5000).flush(30)
    assert written.notes == [str(number) for number in range(5000 - 4096, 5000)]

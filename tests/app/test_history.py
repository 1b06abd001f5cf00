"""What is remembered of reconciles, and what a dump says of tasks and queue."""

from __future__ import annotations

import asyncio
import json

import pytest

from modelport.app.dump import dump, stands
from modelport.app.history import History
from modelport.app.logging import JsonFormatter
from modelport.control.queue import WorkQueue
from modelport.control.reconcile import Outcome
from modelport.kube.errors import Unavailable
from modelport.state.observed import Key

KEY = ("models", "assistant")


def history(*happens: Outcome | BaseException) -> History:
    left = list(happens)

    async def reconcile(key: Key) -> Outcome:
        what = left.pop(0)
        if isinstance(what, BaseException):
            raise what
        return what

    return History(reconcile)


async def test_how_the_last_one_ended() -> None:
    ends = history(Outcome("done", "Ready"), Unavailable(0, "no answer"), RuntimeError("with a secret"))
    assert ends.ended(KEY) is None
    assert await ends.reconcile(KEY) == Outcome("done", "Ready")
    done = ends.ended(KEY)
    assert done is not None and (done.result, done.reason, done.problem) == ("done", "Ready", None)
    with pytest.raises(Unavailable):
        await ends.reconcile(KEY)
    refused = ends.ended(KEY)
    assert refused is not None and (refused.result, refused.problem) == ("failed", "no answer")
    with pytest.raises(RuntimeError):
        await ends.reconcile(KEY)
    raised = ends.ended(KEY)
    assert raised is not None and raised.problem == "RuntimeError; the log has the traceback"


async def test_one_that_is_broken_off_says_so() -> None:
    ends = history(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await ends.reconcile(KEY)
    ended = ends.ended(KEY)
    assert ended is not None and (ended.result, ended.problem) == ("failed", "it was broken off")
    assert not ends.under_way


async def test_what_is_gone_is_forgotten() -> None:
    ends = history(Outcome("done"), Outcome("gone"))
    await ends.reconcile(KEY)
    await ends.reconcile(KEY)
    assert ends.ended(KEY) is None


async def test_a_dump_says_where_tasks_and_keys_stand(caplog: pytest.LogCaptureFixture) -> None:
    go = asyncio.Event()

    async def inner() -> None:
        await go.wait()

    async def reconcile(key: Key) -> Outcome:
        await inner()
        return Outcome("done")

    ends, queue = History(reconcile), WorkQueue(clock=lambda: 0.0, jitter=lambda: 1.0)
    queue.add(KEY)
    queue.take()
    queue.retry(("models", "failing"))
    task = asyncio.create_task(ends.reconcile(KEY), name="worker 0")
    await asyncio.sleep(0)
    dump(queue, ends, leading=True)
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    by_message = {line["message"]: line for line in lines if line.get("task") in (None, "worker 0")}
    summary, in_work = by_message["dump: queue"], by_message["dump: in work"]
    assert (summary["leading"], summary["depth"], summary["inWork"], summary["inBackOff"]) == (True, 0, 1, 1)
    assert (in_work["namespace"], in_work["name"]) == KEY and in_work["seconds"] >= 0
    assert by_message["dump: in back-off"]["name"] == "failing"
    assert (by_message["dump: in back-off"]["failures"], by_message["dump: in back-off"]["dueIn"]) == (1, 1.0)
    places = [place.split(" ")[1] for place in by_message["dump: task"]["at"]]
    assert places == [
        "History.reconcile",
        "test_a_dump_says_where_tasks_and_keys_stand.<locals>.reconcile",
        "test_a_dump_says_where_tasks_and_keys_stand.<locals>.inner",
        "Event.wait",
    ]
    go.set()
    await task
    assert list(stands(task)) == []


async def test_a_dump_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    queue = WorkQueue()
    for number in range(1000):
        queue.retry(("models", f"m{number}"))
    dump(queue, history())
    assert len(caplog.records) < 250
    assert caplog.records[-1].facts["leftOut"]["inBackOff"] == 900  # type: ignore[attr-defined]

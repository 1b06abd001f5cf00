"""Class 1: SIGKILL before and after each write, and at any moment; then a new process: the end state is the same.

A write that was under way when the process was killed may reach the API server late, when the next one has long done all
that was to be done, and users have gone on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.engine.harness import Engine, until
from tests.faults.check import everything_is_as_it_should_be, play
from tests.faults.proxy import Moment, Proxy, none
from tests.faults.users import Users

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

FIRST, SECOND, THIRD = ({"check": {"timeout": f"{seconds}s"}} for seconds in (10, 20, 30))


@dataclass(frozen=True)
class Operation:
    """What users do, how many writes of the operator follow, and what they do next."""

    writes: int
    before: Callable[[Engine], None]
    act: Callable[[Engine], None]
    after: Callable[[Engine], None]


def nothing(engine: Engine) -> None:
    """Nothing is there before."""


def create(engine: Engine) -> None:
    engine.apply("alpha", **FIRST)


def created(engine: Engine) -> None:
    create(engine)
    everything_is_as_it_should_be(engine)


def edit(engine: Engine) -> None:
    engine.apply("alpha", **SECOND, vllm={"maxModelLen": 512})


def edited(engine: Engine) -> None:
    created(engine)
    edit(engine)
    everything_is_as_it_should_be(engine)


def edit_again(engine: Engine) -> None:
    engine.apply("alpha", **THIRD, vllm={"maxModelLen": 1024})


def drop_the_old_revision(engine: Engine) -> None:
    """So that nothing needs its configuration any more."""
    (old,) = [revision for revision in engine.items("replicasets") if revision["spec"]["replicas"] == 0]
    engine.api.request("DELETE", engine.path("replicasets", old["metadata"]["name"]))


def delete(engine: Engine) -> None:
    """In the foreground: the resource is there until its children are gone."""
    engine.api.request("DELETE", f"{engine.at}/alpha", {"propagationPolicy": "Foreground"})


def make_anew(engine: Engine) -> None:
    until("the resource is gone", lambda: not engine.find(f"{engine.at}/alpha"))
    edit(engine)


OPERATIONS = {
    "creation": Operation(5, nothing, create, edit),
    "edit": Operation(4, created, edit, edit_again),
    "pruning": Operation(1, edited, drop_the_old_revision, create),
    "deletion": Operation(1, created, delete, make_anew),
}
OFTEN = {
    ("creation", 2, Moment.LATE),
    ("edit", 2, Moment.LATE),
    ("pruning", 1, Moment.LATE),
    ("deletion", 1, Moment.NEVER),
}
"""What is run every time; the others have the same code in them."""
CASES = [
    pytest.param(
        operation,
        write,
        moment,
        marks=() if (name, write, moment) in OFTEN else pytest.mark.long,
        id=f"{name}-{write}-{moment.name.lower()}",
    )
    for name, operation in OPERATIONS.items()
    for write in range(1, operation.writes + 1)
    for moment in Moment
]


def held(engine: Engine, proxy: Proxy) -> bool:
    """Whether the write has come; the node works meanwhile."""
    play(engine)
    return proxy.held.wait(0.1)


@pytest.mark.parametrize(("operation", "write", "moment"), CASES)
def test_at_a_write(proxied: Engine, proxy: Proxy, operation: Operation, write: int, moment: Moment) -> None:
    operation.before(proxied)
    proxy.hold(write, moment)
    operation.act(proxied)
    until(f"write {write} is on its way", lambda: held(proxied, proxy))
    proxied.operator.kill()
    proxy.rule = none
    if moment is Moment.LATE:
        operation.after(proxied)
        proxied.operator.start()
        everything_is_as_it_should_be(proxied)
    proxy.release()
    if moment is Moment.LATE:
        assert proxy.landed.wait(30)
    else:
        proxied.operator.start()
    everything_is_as_it_should_be(proxied)


@pytest.mark.parametrize(
    ("resources", "kills"),
    [pytest.param(10, 3, id="10-resources"), pytest.param(200, 50, marks=[pytest.mark.long, pytest.mark.slow])],
)
def test_at_any_moment_while_people_work(stopped: Engine, resources: int, kills: int) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    users = Users(stopped, [f"model-{number:03}" for number in range(resources)], seed)
    instants = random.Random(seed)
    for _ in range(kills):
        stopped.operator.launch("operator-under-test")
        killed_at = time.monotonic() + instants.uniform(0.0, 6.0)
        while time.monotonic() < killed_at:
            users.act()
            if instants.random() < 0.05:
                play(stopped)
        stopped.operator.kill()
    stopped.operator.start()
    everything_is_as_it_should_be(stopped, within=240, counts=resources > 10)

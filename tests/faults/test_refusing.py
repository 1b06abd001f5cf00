"""Class 6: a tenth of all requests is refused, or never answered, for as long as people work."""

from __future__ import annotations

import random

import pytest

from tests.engine.harness import Engine
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.container import Container
from tests.faults.proxy import Cut, Fault, Proxy, Refuse, Request, Silence
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]


class Tenth:
    """One of every ten requests, chosen by a seed, meets one of these."""

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults
        self._seed = random.randrange(1 << 32)
        self._random = random.Random(self._seed)
        self._count, self._hit = 0, 0
        print(f"seed {self._seed}")

    def __call__(self, request: Request) -> Fault | None:
        if self._count % 10 == 0:
            self._hit = self._count + self._random.randrange(10)
        self._count += 1
        return self._random.choice(self._faults) if self._count - 1 == self._hit else None


FAULTS: dict[str, tuple[Fault, ...]] = {
    "429": (Refuse(429, retry_after=1),),
    "500": (Refuse(500),),
    "503": (Refuse(503),),
    "time-outs": (Silence(sent=False), Silence(sent=True)),
    "cut-off": (Cut(sent=False), Cut(sent=True)),
    "all": (
        Refuse(429, retry_after=2),
        Refuse(500),
        Refuse(503),
        Silence(sent=False),
        Silence(sent=True),
        Cut(sent=True),
    ),
}
LONG = {"429", "500", "503", "cut-off"}


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(faults, id=name, marks=[pytest.mark.long] if name in LONG else [])
        for name, faults in FAULTS.items()
    ],
)
def test_a_tenth_of_all_requests(proxied: Engine, proxy: Proxy, faults: tuple[Fault, ...]) -> None:
    prepare(proxied)
    with Container(proxied.operator) as container:
        proxy.rule = Tenth(*faults)
        proxy.cut()
        commotion(proxied)
        everything_is_as_it_should_be(proxied, PENDING, within=120)
        may_lose_the_lease = any(isinstance(fault, Silence) for fault in faults)
        assert container.exits == [] or may_lose_the_lease

"""What people do to a namespace while something is broken: the same in every class of faults, or at random from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.engine.harness import Engine
from tests.faults.check import everything_is_as_it_should_be

PENDING = frozenset({"pending"})
"""The resource whose pods never become ready, so that a status which only says what was true once is found out."""


def prepare(engine: Engine) -> None:
    """Six resources, all but one of them Ready."""
    for name in ("edited", "configured", "drifting", "deleted", "remade", *PENDING):
        engine.apply(name, check={"timeout": "10s"})
    everything_is_as_it_should_be(engine, PENDING)


def commotion(engine: Engine) -> None:
    """One of each: an argument and a configuration edited, drift, a deletion, a resource made anew, a new one."""
    engine.apply("edited", check={"timeout": "10s"}, vllm={"maxModelLen": 512})
    engine.apply("configured", check={"timeout": "20s"})
    drift(engine, "drifting")
    engine.api.request("DELETE", f"{engine.at}/deleted")
    engine.api.request("DELETE", f"{engine.at}/remade")
    engine.apply("remade", vllm={"maxModelLen": 1024})
    engine.apply("new")


def drift(engine: Engine, name: str) -> None:
    """Somebody takes a label of ours away, and a whole child."""
    engine.merge(engine.path("deployments", name), {"metadata": {"labels": {"modelport.io/role": None}}})
    engine.api.request("DELETE", engine.path("services", name))


@dataclass
class Users:
    """People who work on many resources at once, in an order that the seed decides."""

    engine: Engine
    names: list[str]
    seed: int
    there: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def act(self) -> None:
        """One of them does something."""
        name = self._random.choice(self.names)
        if name not in self.there or self._random.random() < 0.7:
            self.engine.apply(name, **self._random.choice([self._argument(), self._question()]))
            self.there.add(name)
        else:
            self.engine.api.request("DELETE", f"{self.engine.at}/{name}")
            self.there.remove(name)

    def _argument(self) -> dict[str, Any]:
        return {"vllm": {"maxModelLen": self._random.randint(1, 9999)}}

    def _question(self) -> dict[str, Any]:
        return {"check": {"timeout": f"{self._random.randint(5, 30)}s"}}

"""A child that another manager keeps changing: put right three times, then left alone for longer and longer, then not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from modelport.control.apply import FIGHT_WINDOW, Applier
from modelport.control.cache import Cache
from modelport.control.memory import Memory
from modelport.kube.errors import Conflict
from modelport.kube.kinds import Kind
from modelport.state.plan import Apply, Plan
from tests.state.world import DESIRED, UID, made, resource

SERVICE = next(child for child in DESIRED.children if child.kind == "Service")
CAUSES = {"causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "other"', "field": ".spec.type"}]}


class Fought:
    """An API server at which another manager holds a field for as long as `held`."""

    def __init__(self) -> None:
        self.held = True
        self.forced: list[bool] = []
        self.now = 0.0
        self.cache = Cache()
        self.applier = Applier(self, self.cache, self, lambda: self.now)  # type: ignore[arg-type]
        self.memory = Memory(UID)

    async def apply(
        self, kind: Kind, namespace: str, manifest: Any, *, precondition: Any, force: bool
    ) -> Mapping[str, Any]:
        self.forced.append(force)
        if self.held and not force:
            raise Conflict(409, 'Apply failed with 1 conflict: conflict with "other": .spec.type', CAUSES)
        metadata = {**manifest["metadata"], "uid": "uid-service", "resourceVersion": str(100 + len(self.forced))}
        return {**manifest, "metadata": metadata}

    def drift_repaired(self, kind: str) -> None:
        """Not counted here."""

    async def drifted(self, after: float = 1.0) -> str | None:
        """The other one has changed it again, and it is looked at; the reason that stands in the way."""
        self.now += after
        for child in made():
            self.cache.seen(replace(child, resource_version=str(1000 + int(self.now * 10))))
        await self.applier.carry_out(Plan((Apply(SERVICE, create=False),)), resource(), self.memory)
        return self.memory.obstacles[0].reason if self.memory.obstacles else None


@pytest.fixture
async def fought() -> Fought:
    """After three fights."""
    world = Fought()
    assert [await world.drifted() for _ in range(3)] == [None] * 3
    assert world.forced == [True] * 3
    return world


async def test_after_three_fights_it_is_left_alone_whatever_happens_to_it(fought: Fought) -> None:
    assert [await fought.drifted() for _ in range(10)] == ["FieldConflict"] * 10
    assert fought.forced == [True] * 3 + [False]
    assert fought.applier.tries_again(fought.memory) == 1.0


async def test_it_is_tried_again_less_and_less_often(fought: Fought) -> None:
    tried = []
    for _ in range(600):
        before = len(fought.forced)
        await fought.drifted()
        tried += [fought.now] if len(fought.forced) > before else []
        fought.memory.repairs[("Service", SERVICE.name)] = [fought.now] * 3  # as if the window went with it
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses == [10, 20, 40, 80, 160]


async def test_when_the_other_one_has_let_go_it_is_put_right(fought: Fought) -> None:
    assert await fought.drifted() == "FieldConflict"
    fought.held = False
    assert await fought.drifted(5.0) == "FieldConflict", "not before the pause is over"
    assert await fought.drifted(5.0) is None
    assert fought.forced == [True] * 3 + [False, False]


async def test_ten_minutes_after_the_last_fight_it_is_put_right_by_force_again(fought: Fought) -> None:
    assert await fought.drifted() == "FieldConflict"
    assert await fought.drifted(FIGHT_WINDOW) is None
    assert fought.forced[-1] is True
    assert fought.applier.tries_again(fought.memory) is None


async def test_fights_over_longer_times_are_no_fight() -> None:
    world = Fought()
    assert [await world.drifted(FIGHT_WINDOW / 2 - 1) for _ in range(12)] == [None] * 12


async def test_repairs_are_forgotten_when_they_are_too_old_to_be_a_fight(fought: Fought) -> None:
    fought.now += FIGHT_WINDOW
    await fought.applier.carry_out(Plan(), resource(), fought.memory)
    assert fought.memory.repairs == {}

"""Chooses how each roll-out makes room, and looks at nodes and quotas where that decision needs it.

One decision at a time: room that was given to one roll-out is not given to another before its pods are seen. Before a roll-out
takes a device away from a pod that serves, a pod without one tries the new revision. Where the operator may not look, or may not
make such a pod, the roll-out goes on without.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from modelport.api.names import Reason
from modelport.control.cache import Cache
from modelport.control.memory import Memory
from modelport.kube.client import Cluster
from modelport.kube.errors import Conflict, Forbidden, Invalid
from modelport.kube.kinds import NODE, POD, RESOURCE_QUOTA
from modelport.render.demand import Demand
from modelport.render.deployment import with_strategy
from modelport.render.desired import Desired, Identity
from modelport.render.preflight import preflight as render_preflight
from modelport.state import preflight
from modelport.state.capacity import Node, Room, nodes_of, quota_of, room, use_of
from modelport.state.observed import Key, Observed, PodFacts
from modelport.state.refusal import refused
from modelport.state.rollout import Pod, Rollout, rollout
from modelport.state.strategy import Choice, Unseen, begins, changes_in, choose, rolling

SEEN_FOR = 5.0
"""Seconds for which a look at all nodes and pods serves further decisions."""
HELD_FOR = 60.0
"""Seconds after which room that was given, and that no pod has taken, is free again."""
_ALIVE = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass(frozen=True, slots=True)
class _Sight:
    """What was free at a moment, and what pods waited for."""

    at: float
    nodes: tuple[Node, ...]
    waiting: tuple[Demand, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """Room that a roll-out was given and may not have taken yet."""

    at: float
    key: Key
    spec_hash: str
    demands: tuple[Demand, ...]


class Rollouts:
    """The choices of all roll-outs."""

    def __init__(self, cluster: Cluster, cache: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._cache, self._clock = cluster, cache, clock
        self._deciding = asyncio.Lock()
        self._sight: _Sight | None = None
        self._given: list[_Given] = []

    async def shape(self, desired: Desired, observed: Observed, memory: Memory) -> tuple[Desired, float | None]:
        """What is desired, with the strategy of now, and the Deployment held back while a pod without devices tries it; and the
        seconds until that may change by itself."""
        view = rollout(observed, desired.spec_hash)
        if observed.resource.paused:
            return (desired if view.facts is None else with_strategy(desired, view.facts.strategy)), None
        choice = choose(desired, observed, view, None) or await self._decide(desired, observed, view)
        if choice.why or view.facts is None or not rolling(view.facts):
            memory.rollout = choice.why
        if view.facts is not None and preflight.needed(desired, view, choice):
            if not await self._tried(desired, observed, view, memory):
                held = replace(desired, tried=True, held=begins(desired, view.facts))
                return with_strategy(held, view.facts.strategy), None
        else:
            await self._clear(view, observed, memory)
        return with_strategy(desired, choice.strategy), changes_in(desired, observed, view)

    async def _decide(self, desired: Desired, observed: Observed, view: Rollout) -> Choice:
        async with self._deciding:
            choice = choose(desired, observed, view, await self._look(desired, observed))
            assert choice is not None, "a look at the room decides"
            if choice.strategy.surge:
                self._give(desired, observed, choice.strategy.surge)
        return choice

    async def _tried(self, desired: Desired, observed: Observed, view: Rollout, memory: Memory) -> bool:
        """Whether a pod without devices has got through; there is one from now on."""
        pod, memory.trial = preflight.of(desired, observed, view), None
        await self._delete([other for other in view.trials if other is not pod], observed)
        if pod is not None:
            return preflight.passed(pod)
        resource = observed.resource
        nodes = {one.facts.node for one in view.pods if one.facts.node is not None and one.facts.ready}
        body = render_preflight(Identity(resource.namespace, resource.name, resource.uid), desired, nodes)
        try:
            await self._cluster.create(POD, resource.namespace, body)
        except Conflict:
            return False  # it has just been made, or is just going
        except (Forbidden, Invalid) as refusal:
            if isinstance(refusal, Forbidden) and refusal.missing_right:
                return True
            memory.trial = refused(Reason.CHILD_REFUSED, "Pod", body["metadata"]["name"], refusal.message)
        return False

    async def _clear(self, view: Rollout, observed: Observed, memory: Memory) -> None:
        memory.trial = None
        await self._delete(view.trials, observed)

    async def _delete(self, pods: Iterable[Pod], observed: Observed) -> None:
        for pod in pods:
            await self._cluster.delete(POD, observed.resource.namespace, pod.name, pod.uid)

    async def _look(self, desired: Desired, observed: Observed) -> Room | Unseen:
        try:
            sight = await self._seen()
            quotas = [raw async for raw in self._cluster.everything(RESOURCE_QUOTA, observed.resource.namespace)]
        except Forbidden as refusal:
            return Unseen(f"the operator has no right to list {refusal.details.get('kind') or 'nodes'}")
        key = (observed.resource.namespace, observed.resource.name)
        given = [demand for one in self._given if one.key != key for demand in one.demands]
        left = [quota for raw in quotas if (quota := quota_of(raw)) is not None]
        return room(desired.demand, sight.nodes, (*sight.waiting, *given), left)

    async def _seen(self) -> _Sight:
        now = self._clock()
        if self._sight is None or now - self._sight.at >= SEEN_FOR:
            self._given = [one for one in self._given if now - one.at < HELD_FOR and not self._taken(one)]
            nodes = [raw async for raw in self._cluster.everything(NODE)]
            pods = self._cluster.everything(POD, query=_ALIVE)
            uses = [use async for raw in pods if (use := use_of(raw)) is not None]  # bodies must not pile up
            self._sight = _Sight(now, *nodes_of(nodes, uses))
        return self._sight

    def _give(self, desired: Desired, observed: Observed, slots: int) -> None:
        key = (observed.resource.namespace, observed.resource.name)
        given = _Given(self._clock(), key, desired.spec_hash, (desired.demand,) * slots)
        self._given = [*(one for one in self._given if one.key != key), given]

    def _taken(self, one: _Given) -> bool:
        """Whether its pods are there: a look from now on sees them."""
        pods = (child.facts for child in self._cache.children(one.key))
        return any(isinstance(facts, PodFacts) and facts.spec_hash == one.spec_hash for facts in pods)

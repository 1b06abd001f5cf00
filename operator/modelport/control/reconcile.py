"""One reconcile: load, validate, render, choose the strategy, diff, apply, summarise.

It reads the cache and asks the pure layers what to do. It must never decide anything itself, and never send anything
when nothing is to be done.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from modelport.control.apply import Applier, GoingAwayError
from modelport.control.cache import Cache
from modelport.control.evidence import Evidence
from modelport.control.memory import Memories, Memory
from modelport.control.presence import Presence
from modelport.control.publish import Publisher
from modelport.control.questions import Questions
from modelport.control.rollouts import Rollouts
from modelport.render.desired import Desired, Identity, Invalid
from modelport.render.platform import Platform
from modelport.render.render import render
from modelport.state.diagnosis import changes_in
from modelport.state.observed import Key, Observed, Resource
from modelport.state.plan import plan
from modelport.state.status import summarise

_RENDERED = 8192
"""Renderings that are kept, one of each resource, pickled: 5 KiB instead of 23, and read in a tenth of the time that rendering takes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reconcile ended."""

    result: str
    """done, waiting (for an obstacle or a leftover to go), settling (an answer is about to come) or gone."""
    reason: str = ""
    look_again_in: float | None = None
    """Seconds after which to look although nothing has happened."""


_GONE = Outcome("gone")


class Reconciler:
    """Brings one resource's children and status to what its spec says."""

    def __init__(
        self,
        cache: Cache,
        platform: Platform,
        *,
        applier: Applier,
        presence: Presence,
        rollouts: Rollouts,
        evidence: Evidence,
        questions: Questions,
        publisher: Publisher,
    ) -> None:
        self._cache, self._platform = cache, platform
        self._applier, self._presence, self._rollouts, self._evidence = applier, presence, rollouts, evidence
        self._questions, self._publisher = questions, publisher
        self._memories = Memories()
        self._rendered: OrderedDict[Key, tuple[tuple[str, int], bytes]] = OrderedDict()

    async def reconcile(self, key: Key) -> Outcome:
        """Do what is to be done for one resource now."""
        resource = self._cache.resource(key)
        if resource is None:
            self._memories.forget(key)
            self._rendered.pop(key, None)
            return _GONE
        memory = self._memories.of(resource)
        if resource.deleting:  # and still there: somebody's finalizer, or a deletion in the foreground
            await self._publisher.publish(resource, summarise(self._observe(resource, memory), None), memory)
            return _GONE
        desired = self._render(resource)
        looks: list[float | None] = []
        done = True
        if isinstance(desired, Desired):
            desired, look = await self._rollouts.shape(desired, self._observe(resource, memory), memory)
            looks += [look]
            try:
                done = await self._make(desired, resource, memory)
            except GoingAwayError:
                return _GONE
            looks += [self._applier.tries_again(memory), changes_in(self._observe(resource, memory))]
            looks += [await self._evidence.read(self._observe(resource, memory), memory)]
            looks += [self._questions.consider(self._observe(resource, memory), desired, memory)]
            if self._questions.settling(resource, memory):
                return Outcome("settling", look_again_in=_earliest(looks))
        observed = self._observe(resource, memory)
        status = summarise(observed, desired)
        looks += [await self._publisher.publish(resource, status, memory)]
        waits = observed.obstacles or not done
        return Outcome("waiting" if waits else "done", str(status.get("phase") or ""), _earliest(looks))

    def look(self, resource: Resource) -> tuple[Observed, Desired | Invalid | None, Memory]:
        """What a reconcile of the resource would decide on now, for people who ask why."""
        memory = self._memories.of(resource)
        return self._observe(resource, memory), None if resource.deleting else self._render(resource), memory

    async def _make(self, desired: Desired, resource: Resource, memory: Memory) -> bool:
        """Write what differs and delete what is not wanted; False when something could not be deleted."""
        steps = plan(desired, self._observe(resource, memory))
        if any(step.create for step in steps.apply) and not await self._presence.confirmed(resource):
            raise GoingAwayError
        return await self._applier.carry_out(steps, resource, memory)

    def _render(self, resource: Resource) -> Desired | Invalid:
        """Once for each generation, as long as not too many other resources come in between."""
        key, generation = (resource.namespace, resource.name), (resource.uid, resource.generation)
        kept = self._rendered.get(key)
        if kept is not None and kept[0] == generation:
            self._rendered.move_to_end(key)
            desired: Desired | Invalid = pickle.loads(kept[1])
            return desired
        desired = render(Identity(*key, resource.uid), resource.spec, self._platform)
        self._rendered[key] = (generation, pickle.dumps(desired))
        if len(self._rendered) > _RENDERED:
            self._rendered.popitem(last=False)
        return desired

    def _observe(self, resource: Resource, memory: Memory) -> Observed:
        """Everything that is known about the resource at this moment."""
        children = self._cache.children((resource.namespace, resource.name))
        return Observed(
            resource=resource,
            now=datetime.now(UTC),
            children=tuple(child for child in children if child.kind not in ("ReplicaSet", "Pod")),
            replica_sets=tuple(child for child in children if child.kind == "ReplicaSet"),
            pods=tuple(child for child in children if child.kind == "Pod"),
            accepted=memory.accepted,
            door=memory.door,
            door_waited=self._questions.waited(resource, memory),
            evidence=memory.evidence,
            rollout=memory.rollout,
            obstacles=(*memory.obstacles, memory.trial) if memory.trial is not None else memory.obstacles,
        )


def _earliest(looks: list[float | None]) -> float | None:
    return min((pause for pause in looks if pause is not None), default=None)

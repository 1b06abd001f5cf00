"""Carries out a plan: server-side apply of what differs, deletion of what is not wanted any more.

The ownership rule stands here: the first apply of a name creates and never merges, a name that is taken is looked at
once, drift is repaired by force, and whoever takes a field back three times is left alone for a while. It must never
write an object that it has not either created or seen to be ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from modelport.api.names import FIELD_MANAGER, Reason
from modelport.control.cache import Cache
from modelport.control.memory import LeftAlone, Memory
from modelport.control.meter import Meter
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from modelport.kube.kinds import CHILD_KINDS
from modelport.render.desired import Child as Desired
from modelport.state.observed import Child, Obstacle, Resource
from modelport.state.plan import Adopt, Apply, Delete, Plan, judge_existing
from modelport.state.project import project_child
from modelport.state.refusal import refused

logger = logging.getLogger(__name__)

FIGHTS = 3
FIGHT_WINDOW = 600.0
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds for which a child that is fought over is left alone, however often it changes; each time twice as long."""
_CREATE = {"resourceVersion": "1"}


class GoingAwayError(Exception):
    """The resource or its namespace is on its way out: there is nothing left to do for it."""


class Applier:
    """Writes children."""

    def __init__(
        self, cluster: Cluster, cache: Cache, meter: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._meter = meter
        self._clock = clock

    async def carry_out(self, plan: Plan, resource: Resource, memory: Memory) -> bool:
        """Write in the plan's order up to the first obstacle, which is remembered; a fight over one child stops no other.
        False when something is left that is not wanted any more: no obstacle, but to be tried again."""
        known = {(c.kind, c.name): c for c in self._cache.children((resource.namespace, resource.name))}
        memory.obstacles = ()
        self._forget_old_repairs(memory)
        for step in plan.apply:
            obstacle = await self._apply(step, known.get((step.child.kind, step.child.name)), resource, memory)
            if obstacle is not None:
                memory.obstacles += (obstacle,)
                if obstacle.reason != Reason.FIELD_CONFLICT:
                    return True
        deleted = [
            await self._delete(step, known.get((step.kind, step.name)), resource, memory) for step in plan.delete
        ]
        return all(deleted)

    def tries_again(self, memory: Memory) -> float | None:
        """Seconds until a child that is left alone, and stands in the way, is tried again."""
        fought = [one for one in memory.obstacles if one.reason == Reason.FIELD_CONFLICT]
        moments = [memory.left_alone[(one.kind, one.name)].until for one in fought]
        return min(moments) - self._clock() if moments else None

    async def _delete(self, step: Delete, seen: Child | None, resource: Resource, memory: Memory) -> bool:
        """Whether it is gone. A refusal must not keep the status of what serves from being told."""
        try:
            await self._cluster.delete(CHILD_KINDS[step.kind], resource.namespace, step.name, step.uid)
        except ApiError as refusal:
            key = (resource.namespace, resource.name)
            logger.warning("%s %s is left over: %s", step.kind, step.name, refusal, extra={"key": key})
            return False
        memory.accepted.pop((step.kind, step.name), None)
        if seen is not None:
            self._cache.deleted(seen)
        return True

    async def _apply(self, step: Apply, seen: Child | None, resource: Resource, memory: Memory) -> Obstacle | None:
        child = step.child
        try:
            if step.create or seen is None:
                return await self._create(child, resource, memory)
            if seen.applied_hash == child.applied_hash:
                return await self._repair(child, seen, resource, memory)
            await self._write(child, resource, memory, {"uid": seen.uid})
        except ApiError as refusal:
            return self._refused(refusal, child, seen)
        return None

    def _refused(self, refusal: ApiError, child: Desired, seen: Child | None) -> Obstacle | None:
        """What a refusal means: an obstacle for users, or news about what is there."""
        match refusal:
            case Forbidden() if refusal.namespace_terminating:
                raise GoingAwayError from refusal
            case Forbidden():
                reason = Reason.FORBIDDEN if refusal.missing_right else Reason.CHILD_REFUSED
                return refused(reason, child.kind, child.name, refusal.message)
            case Invalid() if not refusal.another_object:
                return refused(Reason.CHILD_REFUSED, child.kind, child.name, refusal.message)
            case Unavailable() if refusal.code >= 500:  # an answer: the API server's own, or a webhook's that it needs
                return refused(Reason.UNAVAILABLE, child.kind, child.name, refusal.message)
            case NotFound() if seen is None:
                raise GoingAwayError from refusal
            case NotFound() | Conflict() | Invalid() if seen is not None and _gone(refusal):
                self._cache.missing(seen)  # the next look decides afresh
                return None
        raise refusal

    async def _create(self, child: Desired, resource: Resource, memory: Memory) -> Obstacle | None:
        """Create it, or look once at who has the name."""
        try:
            await self._write(child, resource, memory, _CREATE)
        except Conflict:
            try:
                raw = await self._cluster.get(CHILD_KINDS[child.kind], resource.namespace, child.name)
            except NotFound:
                return Obstacle(
                    Reason.WAITING_FOR_CLEANUP,
                    child.kind,
                    child.name,
                    f"{child.kind} {child.name} has just been deleted",
                )
            managers = raw["metadata"].get("managedFields") or [{}]
            existing = project_child({**raw, "kind": child.kind})
            judgement = judge_existing(existing, _manager(managers), resource)
            if not isinstance(judgement, Adopt):
                return judgement
            if existing.applied_hash == child.applied_hash:  # its label was changed, and so it was not found
                return await self._repair(child, existing, resource, memory)
            await self._write(child, resource, memory, {"uid": existing.uid})
        return None

    async def _repair(self, child: Desired, seen: Child, resource: Resource, memory: Memory) -> Obstacle | None:
        """Somebody changed what is ours: put it right, unless they have done so again and again."""
        name = (child.kind, child.name)
        now = self._clock()
        fights = memory.repairs.get(name, [])
        if len(fights) < FIGHTS:
            memory.left_alone.pop(name, None)
            await self._write(child, resource, memory, {"uid": seen.uid})
            memory.repairs[name] = [*fights, now]
            self._meter.drift_repaired(child.kind)
            return None
        alone = memory.left_alone.get(name)
        if alone is not None and now < alone.until:
            return alone.obstacle
        try:  # without force the API server names the manager and the field
            await self._write(child, resource, memory, {"uid": seen.uid}, force=False)
        except Conflict as conflict:
            if not conflict.causes:
                raise
            pause = FIRST_PAUSE if alone is None else min(2 * alone.pause, LONGEST_PAUSE)
            obstacle = refused(Reason.FIELD_CONFLICT, child.kind, child.name, conflict.message)
            memory.left_alone[name] = LeftAlone(obstacle, now + pause, pause)
            return obstacle
        memory.left_alone.pop(name, None)
        return None

    def _forget_old_repairs(self, memory: Memory) -> None:
        now = self._clock()
        memory.repairs = {
            name: recent
            for name, moments in memory.repairs.items()
            if (recent := [at for at in moments if now - at < FIGHT_WINDOW])
        }

    async def _write(
        self, child: Desired, resource: Resource, memory: Memory, precondition: dict[str, str], *, force: bool = True
    ) -> None:
        kind = CHILD_KINDS[child.kind]
        answer = await self._cluster.apply(
            kind, resource.namespace, child.manifest, precondition=precondition, force=force
        )
        written = project_child({**answer, "kind": child.kind})
        if written.digest is not None:
            memory.accepted[(child.kind, child.name)] = (child.applied_hash, written.digest)
        self._cache.own_write(written)


def _gone(refusal: NotFound | Conflict | Invalid) -> bool:
    """Whether the object that was meant is not there any more; any other conflict is only to be tried again."""
    return isinstance(refusal, NotFound) or refusal.another_object


def _manager(entries: list[dict[str, str]]) -> str:
    """Who wrote an object last, of those that are not us."""
    others = [e for e in entries if e.get("manager") not in (None, FIELD_MANAGER) and not e.get("subresource")]
    latest = max(others or entries, key=lambda entry: entry.get("time") or "")
    return latest.get("manager") or "unknown"

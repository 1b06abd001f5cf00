"""What the watches saw, as projections, found by the resource that it belongs to.

An older version never replaces a newer one, whether that came from a watch or from the answer to a write of ours. It
must never hold a body, and never talk to the cluster.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum, auto

from modelport.state.observed import Child, DeploymentFacts, Key, PodFacts, Resource

Name = tuple[str, str]
"""(kind, name) of an object that belongs to a resource."""
_TOMBSTONES = 1024
"""What has gone last; an answer is late by less than it takes for so many to go."""


class News(Enum):
    """What has changed about a resource."""

    RESOURCE = auto()
    """The resource itself: a user waits."""
    READINESS = auto()
    """Something has begun, or ceased, to be ready: everybody who uses the model waits."""
    CHILD = auto()
    """Anything else about its children."""


class Cache:
    """ModelDeployments and everything that carries their label."""

    def __init__(self, changed: Callable[[Key, News], None] = lambda key, news: None) -> None:
        """`changed` is told which resource something changed for, and what."""
        self.changed = changed
        self._resources: dict[Key, Resource] = {}
        self._children: dict[Key, dict[Name, Child]] = {}
        self._labels: dict[tuple[str, str, str], str] = {}
        self._vanished: dict[Key, str] = {}
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._tombstones: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def resource(self, key: Key) -> Resource | None:
        """The ModelDeployment, unless there is none."""
        return self._resources.get(key)

    def resources(self) -> Iterator[Resource]:
        """All ModelDeployments."""
        return iter(self._resources.values())

    def children(self, key: Key) -> tuple[Child, ...]:
        """All objects that carry the resource's label, whoever made them."""
        return tuple(self._children.get(key, {}).values())

    def vanished(self, key: Key, uid: str) -> bool:
        """Whether a child of that very resource was deleted since `confirm`: perhaps because the resource is gone."""
        return self._vanished.get(key) == uid

    def confirm(self, key: Key) -> None:
        """The resource was read and is there: what vanished may be made anew."""
        self._vanished.pop(key, None)

    def put_resource(self, resource: Resource) -> None:
        """A watch, a LIST or a status write of ours showed this."""
        key = (resource.namespace, resource.name)
        known = self._resources.get(key)
        if resource.uid in self._dead or self._stale("ModelDeployment", key, resource.resource_version, known):
            return
        self._resources[key] = resource
        if known is None or known != replace(resource, resource_version=known.resource_version):
            self.changed(key, News.RESOURCE)

    def own_status(self, resource: Resource) -> None:
        """The answer to a status write of ours: news only if it shows more than the status that was written."""
        key = (resource.namespace, resource.name)
        known = self._resources.get(key)
        if resource.uid in self._dead or self._stale("ModelDeployment", key, resource.resource_version, known):
            return
        self._resources[key] = resource
        if known is None or known != replace(resource, resource_version=known.resource_version, status=known.status):
            self.changed(key, News.RESOURCE)

    def drop_resource(self, key: Key, version: str | None = None) -> None:
        """It is gone; with a version, only if nothing newer is known."""
        known = self._resources.get(key)
        if known is None or (version is not None and int(known.resource_version) > int(version)):
            return
        del self._resources[key]
        self._vanished.pop(key, None)
        self._bury("ModelDeployment", key, version or known.resource_version)
        self._dead[known.uid] = None  # what a watch that lags still tells of it may be younger than what was known
        if len(self._dead) > _TOMBSTONES:
            self._dead.popitem(last=False)
        self.changed(key, News.RESOURCE)

    def seen(self, child: Child) -> None:
        """A watch or the answer to a write of ours showed this."""
        known = self._known(child)
        if self._put(child):
            self.changed(_key(child), self._news(known, child))

    def own_write(self, child: Child) -> None:
        """The answer to a write of ours: known from now on, and no news."""
        self._put(child)

    def lost(self, child: Child) -> None:
        """A watch saw its deletion."""
        known = self._known(child)
        if known is not None and int(known.resource_version) <= int(child.resource_version):
            self._remove(known, child.resource_version)

    def unreadable(self, kind: str, namespace: str, name: str) -> None:
        """A watch showed it, and nobody can tell how it looks: what was known of it is out of date."""
        label = self._labels.get((kind, namespace, name))
        if label is not None:
            self.missing(self._children[(namespace, label)][(kind, name)])

    def missing(self, child: Child) -> None:
        """A write of ours found that it is not there any more."""
        self._remove(child, child.resource_version)

    def deleted(self, child: Child) -> None:
        """We have deleted it: it is no longer known, and nobody has to ask why."""
        self._vanish(child, child.resource_version)

    def listed(self, kind: str, namespace: str | None, children: list[Child], resource_version: str) -> None:
        """All objects of a kind at one moment: what is not among them was deleted, unless it is younger."""
        present = {(child.namespace, child.name) for child in children}
        missing = [
            child
            for of_one in self._children.values()
            for child in of_one.values()
            if child.kind == kind
            and namespace in (None, child.namespace)
            and (child.namespace, child.name) not in present
            and int(child.resource_version) <= int(resource_version)
        ]
        for child in missing:
            self._remove(child, resource_version)
        for child in children:
            self.seen(child)

    def counts(self) -> dict[str, int]:
        """How many objects of each kind are known."""
        counts = {"ModelDeployment": len(self._resources)}
        for of_one in self._children.values():
            for kind, _ in of_one:
                counts[kind] = counts.get(kind, 0) + 1
        return counts

    def _put(self, child: Child) -> bool:
        """Take it in; whether it tells anything new."""
        known = self._known(child)
        if self._stale(child.kind, (child.namespace, child.name), child.resource_version, known):
            return False
        if known is not None and known.resource_name != child.resource_name:
            self._take_out(known)  # somebody changed the label: it is missed where it was
            self.changed(_key(known), News.CHILD)
        self._children.setdefault(_key(child), {})[(child.kind, child.name)] = child
        self._labels[_place(child)] = child.resource_name
        return known is None or known != replace(child, resource_version=known.resource_version)

    def _remove(self, child: Child, version: str) -> None:
        key = _key(child)
        if not self._vanish(child, version):
            return
        resource = self._resources.get(key)
        if resource is not None and child.owner_uid == resource.uid:
            self._vanished[key] = resource.uid
        self.changed(key, News.CHILD)

    def _vanish(self, child: Child, version: str) -> bool:
        """Take it out; whether it was known."""
        known = self._known(child)
        if known is None:
            return False
        self._take_out(known)
        self._bury(child.kind, (child.namespace, child.name), version)
        return True

    def _news(self, known: Child | None, child: Child) -> News:
        """Whether something has begun, or ceased, to serve. A pod that begins to is counted by its Deployment a moment later,
        and nothing follows from it before; but the two are watched apart, and the count may be told first."""
        before, now = _serving(known), _serving(child)
        if before == now:
            return News.CHILD
        begins = child.kind == "Pod" and bool(now)
        return News.CHILD if begins and not self._counted(_key(child)) else News.READINESS

    def _counted(self, key: Key) -> bool:
        """Whether as many pods as serve have been counted."""
        facts = [child.facts for child in self._children[key].values()]
        serving = sum(isinstance(one, PodFacts) and one.ready for one in facts)
        return any(isinstance(one, DeploymentFacts) and one.ready >= serving for one in facts)

    def _known(self, child: Child) -> Child | None:
        """What is known of it, whatever label it has now."""
        label = self._labels.get(_place(child))
        return None if label is None else self._children[(child.namespace, label)][(child.kind, child.name)]

    def _take_out(self, known: Child) -> None:
        of_one = self._children[_key(known)]
        del of_one[(known.kind, known.name)]
        if not of_one:
            del self._children[_key(known)]
        del self._labels[_place(known)]

    def _stale(self, kind: str, place: Key, version: str, known: Resource | Child | None) -> bool:
        newest = int(known.resource_version) if known is not None else self._tombstones.get((kind, *place), -1)
        return int(version) <= newest

    def _bury(self, kind: str, place: Key, version: str) -> None:
        """Remember when it was deleted, so that an answer that comes late does not bring it back."""
        self._tombstones[(kind, *place)] = int(version)
        self._tombstones.move_to_end((kind, *place))
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)


def _key(child: Child) -> Key:
    return (child.namespace, child.resource_name)


def _place(child: Child) -> tuple[str, str, str]:
    return (child.kind, child.namespace, child.name)


def _serving(child: Child | None) -> tuple[int, ...]:
    """What serves, as far as it tells; empty where nothing does."""
    match child.facts if child is not None else None:
        case DeploymentFacts(updated=updated, ready=ready, available=available) if ready or available:
            return updated, ready, available
        case PodFacts(ready=True):
            return (1,)
    return ()

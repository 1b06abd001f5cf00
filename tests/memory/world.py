"""A cluster in memory with operators, users and controllers; what they may never do, and how everything has to end."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from modelport.api.names import KIND, Reason
from modelport.kube.kinds import (
    CHILD_KINDS,
    CONFIG_MAP,
    DEPLOYMENT,
    MODEL_DEPLOYMENT,
    NAMESPACE,
    POD,
    REPLICA_SET,
    SERVICE,
    WATCHED,
    Kind,
)
from modelport.render.desired import Child as DesiredChild
from modelport.render.desired import Desired, Identity
from modelport.render.render import render
from modelport.state.observed import Child, Door, DoorResult, Observed, Obstacle, Resource
from modelport.state.plan import Adopt, judge_existing
from modelport.state.project import project_child, project_resource
from modelport.state.refusal import refused
from modelport.state.status import summarise
from tests.memory import controllers
from tests.memory.clock import Clock, VirtualLoop, run
from tests.memory.fields import UnknownField, claimed, merged
from tests.memory.line import WAY
from tests.memory.operator import LEASES, PLATFORM, Operator
from tests.memory.owners import NEVER_OWNED, Manager
from tests.memory.requests import Json, Place, Refusal, Request, no_right, not_of_the_schema
from tests.memory.schema import type_of
from tests.memory.server import Server
from tests.memory.twins import APPLY, MERGE

Key = tuple[str, str]
IN_VAIN = 3
"""How often a child may be made for a resource that is gone: before its deletion is known, and by what was on its way."""
LATEST = 31.0
"""Seconds after which everything that was sent has arrived."""
PATIENCE = 2000.0
"""Seconds until which everything has to be right: a resync, the longest back-off and ten minutes of a fight."""


class World:
    """Everything that a test plays with."""

    def __init__(self) -> None:
        self.clock, self.wrong = Clock(), list[str]()
        self.wire = VirtualLoop(self.clock)
        self.server = Server(admit=self._admit, written=self._written, clock=self.clock)
        self.operators: dict[str, Operator] = {}
        self.forbidden: set[tuple[str, str]] = set()
        self.refused: set[str] = set()
        self._owners: dict[str, set[str]] = {}
        self._gone: set[str] = set()
        self._in_vain: Counter[tuple[Place, str]] = Counter()
        self.writes: list[str] = []
        self._log = _Log(self.wrong)
        self._logger = logging.getLogger("modelport")
        self._logger.addHandler(self._log)
        self._logger.propagate = False
        self.make_namespace(LEASES)

    def close(self) -> None:
        """End all loops."""
        self._logger.removeHandler(self._log)
        self._logger.propagate = True
        for operator in self.operators.values():
            operator.kill()
        self.wire.end()

    def run(self, seconds: float) -> None:
        """Let time pass. A process that has ended is started anew a moment later, as the kubelet does it."""
        end = self.clock.now + seconds
        while True:
            step = min(1.0, end - self.clock.now)
            run(self.clock, self._loops, max(0.0, step))
            for name in [name for name, one in self.operators.items() if one.exited]:
                self.kill(name)
                self.start(name)
            if self.clock.now >= end:
                break
        for loop in self._loops():
            self.wrong += loop.broken
            loop.broken.clear()

    def start(self, name: str) -> Operator:
        """A new process of the operator."""
        self.operators[name] = Operator(
            name, self.clock, self.server, self.wire, self.wrong.append, self.operators.values
        )
        return self.operators[name]

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.operators.pop(name).kill()

    def make_namespace(self, name: str) -> None:
        self.server.request("POST", NAMESPACE.path(), {"metadata": {"name": name}})

    def send(self, method: str, kind: Kind, key: Key, body: Any = None, content_type: str = "", sub: str = "") -> int:
        """A request of a user; the status of the answer."""
        path = f"{kind.path(key[0], key[1], sub or None)}?fieldManager=somebody&force=true"
        return self.server.request(method, path, body, content_type)[0]

    def apply(self, kind: Kind, key: Key, body: Json) -> int:
        """Server-side apply by a user."""
        metadata = {**body.get("metadata", {}), "name": key[1], "namespace": key[0]}
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body, "metadata": metadata}
        return self.send("PATCH", kind, key, whole, APPLY)

    def patch(self, kind: Kind, key: Key, body: Json) -> int:
        """A merge patch by a user."""
        return self.send("PATCH", kind, key, body, MERGE)

    def act(self) -> bool:
        """All controllers do what there is to do; whether there was anything."""
        before = self.server.history.version
        controllers.collect_garbage(self.server)
        controllers.end_namespaces(self.server)
        for _ in range(2):
            controllers.deploy(self.server)
            controllers.run_pods(self.server)
        controllers.deploy(self.server)
        controllers.collect_garbage(self.server)
        return self.server.history.version > before

    def find(self, kind: Kind, key: Key) -> dict[str, Any] | None:
        """One object, if it is there."""
        found = self.server.find(kind, *key)
        return found[0] if found else None

    def heal(self) -> None:
        """Nothing goes wrong any more: rights are back, nothing is held up, every process runs."""
        self.forbidden.clear()
        self.refused.clear()
        for kind in (*WATCHED, MODEL_DEPLOYMENT):
            self.server.history.release(kind.plural)
        for operator in self.operators.values():
            operator.frozen = False
            operator.session.faults.clear()
            operator.session.there = operator.session.back = WAY
        if not self.operators:
            self.start("a")
        for place in list(self.server.objects):
            if self.server.objects[place].body["metadata"].get("finalizers"):
                self.patch(place.kind, (place.namespace, place.name), {"metadata": {"finalizers": None}})

    def settle(self) -> None:
        """Let everything come to its end. Raises AssertionError where that is not what it has to be."""
        self.heal()
        self.run(LATEST)
        began = self.clock.now
        while True:
            acted, problems = self.act(), self.problems()
            if not acted and not problems:
                break
            if self.clock.now - began > PATIENCE:
                raise AssertionError("\n".join(problems) or "it never comes to rest")
            self.run(5.0 if self.clock.now - began < 60.0 else 60.0)
            self.check()
        self.writes.clear()
        self.run(65.0)
        self.check()
        if self.writes:
            raise AssertionError(f"written although all is as it should be: {', '.join(self.writes)}")

    def put(self, name: str, spec: Json, namespace: str = "models") -> int:
        """A user applies a ModelDeployment."""
        return self.apply(MODEL_DEPLOYMENT, (namespace, name), {"spec": spec})

    def check(self) -> None:
        """Nothing that may never happen has happened."""
        if self.wrong:
            raise AssertionError("\n".join(self.wrong))

    def problems(self) -> list[str]:
        """What is not as it has to be in the end."""
        found = [problem for document in self.server.find(MODEL_DEPLOYMENT) for problem in self._wrong_with(document)]
        uids = {document["metadata"]["uid"] for document in self.server.find(MODEL_DEPLOYMENT)}
        for kind in CHILD_KINDS.values():
            for child in self.server.find(kind):
                owner = _owner(child)
                if owner is not None and owner["uid"] not in uids:
                    found.append(f"{kind.name} {child['metadata']['name']} is an orphan")
        found += [f"{name} has exited" for name, operator in self.operators.items() if operator.exited]
        return found

    def _wrong_with(self, document: Json) -> Iterator[str]:
        resource = project_resource(document)
        desired = render(Identity(resource.namespace, resource.name, resource.uid), resource.spec, PLATFORM)
        who = f"{resource.namespace}/{resource.name}"
        obstacles: tuple[Obstacle, ...] = ()
        if isinstance(desired, Desired) and not resource.paused and not resource.deleting:
            for child in sorted(desired.children, key=lambda child: _ORDER.index(child.kind)):
                obstacle = self._in_the_way(child, resource)
                if obstacle is not None:
                    obstacles = (obstacle,)
                    break
                for problem in self._differs(child, resource):
                    yield f"{who}: {child.kind} {child.name} {problem}"
            else:
                yield from (f"{who}: {unwanted}" for unwanted in self._unwanted(desired, resource))
        observed = self._observed(resource, obstacles)
        expected = summarise(observed, None if resource.deleting else desired)
        if (said := _by_nobody(resource.status)) != (expected := _by_nobody(expected)):
            yield f"{who}: its status is {_difference(said, expected)}"

    def _in_the_way(self, child: DesiredChild, resource: Resource) -> Obstacle | None:
        kind = CHILD_KINDS[child.kind]
        try:
            claimed(child.manifest, type_of(kind.api_version, kind.name))
        except UnknownField as unknown:
            said = not_of_the_schema(Place(kind, resource.namespace, child.name), child.manifest, unknown)
            return refused(Reason.CHILD_REFUSED, child.kind, child.name, str(said))
        found = self.find(kind, (resource.namespace, child.name))
        if found is None:
            return None
        judgement = judge_existing(project_child(found), "somebody", resource)
        return None if isinstance(judgement, Adopt) else judgement

    def _differs(self, child: DesiredChild, resource: Resource) -> Iterator[str]:
        kind = CHILD_KINDS[child.kind]
        stored = self.server.objects.get(Place(kind, resource.namespace, child.name))
        if stored is None:
            yield "is missing"
            return
        schema = type_of(kind.api_version, kind.name)
        if merged(stored.body, child.manifest, schema) != stored.body:
            yield "does not say what is desired"
        mine = stored.managers.get(Manager("modelport", "Apply", kind.api_version, ""))
        if mine is None or mine.fields != claimed(child.manifest, schema) - NEVER_OWNED:
            yield "is not owned as it is desired"

    def _unwanted(self, desired: Desired, resource: Resource) -> Iterator[str]:
        """What is ours, and neither desired nor needed by a revision of the Deployment."""
        wanted = {(child.kind, child.name) for child in desired.children}
        used = {
            name
            for one in self.server.find(REPLICA_SET, resource.namespace)
            for name in project_child(one).facts.config_maps  # type: ignore[union-attr]
        }
        for kind in CHILD_KINDS.values():
            for child in self.server.find(kind, resource.namespace):
                name, owner = child["metadata"]["name"], _owner(child)
                needed = (kind.name, name) in wanted or (kind == CONFIG_MAP and name in used)
                if owner is not None and owner["uid"] == resource.uid and not needed:
                    yield f"{kind.name} {name} is not wanted any more"

    def _observed(self, resource: Resource, obstacles: tuple[Obstacle, ...]) -> Observed:
        def of(*kinds: Kind) -> tuple[Child, ...]:
            found = [project_child(one) for kind in kinds for one in self.server.find(kind, resource.namespace)]
            return tuple(child for child in found if child.resource_name == resource.name)

        return Observed(
            resource=resource,
            now=datetime.now(UTC),
            children=of(DEPLOYMENT, SERVICE, CONFIG_MAP),
            replica_sets=of(REPLICA_SET),
            pods=of(POD),
            door=Door(resource.generation, DoorResult.ANSWERED, ""),
            obstacles=obstacles,
        )

    def _loops(self) -> list[VirtualLoop]:
        return [self.wire, *(one.loop for one in self.operators.values() if not one.frozen and not one.exited)]

    def _admit(self, asked: Request) -> None:
        if not asked.user or asked.place.namespace == LEASES:
            return
        verb = {"PATCH": "patch", "DELETE": "delete", "GET": "get", "POST": "create", "PUT": "update"}[asked.method]
        if (verb, asked.place.kind.plural) in self.forbidden:
            raise no_right(asked.place, verb, asked.user)
        if asked.method == "PATCH" and asked.place.kind.plural in self.refused:
            raise Refusal(403, "Forbidden", f"{asked.place.text} is forbidden: a policy of the test refuses it")

    def _written(self, asked: Request, before: Json | None, after: Json | None) -> None:
        if asked.user and asked.place.namespace != LEASES:
            self._judge(asked, before)
        if asked.place.kind == MODEL_DEPLOYMENT and before is not None and after is None:
            self._gone.add(before["metadata"]["uid"])
        if after is not None and (owner := _owner(after)) is not None:
            self._owners.setdefault(after["metadata"]["uid"], set()).add(owner["uid"])

    def _judge(self, asked: Request, before: Json | None) -> None:
        """An operator writes statuses, and children of the resource that it writes them for, and nothing else."""
        what = f"{asked.user}: {asked.method} {asked.place.text} {asked.subresource}".strip()
        self.writes.append(what)
        if asked.place.kind == MODEL_DEPLOYMENT and asked.subresource != "status":
            self.wrong.append(what)
        if asked.place.kind.name not in CHILD_KINDS:
            return
        if before is not None:
            owners = self._owners.get(before["metadata"]["uid"], set())
            meant = {one["uid"] for one in asked.body.get("metadata", {}).get("ownerReferences", ())}
            if not owners or not meant <= owners:
                self.wrong.append(f"{what}, which never belonged to that resource")
        elif (uid := str((_owner(asked.body) or {}).get("uid"))) in self._gone:
            self._in_vain[asked.place, uid] += 1
            if self._in_vain[asked.place, uid] > IN_VAIN:
                self.wrong.append(f"{what} again and again, for a resource that is gone")


class _Log(logging.Handler):
    """Whatever is logged with a traceback, or as an error, is wrong; but a Lease may be lost."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__()
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or (record.levelno >= logging.ERROR and "Lease" not in record.getMessage()):
            self._wrong.append(f"logged: {self.format(record)}")


_ORDER = ("ConfigMap", "Service", "Deployment")


def _owner(document: Json) -> Json | None:
    """The ModelDeployment that controls it."""
    owners = document["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller") and owner["kind"] == KIND), None)


def _by_nobody(status: Any) -> Any:
    """The status without the name of who made what has a child's name."""
    if isinstance(status, Mapping):
        return {key: _by_nobody(value) for key, value in status.items()}
    if isinstance(status, list):
        return [_by_nobody(item) for item in status]
    return _MAKER.sub("", status) if isinstance(status, str) else status


_MAKER = re.compile("was made by [^;]*")


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
    return "; ".join(f"{key} {found.get(key)!r}, not {expected.get(key)!r}" for key in keys)

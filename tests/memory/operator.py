"""An operator in a loop of its own, wired as modelport.app.operator wires it: the real engine, transport, watches and
elector; kopf's watch, the asking process and the network are played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

from modelport.app.operator import FINISH_WITHIN, take_in
from modelport.control.apply import Applier
from modelport.control.cache import Cache, News
from modelport.control.evidence import Evidence
from modelport.control.presence import Presence
from modelport.control.publish import Publisher
from modelport.control.quarantine import Quarantine
from modelport.control.questions import Questions
from modelport.control.queue import WorkQueue
from modelport.control.reconcile import Outcome, Reconciler
from modelport.control.resync import Resync
from modelport.control.rollouts import Rollouts
from modelport.control.worker import Workers
from modelport.kube.client import ApiCluster, Cluster
from modelport.kube.errors import ApiError, Gone
from modelport.kube.events import Recorder
from modelport.kube.kinds import CHILD_KINDS, MODEL_DEPLOYMENT, WATCHED
from modelport.kube.lease import ApiLeases, Elector, NotLeader
from modelport.kube.pace import Pace
from modelport.kube.transport import Transport
from modelport.kube.watch import Watch
from modelport.render.desired import Question
from modelport.render.platform import Platform
from modelport.state.observed import DoorResult, Key, Resource
from modelport.state.project import project_child, project_resource
from tests.memory.clock import Clock, VirtualLoop
from tests.memory.line import Anyone, Session
from tests.memory.requests import Request
from tests.memory.server import Server

WORKERS = 3
PLATFORM = Platform()
LEASES = "leases"
"""The namespace of the Lease."""


class Meter:
    """Counts nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Door:
    """Every model answers, after a while."""

    def prepare(self, runtime: str) -> None:
        """Nothing to prepare."""

    async def ask(self, url: str, question: Question) -> tuple[DoorResult, str]:
        await asyncio.sleep(0.1)
        return DoorResult.ANSWERED, ""


class Operator:
    """One process. `wrong` is told of what it must never do, and `everyone` are all that run, itself among them."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        server: Server,
        wire: VirtualLoop,
        wrong: Callable[[str], None],
        everyone: Callable[[], Iterable[Operator]],
    ) -> None:
        self.name, self.frozen, self.exited, self._everyone = name, False, False, everyone
        self._clock, self._server, self._wrong = clock, server, wrong
        self._working: set[Key] = set()
        self._known: dict[Key, str] = {}
        self._gone: set[str] = set()
        self._current: ContextVar[Resource | None] = ContextVar("current", default=None)
        self.loop = VirtualLoop(clock)
        self.session = Session(server, wire, name, self._sending)
        self.queue = WorkQueue(clock)
        self.cache = Cache(self._changed)
        self.elector: Elector | None = None
        self._stop = asyncio.Event()
        self._main = self.loop.create_task(self._run())

    @property
    def leads(self) -> bool:
        """Whether it would let a write pass now."""
        try:
            return self.elector is not None and self.elector.check() > 0
        except NotLeader:
            return False

    def stop(self) -> None:
        """SIGTERM: it ends by itself a moment later."""
        self._stop.set()

    def kill(self) -> None:
        """SIGKILL: nothing that it has not sent yet is ever sent."""
        self.session.dead = True
        self.loop.end()

    async def _run(self) -> None:
        clock = self._clock
        transport = Transport(Anyone(), lambda *_: None, Pace(clock=clock))  # type: ignore[arg-type]
        real, transport._session = transport._session, self.session  # type: ignore[assignment]
        await real.close()
        self.elector = Elector(ApiLeases(transport, LEASES, "modelport"), self.name, clock)
        cluster = ApiCluster(transport, self.elector.check)
        meter: Any = Meter()
        recorder = Recorder(cluster, self.name, busy=lambda: self.queue.depth > 0)
        publisher = Publisher(cluster, self.cache, recorder, clock)
        questions = Questions(Door(), "service", self.queue.add, meter, clock)
        self._reconciler = Reconciler(
            self.cache,
            PLATFORM,
            applier=Applier(cluster, self.cache, meter, clock),
            presence=Presence(cluster, self.cache, meter),
            rollouts=Rollouts(cluster, self.cache, clock),
            evidence=Evidence(cluster, logs_allowed=True, clock=clock),
            questions=questions,
            publisher=publisher,
        )
        quarantine = Quarantine(self._reconcile, self.cache, publisher, clock)
        workers = Workers(self.queue, quarantine.reconcile, meter, WORKERS)
        resync = Resync(cluster, self.cache, self.queue, meter, ())
        watches = [Watch(cluster, kind, None, project_child, self.cache) for kind in WATCHED]

        async def may_work() -> None:
            assert self.elector is not None
            await self.elector.leading.wait()
            for watch in watches:
                await watch.synced.wait()

        tasks = [self.loop.create_task(watch.run(), name="watch") for watch in watches]
        tasks += [self.loop.create_task(self._lead(self.elector), name="lead")]
        tasks += [self.loop.create_task(resync.run(), name="resync")]
        tasks += [self.loop.create_task(recorder.run(), name="events")]
        tasks += [self.loop.create_task(watch_resources(cluster, self.cache), name="kopf")]
        for task in tasks:
            task.add_done_callback(self._died)
        workers.start(self.loop.create_task(may_work()), self._died)
        await self._stop.wait()
        self.queue.close()
        await workers.stop(FINISH_WITHIN)
        for task in tasks:
            task.remove_done_callback(self._died)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.elector.release()
        await questions.close()
        self.exited = True

    async def _lead(self, elector: Elector) -> None:
        """A process that loses its Lease ends at once."""
        await elector.run()
        self.session.dead = self.exited = True

    def _died(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.exited:
            self._wrong(f"{self.name}: {task.get_name()} ended: {task.exception()!r}")

    def _changed(self, key: Key, news: News) -> None:
        """What was deleted never comes back: another one may, under its name."""
        resource = self.cache.resource(key)
        uid = resource.uid if resource is not None else ""
        if uid in self._gone:
            self._wrong(f"{self.name}: {key} has come back from the dead")
        if self._known.get(key, "") not in ("", uid):
            self._gone.add(self._known[key])
        self._known[key] = uid
        take_in(self.queue, key, news)

    async def _reconcile(self, key: Key) -> Outcome:
        if key in self._working:
            self._wrong(f"{self.name}: {key} is in two workers")
        self._working.add(key)
        self._current.set(self.cache.resource(key))
        try:
            return await self._reconciler.reconcile(key)
        except (ApiError, NotLeader):
            raise
        except Exception as mistake:
            self._wrong(f"{self.name}: {key}: {mistake!r}")
            raise
        finally:
            self._working.discard(key)

    def _sending(self, method: str, path: str, body: Any) -> None:
        """Nothing is written for a resource that was known to be gone when this reconcile began, or by two at a time."""
        asked = Request.of(method, path, body)
        if method == "GET" or asked.place.namespace == LEASES:
            return
        leaders = [operator.name for operator in self._everyone() if operator.leads]
        if leaders != [self.name]:
            self._wrong(f"{self.name} sends {method} {path} while {leaders} lead")
        if method == "PATCH" and asked.place.kind.name in CHILD_KINDS:
            resource = self._current.get()
            (owner,) = body["metadata"]["ownerReferences"]
            if resource is None or resource.deleting or resource.uid != owner["uid"]:
                self._wrong(f"{self.name} writes {asked.place.text} for a resource that it knew to be gone")


async def watch_resources(cluster: Cluster, cache: Cache) -> None:
    """kopf's watch of ModelDeployments: what a re-list does not show any more is never told (docs of the design)."""
    version: str | None = None
    while True:
        try:
            if version is None:
                async with aclosing(cluster.pages(MODEL_DEPLOYMENT, None, "")) as pages:
                    async for page in pages:
                        for item in page.items:
                            cache.put_resource(project_resource(item))
                        version = page.resource_version
            assert version is not None
            async with aclosing(cluster.events(MODEL_DEPLOYMENT, None, "", version)) as events:
                async for event in events:
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        _seen(cache, event["type"], project_resource(event["object"]))
        except Gone:
            version = None
        except (ApiError, TimeoutError):
            await asyncio.sleep(1.0)


def _seen(cache: Cache, what: str, resource: Resource) -> None:
    if what == "DELETED":
        cache.drop_resource((resource.namespace, resource.name), resource.resource_version)
    else:
        cache.put_resource(resource)

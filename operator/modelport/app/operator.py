"""Puts the pieces together, starts them in order and ends them in order. It must never do any of their work.

Whoever does not hold the Lease watches and caches too, so that taking over costs nothing; only writes wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid
from dataclasses import dataclass
from functools import partial

from modelport.api import names
from modelport.app import heap, watching
from modelport.app.debug import DebugServer, Inspector
from modelport.app.history import History
from modelport.app.http import HealthServer
from modelport.app.metrics import Metrics
from modelport.app.scope import Scope, Shard
from modelport.app.settings import Settings
from modelport.asking.parent import Asking
from modelport.control.apply import Applier
from modelport.control.cache import Cache, News
from modelport.control.evidence import Evidence
from modelport.control.presence import Presence
from modelport.control.publish import Publisher
from modelport.control.quarantine import Quarantine
from modelport.control.questions import Questions
from modelport.control.queue import Lane, WorkQueue
from modelport.control.reconcile import Reconciler
from modelport.control.resync import Resync
from modelport.control.rollouts import Rollouts
from modelport.control.worker import Workers
from modelport.kube.client import ApiCluster
from modelport.kube.connection import Connection, own_namespace
from modelport.kube.errors import ApiError
from modelport.kube.events import Recorder
from modelport.kube.kinds import WATCHED
from modelport.kube.lease import ApiLeases, Elector
from modelport.kube.pace import Pace
from modelport.kube.transport import Transport
from modelport.kube.watch import Watch
from modelport.state.observed import Key
from modelport.state.project import project_child

logger = logging.getLogger(__name__)

COALESCE = {News.RESOURCE: 0.0, News.READINESS: 0.01, News.CHILD: 0.1}
"""Seconds that a change waits for the others of the same roll-out."""
FINISH_WITHIN, FLUSH_WITHIN = 10.0, 2.0
_CRD_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """How this process is run, beyond the settings that all share."""

    settings: Settings
    kubeconfig: str | None
    port: int
    debug_port: int
    shard: Shard | None = None


def identity() -> str:
    """Who holds the Lease. A container that was restarted in its pod is the same holder, and need not wait for itself."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def take_in(queue: WorkQueue, key: Key, news: News) -> None:
    """What the cache tells becomes work: at once for users, together with what follows for children."""
    queue.add(key, after=COALESCE[news], lane=Lane.READINESS if news is News.READINESS else Lane.CHANGE)


class Operator:
    """One process of the operator."""

    def __init__(self, options: Options, connection: Connection) -> None:
        settings = options.settings
        self._connection = connection
        self._scope = Scope(settings.namespaces, options.shard)
        self.metrics = Metrics()
        self.queue = WorkQueue()
        self.cache = Cache(partial(take_in, self.queue))
        pace = Pace(settings.writes.per_second, settings.writes.burst, self.metrics.throttled)
        self._transport = Transport(connection, self.metrics.request, pace)
        lease_in = settings.lease.namespace or own_namespace() or "default"
        self.elector = Elector(
            ApiLeases(self._transport, lease_in, self._scope.lease_name(settings.lease.name)), identity()
        )
        cluster = ApiCluster(self._transport, self.elector.check, self._scope.covers)
        self._asking = Asking()
        self._questions = Questions(self._asking, settings.door.mode, self._answered, self.metrics)
        self._recorder = Recorder(cluster, identity(), busy=lambda: self.queue.depth > 0)
        publisher = Publisher(cluster, self.cache, self._recorder)
        reconciler = Reconciler(
            self.cache,
            settings.platform(),
            applier=Applier(cluster, self.cache, self.metrics),
            presence=Presence(cluster, self.cache, self.metrics),
            rollouts=Rollouts(cluster, self.cache),
            evidence=Evidence(cluster, settings.diagnosis.read_logs),
            questions=self._questions,
            publisher=publisher,
        )
        history = History(reconciler.reconcile)
        quarantine = Quarantine(history.reconcile, self.cache, publisher)
        self._workers = Workers(self.queue, quarantine.reconcile, self.metrics, settings.workers)
        self._resync = Resync(cluster, self.cache, self.queue, self.metrics, self._scope.namespaces)
        self._watches = {
            f"watch of {kind.plural} in {namespace or 'all namespaces'}": Watch(
                cluster, kind, namespace, project_child, self.cache, self.metrics.reconnected
            )
            for kind in WATCHED
            for namespace in self._scope.watched
        }
        self.metrics.show(
            self.cache, self.queue, self.elector.leading.is_set, per_resource=settings.metrics.per_resource
        )
        self._health = HealthServer(self.metrics.text, self._ready, options.port)
        self._inspector = Inspector(
            self.cache, self.queue, reconciler, history, self._scope, self.elector.leading.is_set, self._ready
        )
        self._debug = DebugServer(self._inspector, options.debug_port)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. A lost Lease ends the process at once: another one may be writing already."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)  # until kopf puts its own in their place
        loop.add_signal_handler(signal.SIGUSR1, self._inspector.dump)
        await self._health.start()
        await self._debug.start()
        tasks = [asyncio.create_task(watch.run(), name=name) for name, watch in self._watches.items()]
        tasks += [
            asyncio.create_task(self._lead(), name="lead"),
            asyncio.create_task(self._resync.run(), name="resync"),
            asyncio.create_task(self._asking.run(), name="asking"),
            asyncio.create_task(self._recorder.run(), name="events"),
            asyncio.create_task(heap.give_back(), name="heap"),
        ]
        for task in tasks:
            task.add_done_callback(self._died)
        self._workers.start(self._may_work(), self._died)
        try:
            await self._resources_known()
            if not self._stop.is_set():
                await watching.watch(self.cache, self._connection, self._scope)
        finally:
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop taking, finish what has begun, give the Lease back, close."""
        self._stop.set()
        self.queue.close()
        await self._workers.stop(FINISH_WITHIN)
        for task in tasks:
            task.remove_done_callback(self._died)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._recorder.flush(FLUSH_WITHIN)
        await self.elector.release()
        await self._questions.close()
        await self._debug.close()
        await self._health.close()
        await self._transport.close()

    async def _lead(self) -> None:
        """Keep the Lease; when it is lost, end at once."""
        await self.elector.run()
        logging.shutdown()
        os._exit(1)

    async def _may_work(self) -> None:
        """Wait until the Lease is ours and the cache is full."""
        await self.elector.leading.wait()
        for watch in self._watches.values():
            await watch.synced.wait()
        logger.info("leading; serving %s", self._scope)

    async def _resources_known(self) -> None:
        """kopf gives up on a kind that is not served when it starts: wait for the CRD."""
        path = f"/apis/{names.API_VERSION}"
        while not self._stop.is_set():
            try:
                served = await self._transport.request("GET", path, verb="get", resource="apiresources")
                if any(resource["name"] == names.PLURAL for resource in served["resources"]):
                    return
            except ApiError as problem:
                logger.warning("%s is not served: %s", path, problem)
            await asyncio.sleep(_CRD_EVERY)

    def _answered(self, key: Key) -> None:
        self.queue.add(key, lane=Lane.READINESS)

    def _ready(self) -> bool:
        return not self._stop.is_set() and all(watch.synced.is_set() for watch in self._watches.values())

    def _died(self, task: asyncio.Task[None]) -> None:
        """A task that runs for ever has ended: so does the process, which is then started anew."""
        if not task.cancelled():
            logger.critical("%s ended", task.get_name(), exc_info=task.exception())
            logging.shutdown()
            os._exit(1)

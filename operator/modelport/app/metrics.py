"""What the operator counts about itself, for Prometheus. It must never use a resource's name as a label."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from modelport.control.cache import Cache
from modelport.control.queue import WorkQueue

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Metrics:
    """Counters and histograms; the meter of control and the count of kube."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = self._counter("reconciles", "Reconciles that ended.", ("result", "reason"))
        self._seconds = Histogram(
            "modelport_reconcile_duration_seconds",
            "Time that reconciles took.",
            ("result",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._retries = self._counter("queue_retries", "Reconciles that failed and are tried again.", ())
        self._requests = self._counter("api_requests", "Requests to the API server.", ("verb", "resource", "code"))
        self._reconnects = self._counter("watch_reconnects", "Watches that broke off.", ("kind", "cause"))
        self._ghosts = self._counter("ghosts", "Resources whose deletion no watch had told.", ())
        self._drift = self._counter("drift_repaired", "Children put right after others had changed them.", ("kind",))
        self._questions = self._counter("questions", "Questions asked through Services.", ("result",))

    def watch_state(self, cache: Cache, queue: WorkQueue, leading: Callable[[], bool]) -> None:
        """Show what cache, queue and elector hold whenever somebody looks."""
        self.registry.register(_State(cache, queue, leading))

    def _counter(self, name: str, help_: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"modelport_{name}", help_, labels, registry=self.registry)

    def reconciled(self, result: str, reason: str, seconds: float) -> None:
        self._reconciles.labels(result, reason).inc()
        self._seconds.labels(result).observe(seconds)

    def retried(self) -> None:
        self._retries.inc()

    def drift_repaired(self, kind: str) -> None:
        self._drift.labels(kind).inc()

    def ghost(self) -> None:
        self._ghosts.inc()

    def asked(self, result: str) -> None:
        self._questions.labels(result).inc()

    def request(self, verb: str, resource: str, code: int) -> None:
        """One answered request; code 0 is no answer."""
        self._requests.labels(verb, resource, str(code)).inc()

    def reconnected(self, kind: str, cause: str) -> None:
        """A watch broke off: silent, gone or failed."""
        self._reconnects.labels(kind, cause).inc()


class _State(Collector):
    """Gauges that are computed when they are read."""

    def __init__(self, cache: Cache, queue: WorkQueue, leading: Callable[[], bool]) -> None:
        self._cache, self._queue, self._leading = cache, queue, leading

    def collect(self) -> Iterable[GaugeMetricFamily]:
        queue = self._queue
        yield _gauge("queue_depth", "Resources that are due and wait for a worker.", queue.depth)
        yield _gauge("queue_age_seconds", "How long the oldest of them has waited.", queue.age)
        yield _gauge("queue_failing", "Resources whose last reconcile failed.", queue.failing)
        yield _gauge("leader", "1 while this process holds the Lease.", float(self._leading()))
        phases = GaugeMetricFamily("modelport_resources", "ModelDeployments by status word.", labels=["phase"])
        for phase, number in Tally(str(r.status.get("phase") or "") for r in self._cache.resources()).items():
            phases.add_metric([phase], number)
        yield phases
        cached = GaugeMetricFamily("modelport_cached_objects", "Objects in the cache.", labels=["kind"])
        for kind, number in self._cache.counts().items():
            cached.add_metric([kind], number)
        yield cached


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"modelport_{name}", help_, value)

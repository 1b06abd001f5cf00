"""What the operator counts about itself, for Prometheus. It must never use a resource's name as a label, except in the
lines that the setting metrics.perResource asks for.

What is counted in the hot path costs half a microsecond: `labels` looks a child up once for each set of values.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modelport.api.names import ConditionType, Reason
from modelport.app import metrics_table as table
from modelport.app.metrics_table import Metric
from modelport.control.cache import Cache
from modelport.control.queue import WorkQueue
from modelport.render.platform import VERSION
from modelport.state.observed import Resource
from modelport.state.past import condition

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_UNKNOWN = "Unknown"
_PHASES = dict.fromkeys((*map(str, Reason), _UNKNOWN), 0)


class Metrics:
    """Counters and histograms; the meter of control, and what kube tells of requests, watches and waiting."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one series more for each counter, which nobody reads
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._reconciles = cache(self._counter(table.RECONCILES).labels)
        self._durations = cache(self._histogram(table.DURATION).labels)
        self._retries = self._counter(table.QUEUE_RETRIES)
        self._requests = cache(self._counter(table.API_REQUESTS).labels)
        self._request_seconds = cache(self._histogram(table.API_SECONDS).labels)
        self._throttled = self._counter(table.API_THROTTLED)
        self._reconnects = self._counter(table.WATCH_RECONNECTS)
        self._ghosts = self._counter(table.GHOSTS)
        self._drift = self._counter(table.DRIFT)
        self._questions = self._counter(table.QUESTIONS)
        self._named: Callable[[], str] = str

    def show(self, cache: Cache, queue: WorkQueue, leading: Callable[[], bool], *, per_resource: bool) -> None:
        """Tell what cache, queue and elector hold whenever somebody looks; of each resource only if asked to."""
        self._registry.register(_State(cache, queue, leading))
        if per_resource:
            self._named = lambda: "".join(_named(cache.resources()))

    def text(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self._registry) + self._named().encode()

    def reconciled(self, result: str, reason: str, seconds: float) -> None:
        self._reconciles(result, reason).inc()
        self._durations(result, reason).observe(seconds)

    def retried(self) -> None:
        self._retries.inc()

    def drift_repaired(self, kind: str) -> None:
        self._drift.labels(kind).inc()

    def ghost(self) -> None:
        self._ghosts.inc()

    def asked(self, result: str) -> None:
        self._questions.labels(result).inc()

    def request(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One answered request; code 0 is no answer."""
        self._requests(verb, resource, code).inc()
        self._request_seconds(verb).observe(seconds)

    def throttled(self, seconds: float) -> None:
        """A write waits so long for its turn."""
        self._throttled.inc(seconds)

    def reconnected(self, kind: str, cause: str) -> None:
        """A watch broke off: silent, gone or failed."""
        self._reconnects.labels(kind, cause).inc()

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, registry=self._registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.meaning, metric.labels, registry=self._registry, buckets=_SECONDS)


class _State(Collector):
    """Gauges that are computed when they are read."""

    def __init__(self, cache: Cache, queue: WorkQueue, leading: Callable[[], bool]) -> None:
        self._cache, self._queue, self._leading = cache, queue, leading

    def collect(self) -> Iterable[GaugeMetricFamily]:
        queue = self._queue
        yield _gauge(table.QUEUE_DEPTH, {(): queue.depth})
        yield _gauge(table.QUEUE_AGE, {(): queue.age})
        yield _gauge(table.QUEUE_FAILING, {(): queue.failing})
        yield _gauge(table.LEADER, {(): self._leading()})
        phases = _PHASES | Tally(map(_phase, self._cache.resources()))
        yield _gauge(table.RESOURCES, {(phase,): number for phase, number in phases.items()})
        yield _gauge(table.CACHED, {(kind,): number for kind, number in self._cache.counts().items()})
        yield _gauge(table.BUILD, {(VERSION,): 1})


def _gauge(metric: Metric, values: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def _phase(resource: Resource) -> str:
    """Its status word; one that is none of ours would be a label that others make up."""
    phase = resource.status.get("phase")
    return phase if phase in _PHASES else _UNKNOWN


def _named(resources: Iterator[Resource]) -> Iterator[str]:
    """The lines that carry names, as text at once: the client library takes twenty times as long for thousands of them,
    in which no worker gets on. Namespaces, names and runtimes hold nothing that had to be quoted."""
    seen = tuple(resources)
    yield _head(table.RESOURCE_INFO)
    for one in seen:
        at = f'namespace="{one.namespace}",name="{one.name}"'
        yield f'{table.RESOURCE_INFO.name}{{{at},runtime="{one.spec.get("runtime")}",phase="{_phase(one)}"}} 1\n'
    yield _head(table.RESOURCE_READY)
    for one in seen:
        yield f'{table.RESOURCE_READY.name}{{namespace="{one.namespace}",name="{one.name}"}} {_ready(one):d}\n'


def _head(metric: Metric) -> str:
    return f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.type}\n"


def _ready(resource: Resource) -> bool:
    ready = condition(resource.status, ConditionType.READY)
    return ready.get("status") == "True" and ready.get("observedGeneration") == resource.generation

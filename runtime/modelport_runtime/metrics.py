"""The Prometheus metrics of the served application, and the text that /metrics on the management port gives.

Series are bounded: no label carries a path or anything else that a client chooses. Our metrics live in a registry of
their own, so an application may register the same names in the default one; where it does, ours are shown here and the
application's stay on its own route, because one page must not carry two families of one name. Must never touch the
application's registry.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics(Collector):
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "model_requests_total",
            "Requests answered, by method and HTTP status.",
            ["method", "status"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "model_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its answer.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "model_requests_in_progress",
            "Requests (and open WebSockets) being worked on now.",
            registry=self.registry,
        )

    def finished(self, method: str, status: int, seconds: float) -> None:
        self.requests.labels(method if method in METHODS else "OTHER", str(status)).inc()
        self.duration.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        ours = list(self.registry.collect())
        yield from ours
        taken = {family.name for family in ours}
        yield from (family for family in REGISTRY.collect() if family.name not in taken)

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the format that the scraper asked for."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type

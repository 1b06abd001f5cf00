"""Every metric that the operator exposes, with what it means and what to do: the table behind /metrics and docs/metrics.md.

Data only. A label must never take a value that users make up, except where `metrics.perResource` is on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    meaning: str
    advice: str
    labels: tuple[str, ...] = ()
    per_resource: bool = False
    """Only where the setting metrics.perResource is on: one series or more for each ModelDeployment."""


RECONCILES = Metric(
    "modelport_reconciles_total",
    "counter",
    "Reconciles that ended, by result (done, waiting, settling, gone, failed) and by the reason in the status.",
    "`failed` that goes on rising: the log says why, each with its resource. `waiting` is an obstacle that the status names.",
    ("result", "reason"),
)
DURATION = Metric(
    "modelport_reconcile_duration_seconds",
    "histogram",
    "Time that reconciles took, writes and the wait for the write limit included.",
    "Above a second as a rule: look at modelport_api_request_duration_seconds and modelport_api_throttled_seconds_total.",
    ("result", "reason"),
)
QUEUE_DEPTH = Metric(
    "modelport_queue_depth",
    "gauge",
    "Resources that are due and wait for a worker.",
    "A roll-out of many models fills it for a while. If it does not fall: more `workers`, or shards.",
)
QUEUE_AGE = Metric(
    "modelport_queue_age_seconds",
    "gauge",
    "How long the oldest resource in the queue has waited.",
    "Users wait so long. On a standby it is what is left to do after a change of leader, and no trouble.",
)
QUEUE_FAILING = Metric(
    "modelport_queue_failing",
    "gauge",
    "Resources whose last reconcile failed or met an obstacle; each is tried again after 1 to 300 seconds.",
    "Look at the status of the resources that are not Ready, and at warnings in the log.",
)
QUEUE_RETRIES = Metric(
    "modelport_queue_retries_total",
    "counter",
    "Reconciles that failed and are tried again.",
    "A few after an API server's restart are normal. If it goes on rising, read the warnings in the log.",
)
API_REQUESTS = Metric(
    "modelport_api_requests_total",
    "counter",
    "Requests to the API server, Leases included, kopf's watch of ModelDeployments apart; code 0: no answer came.",
    "403: grant what the message in log or status names. 429 and 5xx: the API server is overloaded. 0: network.",
    ("verb", "resource", "code"),
)
API_SECONDS = Metric(
    "modelport_api_request_duration_seconds",
    "histogram",
    "Time until the API server answered a request, each try by itself; of a watch, until it began.",
    "If writes take long, so does etcd or an admission webhook: the API server's own metrics say which.",
    ("verb",),
)
API_THROTTLED = Metric(
    "modelport_api_throttled_seconds_total",
    "counter",
    "Time that writes waited for the limit on writes, or because the API server had asked for a pause (Retry-After).",
    "Some at a start or a change of everything is as intended. If it rises all the time, find who keeps changing things.",
)
WATCH_RECONNECTS = Metric(
    "modelport_watch_reconnects_total",
    "counter",
    "Watches of children that broke off, by cause: gone (410: lists anew), silent (nothing for 75 s), failed.",
    "Now and then is normal. `silent` again and again: something between operator and API server drops idle connections.",
    ("kind", "cause"),
)
GHOSTS = Metric(
    "modelport_ghosts_total",
    "counter",
    "ModelDeployments that were gone without a watch having told, found by the comparison every ten minutes or by a read.",
    "Nothing is left behind. More than now and then: connections to the API server break, see modelport_watch_reconnects_total.",
)
DRIFT = Metric(
    "modelport_drift_repaired_total",
    "counter",
    "Children put right after somebody had changed what Modelport applied.",
    "If it rises all the time, another controller fights: after three repairs in ten minutes the resource says FieldConflict.",
    ("kind",),
)
QUESTIONS = Metric(
    "modelport_questions_total",
    "counter",
    "Questions asked through Services: Answered, AuthRequired (the door was reached), Wrong, Unreachable.",
    "Only Unreachable while models are Ready: the operator cannot reach the Services (NetworkPolicy, mesh); see `door.mode`.",
    ("result",),
)
LEADER = Metric(
    "modelport_leader",
    "gauge",
    "1 while this process holds the Lease and writes, 0 on a standby.",
    "The sum over the pods of an installation or shard is 1. 0 for longer than 30 s: nobody works; read the log of all pods.",
)
RESOURCES = Metric(
    "modelport_resources",
    "gauge",
    "ModelDeployments by status word (docs/reasons.md); Unknown: without a status yet.",
    "`kubectl get mdep -A` shows which they are; the status of each says what to do.",
    ("phase",),
)
CACHED = Metric(
    "modelport_cached_objects",
    "gauge",
    "Objects that are remembered, as short projections: ModelDeployments and what carries their label.",
    "Memory grows with it. A kind that stays at 0 although there are such objects: its watch does not work, see the log.",
    ("kind",),
)
BUILD = Metric(
    "modelport_build_info",
    "gauge",
    "Always 1; the label is the operator's version.",
    "More than one version for longer than a roll-out takes: an upgrade is stuck.",
    ("version",),
)
RESOURCE_INFO = Metric(
    "modelport_resource_info",
    "gauge",
    "Always 1: runtime and status word of each ModelDeployment.",
    "To join with modelport_resource_ready. Two series for each resource: leave it off where there are thousands.",
    ("namespace", "name", "runtime", "phase"),
    per_resource=True,
)
RESOURCE_READY = Metric(
    "modelport_resource_ready",
    "gauge",
    "1 while the condition Ready of the ModelDeployment is True and about its spec as it is.",
    "0 for longer than its model takes to load: `kubectl describe mdep NAME`.",
    ("namespace", "name"),
    per_resource=True,
)
PROCESS = (
    Metric(
        "process_cpu_seconds_total",
        "counter",
        "CPU time of the operator's process; the process that asks the models is counted apart, by the container's metrics.",
        "See docs/operations.md for what to expect at which size.",
    ),
    Metric(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the operator's process.",
        "Near the container's limit: raise `resources.limits.memory`.",
    ),
    Metric(
        "process_virtual_memory_bytes",
        "gauge",
        "Address space of the operator's process.",
        "Nothing: it says little.",
    ),
    Metric(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since 1970.",
        "Changes often: it restarts; `kubectl describe pod` and the log of the previous container say why.",
    ),
    Metric(
        "process_open_fds",
        "gauge",
        "Open file descriptors.",
        "If it rises without end, that is a mistake of ours: report it with a dump (docs/operations.md).",
    ),
    Metric(
        "process_max_fds",
        "gauge",
        "Limit of file descriptors.",
        "Nothing.",
    ),
)

TABLE: tuple[Metric, ...] = (
    RECONCILES,
    DURATION,
    QUEUE_DEPTH,
    QUEUE_AGE,
    QUEUE_FAILING,
    QUEUE_RETRIES,
    API_REQUESTS,
    API_SECONDS,
    API_THROTTLED,
    WATCH_RECONNECTS,
    GHOSTS,
    DRIFT,
    QUESTIONS,
    LEADER,
    RESOURCES,
    CACHED,
    BUILD,
    RESOURCE_INFO,
    RESOURCE_READY,
    *PROCESS,
)
"""Every metric, in the order of the page."""


def page() -> str:
    """docs/metrics.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "<!-- Generated by `make generate` from operator/modelport/app/metrics_table.py. Do not edit. -->"
    yield ""
    yield "What `/metrics` on port 8080 shows. Reasons and phases are the words of [reasons.md](reasons.md), so the number of series"
    yield "does not grow with the number of ModelDeployments, except where the chart's value `metrics.perResource` is true: only then"
    yield "the two metrics marked with * are there. Alerts: [operations.md](operations.md#alerts)."
    yield ""
    yield "| Metric | Type | Labels | What it means | What to do |"
    yield "|---|---|---|---|---|"
    for metric in TABLE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        star = " *" if metric.per_resource else ""
        yield f"| `{metric.name}`{star} | {metric.type} | {labels} | {metric.meaning} | {metric.advice} |"

"""The metrics: each is in the table, none carries a name unless it is asked for, and reading them is cheap."""

from __future__ import annotations

import re
from pathlib import Path

from modelport.api.names import Reason
from modelport.app import generate, metrics_table
from modelport.app.metrics import Metrics
from modelport.control.cache import Cache
from modelport.control.queue import WorkQueue
from modelport.state.observed import Resource

ROOT = Path(__file__).parents[2]


def exposed(text: str) -> dict[str, str]:
    """Name -> type."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def series(text: str, name: str) -> dict[str, float]:
    """Labels as they are written -> value."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def resource(number: int, phase: str | None = "Ready", generation: int = 2) -> Resource:
    condition = {"type": "Ready", "status": "True", "observedGeneration": 2}
    status = {} if phase is None else {"phase": phase, "conditions": [condition]}
    return Resource(
        "models", f"m{number}", f"uid-{number}", generation, str(number + 1), False, False, {"runtime": "vllm"}, status
    )


def metrics(*resources: Resource, per_resource: bool = False) -> Metrics:
    """Of an operator with these in its cache that has done each countable thing once."""
    cache = Cache()
    for one in resources:
        cache.put_resource(one)
    counted = Metrics()
    counted.show(cache, WorkQueue(), lambda: True, per_resource=per_resource)
    counted.reconciled("done", "Ready", 0.02)
    counted.retried()
    counted.drift_repaired("Service")
    counted.ghost()
    counted.asked("Answered")
    counted.request("apply", "deployments", 200, 0.01)
    counted.throttled(1.5)
    counted.reconnected("Pod", "gone")
    return counted


def test_every_metric_is_in_the_table_with_its_type_and_labels() -> None:
    text = metrics(resource(1), per_resource=True).text().decode()
    assert exposed(text) == {metric.name: metric.type for metric in metrics_table.TABLE}
    for metric in metrics_table.TABLE:
        suffix = "_count" if metric.type == "histogram" else ""
        found = series(text, metric.name + suffix)
        assert found, metric.name
        for labels in found:
            assert sorted(re.findall(r'(\w+)="', labels)) == sorted(metric.labels), metric.name


def test_the_page_is_as_generated() -> None:
    assert (ROOT / generate.PAGE).read_text() == metrics_table.page()


def test_names_follow_prometheus_conventions() -> None:
    for metric in metrics_table.TABLE:
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert not re.search("milli|micro|kib|mib", metric.name), metric.name
        assert metric.meaning.endswith(".") and metric.advice.endswith("."), metric.name


def test_no_name_is_shown_unless_it_is_asked_for() -> None:
    quiet = metrics(resource(7)).text().decode()
    assert '"m7"' not in quiet and "modelport_resource_info" not in quiet
    told = metrics(resource(7), resource(8, "Loading", generation=3), per_resource=True).text().decode()
    assert series(told, "modelport_resource_ready") == {
        'namespace="models",name="m7"': 1.0,
        'namespace="models",name="m8"': 0.0,
    }
    assert 'namespace="models",name="m8",runtime="vllm",phase="Loading"' in series(told, "modelport_resource_info")


def test_the_number_of_series_does_not_depend_on_what_others_write_into_a_status() -> None:
    text = metrics(resource(1), resource(2, None), resource(3, "made-up"), resource(4, 'a"b')).text().decode()
    phases = series(text, "modelport_resources")
    assert set(phases) == {f'phase="{reason}"' for reason in [*Reason, "Unknown"]}
    assert (phases['phase="Ready"'], phases['phase="Unknown"']) == (1, 3)


def test_what_was_counted_is_shown() -> None:
    text = metrics().text().decode()
    assert series(text, "modelport_reconciles_total") == {'reason="Ready",result="done"': 1.0}
    assert series(text, "modelport_api_requests_total") == {'code="200",resource="deployments",verb="apply"': 1.0}
    assert series(text, "modelport_api_throttled_seconds_total") == {"": 1.5}
    assert series(text, "modelport_leader") == {"": 1.0}


def test_thousands_of_resources_add_no_series() -> None:
    few, many = (metrics(*map(resource, range(number))).text().count(b"\n") for number in (1, 5000))
    assert few == many

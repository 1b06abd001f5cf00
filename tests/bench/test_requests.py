"""What is counted of an audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.bench.requests import PLAYER, AuditLog, Request, Tally, children_written, latencies, parse, quantile, tally

US = "system:serviceaccount:default:modelport"
MDEPS = "modeldeployments"


def line(verb: str, resource: str, *, user: str = US, code: int = 200, uri: str = "/x", **target: Any) -> bytes:
    event = {
        "verb": verb,
        "user": {"username": user},
        "requestURI": uri,
        "objectRef": {"resource": resource, "name": "a", **target},
        "responseStatus": {"code": code},
        "stageTimestamp": "2026-01-01T00:00:01.250000Z",
    }
    return json.dumps(event).encode() + b"\n"


def request(verb: str, resource: str, at: float, *, user: str = US, name: str = "a", code: int = 200) -> Request:
    return Request(user, verb, resource, name, code, at, dry_run=False)


def test_requests_by_kind_without_leases_events_and_others() -> None:
    lines = [
        line("patch", "deployments", code=201),
        line("patch", MDEPS, subresource="status"),
        line("patch", "services", uri="/x?dryRun=All"),
        line("patch", "services", code=409),
        line("get", "services"),
        line("list", "pods"),
        line("watch", "pods"),
        line("update", "leases"),
        line("create", "events"),
        line("get", ""),
        line("patch", "pods", user="somebody"),
    ]
    assert tally(parse(lines, frozenset([US])), US) == Tally(writes=3, gets=1, lists=2, dry_runs=1, refused=1)


def test_a_look_gives_what_is_new_and_leaves_half_a_line_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    first, second = line("get", "pods"), line("list", "pods")
    path.write_bytes(first + second[:20])
    log = AuditLog(path, [US])
    assert [one.verb for one in log.news()] == ["get"]
    assert log.news() == []
    path.write_bytes(first + second)
    assert [one.verb for one in log.news()] == ["list"]


def test_children_are_what_is_written_beside_the_resource_itself() -> None:
    requests = [
        request("patch", "services", 1.0, code=201),
        request("patch", "deployments", 2.0),
        request("patch", f"{MDEPS}/status", 3.0),
        request("patch", "deployments", 4.0, code=409),
        request("create", "pods", 5.0, user=PLAYER, code=201),
    ]
    assert children_written(requests, US, MDEPS, created=True) == [1.0]
    assert children_written(requests, US, MDEPS, created=False) == [1.0, 2.0]


def test_latency_is_from_the_players_last_word_to_the_status_that_the_driver_saw() -> None:
    requests = [
        request("patch", f"{MDEPS}/status", 1.0),  # Creating
        request("patch", "deployments/status", 2.0, user=PLAYER),
        request("patch", f"{MDEPS}/status", 2.5),  # Ready
        request("patch", f"{MDEPS}/status", 9.0),  # counts, long after
        request("patch", "deployments/status", 2.0, user=PLAYER, name="never"),
    ]
    assert latencies(requests, US, MDEPS, {"a": 2.49}) == {"a": 0.5}


def test_quantiles() -> None:
    values = [float(value) for value in range(100)]
    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile([7.0], 0.99) == 7
    assert quantile([], 0.5) is None

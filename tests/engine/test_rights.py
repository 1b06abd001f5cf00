"""The operator does all that it does with the rights that the chart gives it: every test of this folder runs with them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.harness import USER, Engine, until
from tests.engine.test_counts import config_map

pytestmark = pytest.mark.apiserver

MOUNTING = {"ready": False, "started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
CRASHED = {
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
}


def done(engine: Engine) -> dict[str, set[int]]:
    """verb group/resource/subresource -> the answers that the operator got, in the test's namespace or for the namespace."""
    answers: dict[str, set[int]] = {}
    for event in engine.plane.audit_events():
        if event.user == USER and engine.namespace in (event.namespace, event.name):
            what = "/".join(part for part in (event.group, event.resource, event.subresource) if part)
            answers.setdefault(f"{event.verb} {what}", set()).add(event.code)
    return answers


def mounting(engine: Engine, name: str) -> dict[str, Any]:
    """Every container of the pod waits for its volumes."""
    spec = engine.items("deployments", name)[0]["spec"]["template"]["spec"]
    return {one["name"]: MOUNTING for one in [*spec.get("initContainers", []), *spec["containers"]]}


def test_nothing_that_it_does_is_forbidden(engine: Engine) -> None:
    engine.apply("alpha", check={"timeout": "10s"})
    engine.until_ready("alpha")
    until("an Event", engine.events)
    first = config_map(engine, "alpha")
    engine.apply("alpha", check={"timeout": "20s"})
    engine.until_ready("alpha")
    (old,) = [s for s in engine.items("replicasets", "alpha") if first in str(s["spec"])]
    engine.api.request("DELETE", engine.path("replicasets", old["metadata"]["name"]))
    until("the old ConfigMap is deleted", lambda: len(engine.items("configmaps", "alpha")) == 1)
    engine.merge(engine.path("deployments", "alpha"), {"metadata": {"labels": {"modelport.io/role": "theirs"}}})
    until("repaired", lambda: "theirs" not in str((engine.find(engine.path("deployments", "alpha")) or {})["metadata"]))
    engine.api.request("DELETE", engine.path("services", "alpha"))
    until("made anew", lambda: engine.find(engine.path("services", "alpha")))
    foreign = {"metadata": {"name": "taken"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}}}
    engine.api.create(engine.path("services"), foreign)
    for name in ("taken", "crashes", "mounts"):
        engine.apply(name)
    until("all pods", lambda: engine.items("pods", "crashes") and engine.items("pods", "mounts"))
    engine.play("crashes", {"containers": {"server": CRASHED}})
    engine.play("mounts", {"containers": mounting(engine, "mounts")})
    until("a log and Events are read", lambda: {"get pods/log", "list events.k8s.io/events"} <= done(engine).keys())
    answers = done(engine)
    assert answers.keys() >= {
        "get coordination.k8s.io/leases",
        "create coordination.k8s.io/leases",
        "update coordination.k8s.io/leases",
        "list modelport.io/modeldeployments",
        "get modelport.io/modeldeployments",
        "patch modelport.io/modeldeployments/status",
        "patch apps/deployments",
        "patch services",
        "patch configmaps",
        "delete configmaps",
        "get services",
        "get namespaces",
        "create events.k8s.io/events",
    }
    assert {what: codes for what, codes in answers.items() if 403 in codes} == {}

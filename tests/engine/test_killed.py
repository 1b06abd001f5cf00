"""SIGKILL, and what happens while no operator is there. Every single write of it: tests/faults/test_killed.py."""

from __future__ import annotations

import pytest

from tests.engine.harness import Engine, until

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

KINDS = ("configmaps", "deployments", "services")


def test_while_the_garbage_collector_works(engine: Engine) -> None:
    for name in ("alpha", "beta"):
        engine.apply(name)
    engine.until_ready("alpha", "beta")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": ["example.com/hold"]}})
    for name in ("alpha", "beta"):
        engine.api.request("DELETE", f"{engine.at}/{name}")
    until("the Deployments are gone", lambda: not engine.items("deployments"))
    (service,) = until("one Service is held", lambda: len(found := engine.items("services")) == 1 and found)
    assert "deletionTimestamp" in service["metadata"]
    engine.operator.kill()
    engine.forget()
    engine.operator.start()
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": None}})
    until("all is gone", lambda: not any(engine.items(kind) for kind in (*KINDS, "replicasets", "pods")))
    assert engine.writes() == []


def test_made_anew_under_the_same_name_while_nobody_looked(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.operator.kill()
    engine.api.request("DELETE", f"{engine.at}/alpha")
    engine.apply("alpha", vllm={"maxModelLen": 512})
    engine.operator.start()
    engine.until_ready("alpha")
    (deployment,) = engine.items("deployments")
    assert "512" in str(deployment["spec"]["template"])

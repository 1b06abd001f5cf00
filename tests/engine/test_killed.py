"""SIGKILL between two writes, then a new process: the end state is the same, and nothing is left over.

The write that was under way when the process was killed reaches the API server late, while the next one works already.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.harness import Engine, until
from tests.engine.proxy import Proxy
from tests.engine.test_counts import config_map

pytestmark = pytest.mark.apiserver

KINDS = ("configmaps", "deployments", "services")


@pytest.fixture
def proxy(stopped: Engine, tmp_path: Path) -> Iterator[Proxy]:
    """The engine's operator talks to the API server through it."""
    between = Proxy(stopped.plane)
    with between.serving(tmp_path) as kubeconfig:
        stopped.operator.kubeconfig = kubeconfig
        stopped.operator.start()
        yield between
        between.release()
        stopped.operator.stop()


def kill_after(engine: Engine, proxy: Proxy, writes: int) -> list[str]:
    """End it when so many writes were answered and the next one is on its way; they are given back."""
    assert proxy.held.wait(30)
    engine.operator.kill()
    until("the audit log tells of them", lambda: len(engine.writes()) >= writes)
    done = engine.writes()
    proxy.release()
    engine.operator.start()
    return [write.split()[1] for write in done]


def children(engine: Engine) -> dict[str, int]:
    """How many of each kind there are in the namespace."""
    return {kind: len(engine.items(kind)) for kind in KINDS}


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_in_the_middle_of_a_creation(stopped: Engine, proxy: Proxy, writes: int) -> None:
    proxy.hold_after(writes)
    stopped.apply("alpha")
    assert kill_after(stopped, proxy, writes) == ["configmaps", "services", "deployments"][:writes]
    stopped.until_ready("alpha")
    assert children(stopped) == dict.fromkeys(KINDS, 1)


def test_between_the_configuration_and_the_deployment_of_an_edit(stopped: Engine, proxy: Proxy) -> None:
    stopped.apply("alpha", check={"timeout": "10s"})
    stopped.until_ready("alpha")
    first = config_map(stopped, "alpha")
    stopped.forget()
    proxy.hold_after(1)
    stopped.apply("alpha", check={"timeout": "20s"}, vllm={"maxModelLen": 512})
    assert kill_after(stopped, proxy, 1) == ["configmaps"]
    stopped.until_ready("alpha")
    (deployment,) = stopped.items("deployments")
    assert "512" in str(deployment["spec"]["template"])
    (second,) = {item["metadata"]["name"] for item in stopped.items("configmaps")} - {first}
    assert second in str(deployment["spec"]["template"])


@pytest.mark.usefixtures("collected")
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


@pytest.mark.usefixtures("collected")
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

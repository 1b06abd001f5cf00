"""SIGKILL at any moment, then a new process: the end state is the same, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.engine.harness import Engine, until

pytestmark = pytest.mark.apiserver


def children(engine: Engine) -> list[tuple[str, str]]:
    """What there is of the resources in the namespace."""
    kinds = ("configmaps", "deployments", "services")
    return sorted((kind, item["metadata"]["name"]) for kind in kinds for item in engine.items(kind))


@pytest.mark.parametrize("writes", [1, 3, 4])
def test_in_the_middle_of_a_creation(engine: Engine, writes: int) -> None:
    engine.apply("alpha")
    until(f"{writes} writes", lambda: len(engine.writes()) >= writes)
    engine.operator.kill()
    engine.operator.start()
    engine.until_ready("alpha")
    assert [(kind, name) for kind, name in children(engine) if kind != "configmaps"] == [
        ("deployments", "alpha"),
        ("services", "alpha"),
    ]
    assert len(children(engine)) == 3


@pytest.mark.parametrize("writes", [0, 1])
def test_in_the_middle_of_an_edit(engine: Engine, writes: int) -> None:
    engine.apply("alpha", check={"timeout": "10s"})
    engine.until_ready("alpha")
    engine.forget()
    engine.apply("alpha", check={"timeout": "20s"}, vllm={"maxModelLen": 512})
    until(f"{writes} writes", lambda: len(engine.writes()) >= writes)
    engine.operator.kill()
    engine.operator.start()
    engine.until_ready("alpha")
    (deployment,) = engine.items("deployments")
    assert "512" in str(deployment["spec"]["template"])
    used = {volume.get("configMap", {}).get("name") for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert used & {item["metadata"]["name"] for item in engine.items("configmaps")}


@pytest.mark.usefixtures("collected")
def test_in_the_middle_of_a_deletion(engine: Engine) -> None:
    names = [f"model-{number}" for number in range(5)]
    for name in names:
        engine.apply(name)
    engine.until_ready(*names)
    for name in names:
        engine.api.request("DELETE", f"{engine.at}/{name}")
    engine.operator.kill()
    engine.operator.start()
    kinds = ("deployments", "replicasets", "pods", "services", "configmaps")
    until("all is gone", lambda: not any(engine.items(kind) for kind in kinds))


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

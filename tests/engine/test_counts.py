"""What the engine costs the API server, by its audit log."""

from __future__ import annotations

import pytest

from tests.cluster import STRATEGIC
from tests.engine.harness import Engine, steady, until

pytestmark = pytest.mark.apiserver


def test_creation_is_five_writes_no_read_and_at_most_one_event(engine: Engine) -> None:
    engine.apply("the-first")  # after it the asking process has its client library, and no answer takes seconds
    engine.until_ready("the-first")
    steady("requests", lambda: len(engine.requests()))
    engine.forget()
    engine.apply("alpha")
    engine.until_ready("alpha")
    steady("requests", lambda: len(engine.requests()))
    assert engine.writes() == [
        f"patch configmaps {config_map(engine, 'alpha')}",
        "patch services alpha",
        "patch deployments alpha",
        "patch modeldeployments/status alpha",
        "patch modeldeployments/status alpha",
    ]
    assert engine.reads() == []
    assert len(engine.events()) <= 1
    assert engine.door.asked


def test_a_restart_with_nothing_changed_writes_nothing(engine: Engine) -> None:
    names = ("alpha", "beta", "gamma")
    for name in names:
        engine.apply(name)
    engine.until_ready(*names)
    steady("requests", lambda: len(engine.requests()))
    assert engine.operator.stop() == 0
    engine.forget()
    engine.door.asked.clear()
    engine.operator.start()
    until("all have been asked again", lambda: len({path.split("/")[2] for path in engine.door.asked}) == len(names))
    steady("requests", lambda: len(engine.requests()))
    assert engine.requests() == []
    assert engine.events() == []


def test_a_changed_argument_is_one_write_to_a_child(engine: Engine) -> None:
    engine.apply("alpha", vllm={"maxModelLen": 1024})
    engine.until_ready("alpha")
    steady("requests", lambda: len(engine.requests()))
    engine.forget()
    engine.apply("alpha", vllm={"maxModelLen": 2048})
    engine.until_ready("alpha")
    steady("requests", lambda: len(engine.requests()))
    children = [write for write in engine.writes() if "modeldeployments" not in write]
    assert children == ["patch deployments alpha"]
    assert engine.reads() == []


def test_drift_made_while_the_operator_was_down_is_repaired_with_one_write_each(engine: Engine) -> None:
    names = ("image", "variable", "label", "untouched")
    for name in names:
        engine.apply(name, image="docker.io/library/server:1", env=[{"name": "COLOUR", "value": "blue"}])
    engine.until_ready(*names)
    steady("requests", lambda: len(engine.requests()))
    engine.operator.stop()
    wanted = {name: engine.find(engine.path("deployments", name)) for name in names}
    patch(engine, "image", [{"name": "server", "image": "docker.io/library/other:1"}])
    patch(engine, "variable", [{"name": "server", "env": [{"name": "COLOUR", "value": "red"}]}])
    engine.merge(engine.path("services", "label"), {"metadata": {"labels": {"modelport.io/role": None}}})
    engine.merge(engine.path("deployments", "untouched"), {"metadata": {"labels": {"team": "theirs"}}})
    engine.forget()
    engine.operator.start()

    def repaired() -> bool:
        return all(spec(engine.find(engine.path("deployments", name))) == spec(wanted[name]) for name in names)

    until("the Deployments are as they were", repaired)
    engine.until_ready(*names)
    steady("requests", lambda: len(engine.requests()))
    children = sorted(write for write in engine.writes() if "modeldeployments" not in write)
    assert children == ["patch deployments image", "patch deployments variable", "patch services label"]
    foreign = engine.find(engine.path("deployments", "untouched")) or {}
    assert foreign["metadata"]["labels"]["team"] == "theirs"


def test_the_resident_memory_with_200_resources(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"model-{number:03}" for number in range(200)]
    for name in names:
        engine.apply(name)
    until("all Deployments exist", lambda: len(engine.items("deployments")) == len(names), within=120)
    engine.until_ready(*names, within=200)
    with capsys.disabled():
        print(
            f"\nresident memory of the operator with {len(names)} resources: {engine.operator.resident_mib():.0f} MiB"
        )
    assert engine.operator.resident_mib() < 200


def config_map(engine: Engine, name: str) -> str:
    (found,) = engine.items("configmaps", name)
    return str(found["metadata"]["name"])


def patch(engine: Engine, name: str, containers: list[dict[str, object]]) -> None:
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    status, answer = engine.api.request("PATCH", engine.path("deployments", name), body, STRATEGIC)
    assert status == 200, answer


def spec(deployment: dict[str, object] | None) -> object:
    return (deployment or {}).get("spec")

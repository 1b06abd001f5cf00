"""Roll-outs where GPUs are scarce, with Kubernetes' real Deployment controller: nothing waits for ever, and no more pods stop
serving than was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import MERGE
from tests.engine.harness import Engine, until
from tests.engine.machine import Machine

pytestmark = pytest.mark.apiserver


@pytest.fixture
def machine(engine: Engine) -> Iterator[Machine]:
    node = Machine(engine, f"gpus-of-{engine.namespace}", gpus=2)
    node.start()
    yield node
    node.stop()


def limits(engine: Engine) -> dict[str, int]:
    deployment = engine.find(engine.path("deployments", "assistant")) or {}
    return dict(deployment["spec"]["strategy"]["rollingUpdate"])


def serving(engine: Engine) -> int:
    return sum(
        c["type"] == "Ready" and c["status"] == "True"
        for pod in engine.items("pods")
        for c in pod.get("status", {}).get("conditions", [])
    )


def rolled(machine: Machine, floor: int, each: Callable[[], Any] = lambda: None) -> list[str]:
    """Play until it is Ready; what the status said of the roll-out on the way, each once."""
    engine, said = machine.engine, [""]

    def step() -> bool:
        machine.step()
        each()
        assert serving(engine) >= floor
        told = engine.status("assistant").get("rollout", "")
        if told != said[-1]:
            said.append(told)
        return engine.ready("assistant")

    until("it is rolled out", step)
    return [text for text in said if text]


SPEC = {"gpu": {"count": 1}, "resources": {"requests": {"cpu": 1}}}
SURGES = {"maxSurge": 1, "maxUnavailable": 0}
REPLACES = {"maxSurge": 0, "maxUnavailable": 1}


def test_all_gpus_in_use(machine: Machine) -> None:
    engine = machine.engine
    engine.apply("assistant", replicas=2, **SPEC)
    rolled(machine, 0)
    assert limits(engine) == SURGES
    engine.apply("assistant", replicas=2, **SPEC, vllm={"maxModelLen": 128})
    seen: list[dict[str, int]] = []
    said = rolled(machine, 1, lambda: seen.append(limits(engine)))
    assert said == [
        "replace 1 at a time: the cluster has room for 0 more with 1 nvidia.com/gpu each on 1 node that may take them"
    ]
    assert REPLACES in seen
    until("it surges again at rest", lambda: limits(engine) == SURGES)
    assert "rollout" not in engine.status("assistant")
    until("an Event told it", lambda: any(said[0] in event["note"] for event in events(engine)))


def test_what_needs_no_gpu_is_tried_before_one_is_taken_away(machine: Machine) -> None:
    """The source does not know the new model: the old pod serves, and the status says why. Corrected, it rolls."""
    engine = machine.engine
    engine.apply("assistant", replicas=2, **SPEC)
    rolled(machine, 0)
    serve = {pod["metadata"]["name"] for pod in engine.items("pods")}
    engine.apply("assistant", replicas=2, **SPEC, model={"uri": "hf://org/typo", "names": ["assistant"]})
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "message": "fetch: NotFound: hf://org/typo: the hub knows no such repository",
    }
    fails = {
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    said = (
        "the new revision was tried without a GPU, and the previous one goes on serving: the model was not found: hf://org/typo: the"
        " hub knows no such repository; correct the URI; a private repository needs a token in spec.model.credentials"
    )

    def tried() -> bool:
        machine.step(trial=fails)
        assert serving(engine) == 2
        return engine.status("assistant").get("message") == said

    until("the failure is told", tried)
    (trial,) = [pod for pod in engine.items("pods") if pod["metadata"]["name"] not in serve]
    assert "nvidia.com/gpu" not in str(trial["spec"]["containers"][0]["resources"])
    assert trial["spec"]["initContainers"][1]["args"][-1] == "--check"
    conditions = {one["type"]: one["status"] for one in engine.status("assistant")["conditions"]}
    assert conditions == {"Ready": "False", "Available": "True", "Stalled": "True"}
    assert len(engine.items("replicasets")) == 1, "the Deployment has not been touched"
    engine.apply("assistant", replicas=2, **SPEC, model={"uri": "hf://org/right", "names": ["assistant"]})
    rolled(machine, 1)
    until("what tried it is gone", lambda: machine.step() or len(engine.items("pods")) == 2)
    assert not serve & {pod["metadata"]["name"] for pod in engine.items("pods")}


def test_without_a_preflight_nothing_is_tried(machine: Machine) -> None:
    engine = machine.engine
    machine.taken = 1
    engine.apply("assistant", **SPEC, rollout={"preflight": False})
    rolled(machine, 0)
    engine.apply("assistant", **SPEC, rollout={"preflight": False}, vllm={"maxModelLen": 128})
    names: set[str] = set()
    rolled(machine, 0, lambda: names.update(pod["metadata"]["name"] for pod in engine.items("pods")))
    assert not [name for name in names if "preflight" in name]


def test_a_gpu_is_free(machine: Machine) -> None:
    engine = machine.engine
    engine.apply("assistant", **SPEC)
    rolled(machine, 0)
    engine.apply("assistant", **SPEC, vllm={"maxModelLen": 128})
    said = rolled(machine, 1, lambda: limits(engine) == SURGES)
    assert said == [
        "surge by 1: the cluster has room for 1 more with 1 nvidia.com/gpu each on 1 node that may take them"
    ]


def test_a_restart_by_kubectl_on_a_full_cluster(machine: Machine) -> None:
    """The breaker: nobody asked us before it began."""
    engine = machine.engine
    engine.apply("assistant", replicas=2, **SPEC)
    rolled(machine, 0)
    restart = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    status, _ = engine.api.request("PATCH", engine.path("deployments", "assistant"), restart, MERGE)
    assert status == 200
    until("it waits", lambda: machine.step() or not engine.ready("assistant"))
    said = rolled(machine, 1)
    assert said == ["replace 1 at a time: a new pod has waited 10 s for nvidia.com/gpu, which the older ones hold"]


def test_a_revision_that_never_becomes_ready_takes_one_and_gives_it_back(machine: Machine) -> None:
    engine = machine.engine
    engine.apply("assistant", replicas=2, **SPEC)
    rolled(machine, 0)
    engine.apply("assistant", replicas=2, **SPEC, env=[{"name": "HANGS", "value": "yes"}])

    def waits() -> bool:
        machine.step(broken="HANGS")
        assert serving(engine) >= 1
        return any("HANGS" in str(pod["spec"]) and pod["spec"].get("nodeName") for pod in engine.items("pods"))

    until("the new pod has the GPU of an old one", waits)
    engine.apply("assistant", replicas=2, **SPEC, vllm={"maxModelLen": 128})
    rolled(machine, 1)


def test_what_the_user_says(machine: Machine) -> None:
    engine = machine.engine
    engine.apply("assistant", **SPEC, rollout={"strategy": "Replace"})
    rolled(machine, 0)
    assert limits(engine) == REPLACES
    engine.apply("assistant", **SPEC, rollout={"strategy": "Surge", "maxSurge": 3})
    until("the Deployment follows", lambda: limits(engine) == {"maxSurge": 3, "maxUnavailable": 0})
    assert len(engine.items("replicasets")) == 1, "how it rolls is no reason to roll"


def test_two_roll_outs_want_the_last_gpu(machine: Machine) -> None:
    """One is given it, the other replaces at once instead of finding out."""
    engine = machine.engine
    names = ("assistant", "other")
    machine.stop()
    machine.gpus = 3
    machine.start()
    for name in names:
        engine.apply(name, **SPEC)
    until("both are ready", lambda: machine.step() or all(engine.ready(name) for name in names))
    for name in names:
        engine.apply(name, **SPEC, vllm={"maxModelLen": 128})
    said: dict[str, str] = {}

    def step() -> bool:
        machine.step()
        for name in names:
            if told := engine.status(name).get("rollout"):
                said.setdefault(name, told)
        return len(said) == 2 and all(engine.ready(name) for name in names)

    until("both are rolled out", step)
    assert sorted(told.partition(":")[0] for told in said.values()) == ["replace 1 at a time", "surge by 1"]


def events(engine: Engine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.api.get(f"/apis/events.k8s.io/v1/namespaces/{engine.namespace}/events")[
        "items"
    ]
    return found

"""A roll-out on a cluster whose only GPU is in use, with the real scheduler and kubelet: what needs no GPU is tried first, the old
pod serves until then and for as long as that fails, and the GPU goes to the new pod when all is well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from e2e import stack
from e2e.kube import Json, condition, environment, get, is_ready, kubectl, until, wait_ready

GPU = "nvidia.com/gpu"
APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def answer():
    return {"well": True}
"""
CODE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "scarce-code"},
    "data": {"app.py": APP},
}


def spec(**changes: Json | str | list[Json]) -> Json:
    return {
        "apiVersion": "modelport.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "scarce"},
        "spec": {
            "runtime": "fastapi",
            "image": "docker.io/modelport/language:0.1.0",
            "fastapi": {"app": "app:app", "code": {"configMapName": "scarce-code"}},
            "gpu": {"count": 1},
            "check": {"request": {"path": "/"}, "expect": {"contains": "well"}, "interval": "2s"},
            **changes,
        },
    }


@pytest.fixture
def one_gpu() -> Iterator[None]:
    """The node says that it has one."""
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    paths = [f"/status/{part}/{GPU.replace('/', '~1')}" for part in ("capacity", "allocatable")]

    def patch(*operations: Json) -> None:
        kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", json.dumps(operations))

    patch(*({"op": "add", "path": path, "value": "1"} for path in paths))
    yield
    kubectl("delete", "-n", stack.MODELS, "--ignore-not-found", "mdep/scarce", "configmap/scarce-code")
    patch(*({"op": "remove", "path": path} for path in paths))


def apply(*manifests: Json) -> None:
    for manifest in manifests:
        kubectl("apply", "-n", stack.MODELS, "-f", "-", stdin=json.dumps(manifest))


def pods(role: str) -> list[Json]:
    labels = f"modelport.io/name=scarce,modelport.io/role={role}"
    found = json.loads(kubectl("get", "pods", "-n", stack.MODELS, "-l", labels, "-o", "json"))["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def status() -> Json:
    found: Json = get("mdep", "scarce", stack.MODELS).get("status", {})
    return found


def until_told(what: str, true: Callable[[Json], bool]) -> Json:
    def told() -> Json | None:
        found = status()
        return found if true(found) else None

    return until(what, told, 180)


def test_the_only_gpu_changes_hands_when_all_else_is_well(one_gpu: None) -> None:
    apply(CODE, spec())
    wait_ready("scarce", stack.MODELS, 180)
    (first,) = pods("server")

    apply(spec(image="localhost/no-such-image:2"))
    failed = until_told("the image is tried", lambda it: it.get("phase") == "ImagePull")
    print(f"\n{failed['message']}")
    assert failed["message"].startswith(
        "the new revision was tried without a GPU, and the previous one goes on serving: image localhost/no-such-image:2"
    )
    assert condition(get("mdep", "scarce", stack.MODELS), "Available")["status"] == "True"
    assert [pod["metadata"]["uid"] for pod in pods("server")] == [first["metadata"]["uid"]]
    why = subprocess.run(
        [sys.executable, "-m", "modelport", "why", "scarce", "-n", stack.MODELS],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(why)
    assert "Pod scarce-preflight-" in why
    assert "Cause   image localhost/no-such-image:2 of container server" in why

    apply(spec())
    wait_ready("scarce", stack.MODELS, 60)
    assert [pod["metadata"]["uid"] for pod in pods("server")] == [first["metadata"]["uid"]], "a revert costs nothing"

    apply(spec(env=[{"name": "ANOTHER", "value": "revision"}]))
    tried: set[str] = set()

    def rolled() -> bool:
        tried.update(pod["status"].get("phase", "") for pod in pods("preflight"))
        return is_ready(get("mdep", "scarce", stack.MODELS))

    until("it is rolled out", rolled, 180)
    (second,) = pods("server")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert tried, "a pod without GPU tried it"
    assert not pods("preflight")

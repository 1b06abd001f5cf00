"""What a server's death looks like from outside: its pod leaves the Service, the status says so, and it comes back alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from e2e import asking, processes, stack
from e2e.kube import Json, condition, get, is_ready, kubectl, pods, reach, until, wait_ready
from e2e.tests.conftest import START

Serving = Callable[[str], Json]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "victim"),
    [("language", "modelport-runtime"), ("ocr", "tritonserver"), ("assistant", "serve"), ("assistant", "EngineCore")],
)
def test_a_killed_server_leaves_the_service_and_comes_back(serving: Serving, name: str, victim: str) -> None:
    serving(name)
    (pod,) = pods(name, stack.MODELS)
    running = processes.of_container(pod, "server")
    next(process for process in running if victim in " ".join(process.command)).kill()
    until("the pod leaves the Service", lambda: serving_endpoints(name) == 0, 120, 0.1)
    told = until("the status says so", lambda: unready(name), 60, 0.1)
    assert condition(told, "Ready")["reason"] in {"Crashed", "NotAnswering", "Loading", "Pending", "OutOfMemory"}
    assert condition(told, "Ready")["message"]
    wait_ready(name, stack.MODELS, START[name])
    (after,) = pods(name, stack.MODELS)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"], "the container restarts in its pod"
    assert serving_endpoints(name) == 1


def unready(name: str) -> Json | None:
    resource = get("mdep", name, stack.MODELS)
    return None if is_ready(resource) else resource


def serving_endpoints(name: str) -> int:
    slices = json.loads(
        kubectl("get", "endpointslices", "-n", stack.MODELS, "-l", f"kubernetes.io/service-name={name}", "-o", "json")
    )
    return sum(bool(e["conditions"]["ready"]) for item in slices["items"] for e in item["endpoints"] or [])


def test_an_old_revision_survives_a_broken_new_one(serving: Serving, apply: Callable[[str], None]) -> None:
    """The old pod is deleted by hand while the new model cannot load: it comes back with its own configuration, and answers."""
    language = serving("language")
    check = language["spec"]["check"]
    spec = {
        **{key: language["spec"][key] for key in ("runtime", "image", "fastapi", "resources")},
        "check": {**check, "interval": "5s"},
    }
    resource: Json = {
        "apiVersion": "modelport.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "survivor"},
        "spec": spec,
    }
    apply(json.dumps(resource))
    wait_ready("survivor", stack.MODELS, START["language"])
    (old,) = pods("survivor", stack.MODELS)
    broken = {"fastapi": {**spec["fastapi"], "app": "nowhere:app"}, "check": {**check, "interval": "7s"}}
    kubectl("patch", "mdep", "survivor", "-n", stack.MODELS, "--type=merge", "-p", json.dumps({"spec": broken}))

    def crashed() -> Json | None:
        found = get("mdep", "survivor", stack.MODELS)
        return found if condition(found, "Ready").get("reason") == "Crashed" else None

    told = until("the status names the import error", crashed, 120)
    assert "nowhere" in told["status"]["message"]
    until(
        "the old pod serves",
        lambda: condition(get("mdep", "survivor", stack.MODELS), "Available")["status"] == "True",
        60,
    )
    kubectl("delete", "pod", old["metadata"]["name"], "-n", stack.MODELS)
    until("an old pod is back", lambda: serving_endpoints("survivor") == 1, 120)
    with reach("survivor", stack.MODELS) as address:
        assert asking.curl(f"http://{address}/predict", {"text": "Où est la bibliothèque ?"})["result"] == "fr"
    assert get("mdep", "survivor", stack.MODELS)["metadata"]["generation"] == told["metadata"]["generation"]

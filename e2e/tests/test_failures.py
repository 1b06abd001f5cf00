"""Failures made for real: each names its cause and what to do, harms nobody else, and mends without help once the cause is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from e2e import stack
from e2e.kube import Json, condition, get, kubectl, until, wait_ready
from e2e.tests.conftest import START

APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def answer():
    return {"well": True}
"""
IMAGE = "docker.io/modelport/language:0.1.0"


@dataclass(frozen=True)
class Failure:
    """A spec that fails, what the status has to say, and the change that mends it."""

    spec: Json
    reason: str
    says: tuple[str, ...]
    mend: Json


def app(**more: Any) -> Json:
    spec = {
        "runtime": "fastapi",
        "image": IMAGE,
        "fastapi": {"app": "app:app", "code": {"configMapName": "failing-code"}},
        "check": {"request": {"path": "/"}, "expect": {"contains": "well"}, "interval": "2s"},
    }
    return {**spec, **more}


FAILURES = {
    "image": Failure(
        app(image="localhost/no-such-image:1"),
        "ImagePull",
        ("localhost/no-such-image:1", "image"),
        {"image": IMAGE},
    ),
    "gpu": Failure(
        app(gpu={"count": 2}),
        "Unschedulable",
        ("nvidia.com/gpu",),
        {"gpu": None},
    ),
    "secret": Failure(
        app(env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "token"}}}]),
        "MissingReference",
        ("no-such-secret",),
        {"env": None},
    ),
    "memory": Failure(
        app(resources={"limits": {"memory": "24Mi"}}),
        "OutOfMemory",
        ("24Mi", "memory"),
        {"resources": {"limits": {"memory": "1Gi"}}},
    ),
    "import": Failure(
        app(fastapi={"app": "app:application", "code": {"configMapName": "failing-code"}}),
        "Crashed",
        ("application", "app"),
        {"fastapi": {"app": "app:app"}},
    ),
    "claim": Failure(
        app(model={"uri": "pvc://no-such-claim/weights"}),
        "MissingReference",
        ("no-such-claim",),
        {"model": None},
    ),
}


@pytest.fixture(scope="module")
def failing() -> Any:
    """All of them at once, beside a model that serves."""
    code = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "failing-code"},
        "data": {"app.py": APP},
    }
    resources = [
        {
            "apiVersion": "modelport.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": f"failing-{name}"},
            "spec": failure.spec,
        }
        for name, failure in FAILURES.items()
    ]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [code, *resources]})
    kubectl("apply", "-n", stack.MODELS, "-f", "-", stdin=manifest)
    yield
    kubectl("delete", "-n", stack.MODELS, "--ignore-not-found", "-f", "-", stdin=manifest)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_names_its_cause_and_mends(failing: None, serving: Callable[[str], Json], name: str) -> None:
    failure, resource = FAILURES[name], f"failing-{name}"

    def told() -> Json | None:
        found = get("mdep", resource, stack.MODELS)
        return found if condition(found, "Ready").get("reason") == failure.reason else None

    try:
        status = until(f"{resource} is {failure.reason}", told, 180)["status"]
    except TimeoutError as late:
        raise AssertionError(f"{late}: {json.dumps(get('mdep', resource, stack.MODELS).get('status'))}") from None
    print(f"\n{name}: {status['phase']}: {status['message']}")
    for words in failure.says:
        assert words in status["message"]
    assert condition(serving("language"), "Ready")["status"] == "True"
    kubectl("patch", "mdep", resource, "-n", stack.MODELS, "--type=merge", "-p", json.dumps({"spec": failure.mend}))
    wait_ready(resource, stack.MODELS, START["language"])

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

app, broken = FastAPI(), FastAPI()


@app.get("/")
def answer():
    return {"well": True}


@broken.get("/")
def fail():
    raise RuntimeError("the weights are gone")
"""
WEIGHTLESS = """
class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("no weights in " + args["model_repository"])
"""
ECHO = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", pb_utils.get_input_tensor_by_name(r, "IN").as_numpy())]) for r in requests]
"""
CODE = {
    "failing-code": {"app.py": APP, "misspelt.py": "import tortch\n"},
    "failing-weightless": {"model.py": WEIGHTLESS},
    "failing-echo": {"model.py": ECHO},
}
IMAGE = "docker.io/modelport/language:0.1.0"


@dataclass(frozen=True)
class Failure:
    """A spec that fails, what the status says, word by word, and the change that mends it."""

    spec: Json
    reason: str
    message: str
    mend: Json


def app(name: str = "app:app", code: str = "failing-code", **more: Any) -> Json:
    return {
        "runtime": "fastapi",
        "image": IMAGE,
        "fastapi": {"app": name, "code": {"configMapName": code}},
        "check": {"request": {"path": "/"}, "expect": {"contains": "well"}, "interval": "2s"},
        **more,
    }


def triton(code: str) -> Json:
    tensor = {"dataType": "TYPE_FP32", "dims": [1]}
    config = {"backend": "python", "input": [{"name": "IN", **tensor}], "output": [{"name": "OUT", **tensor}]}
    return {"runtime": "triton", "triton": {"models": [{"name": "echo", "code": {"name": code}, "config": config}]}}


def vllm(length: int) -> Json:
    return {
        "runtime": "vllm",
        "model": {"uri": "hf://HuggingFaceTB/SmolLM2-135M-Instruct@main", "names": ["smollm2"]},
        "vllm": {"maxModelLen": length, "kvCacheMemoryBytes": "64M", "enforceEager": True},
    }


FAILURES = {
    "image": Failure(
        app(image="localhost/no-such-image:1"),
        "ImagePull",
        "image localhost/no-such-image:1 of container server cannot be pulled: the node does not reach the registry; check the"
        " name of the registry, and the node's network, DNS and proxy",
        {"image": IMAGE},
    ),
    "gpu": Failure(
        app(gpu={"count": 2}),
        "Unschedulable",
        "no node has room for the pod: 1 of 1 nodes lack nvidia.com/gpu; free some or add a node, or ask for less in"
        " spec.resources or spec.gpu",
        {"gpu": None},
    ),
    "secret": Failure(
        app(env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "token"}}}]),
        "MissingReference",
        "Secret no-such-secret, which container server refers to, does not exist; create it in this namespace, or correct"
        " the name in the spec",
        {"env": None},
    ),
    "code": Failure(
        app(code="no-such-code"),
        "MissingReference",
        "ConfigMap no-such-code, which the pod mounts, does not exist; create it in this namespace, or correct the name in"
        " the spec",
        {"fastapi": {"code": {"configMapName": "failing-code"}}},
    ),
    "claim": Failure(
        app(model={"uri": "pvc://no-such-claim/weights"}),
        "MissingReference",
        "PersistentVolumeClaim no-such-claim does not exist; create it in this namespace, or correct the name in the spec",
        {"model": None},
    ),
    "memory": Failure(
        app(resources={"limits": {"memory": "24Mi"}}),
        "OutOfMemory",
        "container server was killed: it needed more than its memory limit of 24Mi; raise spec.resources.limits.memory (of"
        " another container, in the podTemplate), or take a smaller model",
        {"resources": {"limits": {"memory": "1Gi"}}},
    ),
    "import": Failure(
        app("misspelt:app"),
        "Crashed",
        "the application cannot be loaded: misspelt.py:1: ModuleNotFoundError: No module named 'tortch'; the image"
        " has no 'tortch': take an image that has it, or put it beside the app; correct the code or"
        " spec.fastapi.app",
        {"fastapi": {"app": "app:app"}},
    ),
    "attribute": Failure(
        app("app:application"),
        "Crashed",
        "the application cannot be loaded: app:application: app.py has no 'application'; it defines: app, broken;"
        " correct the code or spec.fastapi.app",
        {"fastapi": {"app": "app:app"}},
    ),
    "answer": Failure(
        app("app:broken"),
        "WrongAnswer",
        "the model does not answer as it should: GET / answered 500, expected 200: app.py:14: RuntimeError: the"
        " weights are gone; correct the model, or what spec.check asks and expects of it",
        {"fastapi": {"app": "app:app"}},
    ),
    "triton": Failure(
        triton("failing-weightless"),
        "ModelMissing",
        "the server runs without its model: echo: Internal: ValueError: no weights in /models/failing-triton/echo"
        " At: /models/failing-triton/echo/1/model.py(4): initialize; correct the model's files, or its"
        " configuration in the spec",
        triton("failing-echo"),
    ),
    "vllm": Failure(
        vllm(99999),
        "Crashed",
        "User-specified max_model_len (99999) is greater than the derived max_model_len"
        " (max_position_embeddings=8192.0 or model_max_length=None in model's config.json); lower"
        " spec.vllm.maxModelLen, or leave it out",
        vllm(1024),
    ),
}


@pytest.fixture(scope="module")
def failing() -> Any:
    """All of them at once, beside a model that serves."""
    code = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        for name, data in CODE.items()
    ]
    resources = [
        {
            "apiVersion": "modelport.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": f"failing-{name}"},
            "spec": failure.spec,
        }
        for name, failure in FAILURES.items()
    ]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*code, *resources]})
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
    assert status["message"] == failure.message
    assert condition(serving("language"), "Ready")["status"] == "True"
    kubectl("patch", "mdep", resource, "-n", stack.MODELS, "--type=merge", "-p", json.dumps({"spec": failure.mend}))
    wait_ready(resource, stack.MODELS, START["assistant"] if name == "vllm" else START["ocr"])

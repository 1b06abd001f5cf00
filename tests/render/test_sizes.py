"""What is too large is told before Kubernetes, or the kernel of a node, refuses it; and what is said to fit does fit."""

from __future__ import annotations

import errno
import subprocess
from typing import Any

import pytest

from modelport.render.sizes import LARGEST_DESCRIPTION, LONGEST_ANNOTATIONS, LONGEST_ARGUMENT
from tests.cluster import ClusterApi

from .cases import child, container, problems, rendered

VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}
OURS = len("team" + "modelport.io/spec-hash" + "0123456789abcdef")
IN_A_FILE = "put it into a file, such as a key of a ConfigMap that spec.podTemplate mounts"
ELSEWHERE = "put long texts and many variables into a ConfigMap, and mount it or name it in envFrom (spec.podTemplate)"


def template(**server: Any) -> dict[str, Any]:
    return {**VLLM, "podTemplate": {"spec": {"containers": [{"name": "server", **server}]}}}


def variables(count: int) -> list[dict[str, str]]:
    return [{"name": f"VARIABLE_{number}", "value": "x"} for number in range(count)]


def annotated(length: int) -> dict[str, Any]:
    return {**VLLM, "podTemplate": {"metadata": {"annotations": {"team": "x" * length}}}}


TOO_LARGE = [
    (
        {**VLLM, "env": [{"name": "BIG", "value": "🚀" * 32_768}]},
        f"spec.env[BIG].value: has 131076 bytes as a variable with its name, and the kernel of the node takes 131071: {IN_A_FILE}",
    ),
    (
        template(env=[{"name": "BIG", "value": "x" * 131_068}]),
        "spec.podTemplate.spec.containers[server].env[BIG].value: has 131072 bytes as a variable with its name, and the kernel"
        f" of the node takes 131071: {IN_A_FILE}",
    ),
    (
        template(args=["serve", "x" * 131_072]),
        "spec.podTemplate.spec.containers[server].args[1]: has 131072 bytes as an argument, and the kernel of the node takes"
        f" 131071: {IN_A_FILE}",
    ),
    (
        {**VLLM, "podTemplate": {"spec": {"initContainers": [{"name": "mine", "command": ["x" * 131_072]}]}}},
        "spec.podTemplate.spec.initContainers[mine].command[0]: has 131072 bytes as an argument, and the kernel of the node"
        f" takes 131071: {IN_A_FILE}",
    ),
    (
        annotated(LONGEST_ANNOTATIONS - OURS + 1),
        "spec.podTemplate.metadata.annotations: have 262145 bytes with the operator's own, and Kubernetes takes 262144: keep what is long in"
        " a ConfigMap",
    ),
    (
        template(args=["x" * 100_000] * 11),
        f"spec.podTemplate: the description of a pod takes N bytes with it, and 1048576 fit: {ELSEWHERE}",
    ),
    (
        template(env=variables(12_000)),
        f"spec.podTemplate: the description of a pod takes N bytes with it, and 1048576 fit: {ELSEWHERE}",
    ),
    (
        {**VLLM, "env": [{"name": f"V{number}", "value": "x" * 32_768} for number in range(40)]},
        f"spec.env: the description of a pod takes N bytes with it, and 1048576 fit: {ELSEWHERE}",
    ),
    (
        {**VLLM, "vllm": {"extraArgs": ["--x=" + "🚀" * 4000] * 70}},
        f"spec.vllm.extraArgs: the description of a pod takes N bytes with it, and 1048576 fit: {ELSEWHERE}",
    ),
    (
        {**VLLM, "env": variables(500)},
        "spec.env: should have at most 256 items, not 500",
    ),
]


@pytest.mark.parametrize(("spec", "said"), TOO_LARGE, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_what_is_too_large_is_told_with_its_place_and_what_to_do(spec: dict[str, Any], said: str) -> None:
    (found,) = problems(spec)
    before, _, after = said.partition("N")
    assert found.startswith(before)
    assert found.endswith(after)


FITS = {
    "500 variables": template(env=variables(500)),
    "as many variables as fit": template(env=variables(9_900)),
    "64 KiB of arguments": {**VLLM, "vllm": {"extraArgs": ["--x=" + "y" * 4092] * 16}},
    "the longest argument": template(args=["x" * LONGEST_ARGUMENT]),
    "as many arguments as fit": template(args=["x" * 100_000] * 10),
    "the longest annotation": annotated(LONGEST_ANNOTATIONS - OURS),
    "items whose record is longer than they are": template(
        ports=[{"name": f"p{number}", "containerPort": 10_000 + number} for number in range(8_000)]
    ),
    "texts that JSON lengthens": {
        "runtime": "triton",
        "triton": {"models": [{"name": f"m{n}", "uri": "hf://a/b", "configPbtxt": "#\n" * 20_000} for n in range(14)]},
    },
}


@pytest.mark.apiserver
@pytest.mark.parametrize("spec", FITS.values(), ids=FITS)
def test_what_is_said_to_fit_is_kept_by_the_api_server(
    spec: dict[str, Any], cluster_api: ClusterApi, namespace: str
) -> None:
    """Not a dry run: what etcd refuses, it refuses when it is to be kept. No pods are wanted: a set of them is enough."""
    desired = rendered({**spec, "replicas": 0})
    for kind, group in (("ConfigMap", "/api/v1"), ("Deployment", "/apis/apps/v1")):
        manifest = child(desired, kind)
        metadata = {**manifest["metadata"], "namespace": namespace}
        path = f"{group}/namespaces/{namespace}/{kind.lower()}s/{metadata['name']}"
        cluster_api.apply(path, {**manifest, "metadata": metadata}, "modelport", "force=true")


def test_the_kernel_takes_the_longest_argument_and_not_one_byte_more() -> None:
    assert subprocess.run(["/bin/true", "x" * LONGEST_ARGUMENT], check=True).returncode == 0
    for argument, environment in (("x" * (LONGEST_ARGUMENT + 1), {}), ("", {"A": "x" * (LONGEST_ARGUMENT - 1)})):
        with pytest.raises(OSError) as refused:  # noqa: PT011 - its number is looked at
            subprocess.run(["/bin/true", argument], env=environment, check=True)
        assert refused.value.errno == errno.E2BIG


def test_500_variables_of_the_pod_template_reach_the_server() -> None:
    env = container(rendered(template(env=variables(500))))["env"]
    assert {"name": "VARIABLE_499", "value": "x"} in env
    assert len(str(env)) < LARGEST_DESCRIPTION


@pytest.mark.apiserver
def test_more_variables_than_the_schema_takes_are_refused_at_once(cluster_api: ClusterApi, namespace: str) -> None:
    kind = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "large"}}
    collection = f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    status, answer = cluster_api.request("POST", collection, {**kind, "spec": {**VLLM, "env": variables(500)}})
    assert status == 422
    assert "spec.env: Too many: 500: must have at most 256 items" in answer["message"]

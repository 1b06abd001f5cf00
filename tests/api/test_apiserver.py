"""The CRD on a real API server: accepted, defaulted, scaled, merged and printed as documented."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import MERGE, ClusterApi, Kubectl

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[2]
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modeldeployments.modelport.io"


def resource(name: str = "language", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "modelport.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"runtime": "fastapi", "fastapi": {"app": "app:app"}, **spec},
    }


def path(namespace: str, name: str = "language") -> str:
    return f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments/{name}"


def test_the_crd_is_structural_and_changed_in_nothing(cluster_api: ClusterApi) -> None:
    live = cluster_api.get(CRD_PATH)
    conditions = {item["type"]: item["status"] for item in live["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    written = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
    assert live["spec"]["versions"] == _without_zero_priorities(written["spec"]["versions"])


def _without_zero_priorities(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The API server leaves out a column's priority of 0."""
    for version in versions:
        for column in version["additionalPrinterColumns"]:
            if column["priority"] == 0:
                del column["priority"]
    return versions


def test_client_side_apply_takes_the_crd_too(kubectl: Kubectl) -> None:
    done = kubectl("apply", "--dry-run=server", "-f", str(ROOT / "crds" / "modeldeployments.yaml"))
    assert "configured (server dry run)" in done.out


def test_a_fresh_resource_has_a_status_that_is_not_done(cluster_api: ClusterApi, namespace: str) -> None:
    live = cluster_api.apply(path(namespace), resource())
    assert live["status"] == {"observedGeneration": -1}
    assert live["spec"]["replicas"] == 1
    assert live["metadata"]["generation"] == 1


def test_status_and_spec_are_written_apart(cluster_api: ClusterApi, namespace: str) -> None:
    cluster_api.apply(path(namespace), resource())
    cluster_api.request("PATCH", path(namespace), {"status": {"phase": "Ready"}}, MERGE)
    status = {"phase": "Ready", "ready": "1/1", "replicas": 1, "selector": "modelport.io/name=language", "gpus": 0}
    cluster_api.request("PATCH", f"{path(namespace)}/status", {"status": status, "spec": {"replicas": 7}}, MERGE)
    live = cluster_api.get(path(namespace))
    assert live["spec"]["replicas"] == 1
    assert live["status"] == {"observedGeneration": -1, **status}
    assert live["metadata"]["generation"] == 1


def test_kubectl_scale(kubectl: Kubectl, cluster_api: ClusterApi, namespace: str) -> None:
    cluster_api.apply(path(namespace), resource())
    kubectl("scale", "mdep/language", "--replicas=3")
    assert cluster_api.get(path(namespace))["spec"]["replicas"] == 3
    scale = cluster_api.get(f"{path(namespace)}/scale")
    assert scale["spec"] == {"replicas": 3}


def test_two_managers_own_one_variable_each(cluster_api: ClusterApi, namespace: str) -> None:
    cluster_api.apply(path(namespace), resource(env=[{"name": "A", "value": "1"}]), manager="team")
    live = cluster_api.apply(
        path(namespace), {**resource(), "spec": {"env": [{"name": "B", "value": "2"}]}}, "platform"
    )
    assert [item["name"] for item in live["spec"]["env"]] == ["A", "B"]


def test_what_kubectl_get_shows(kubectl: Kubectl, cluster_api: ClusterApi, namespace: str) -> None:
    cluster_api.apply(path(namespace), resource())
    status = {
        "model": "language",
        "ready": "1/1",
        "phase": "Ready",
        "gpus": 0,
        "url": "http://u:8000",
        "message": "Fine.",
    }
    cluster_api.request("PATCH", f"{path(namespace)}/status", {"status": status}, MERGE)
    narrow, wide = kubectl("get", "mdep").out, kubectl("get", "ml", "-o", "wide").out
    assert narrow.splitlines()[0].split() == ["NAME", "RUNTIME", "MODEL", "READY", "STATUS", "GPUS", "AGE"]
    assert narrow.splitlines()[1].split()[:6] == ["language", "fastapi", "language", "1/1", "Ready", "0"]
    assert wide.splitlines()[0].split()[-2:] == ["URL", "MESSAGE"]
    assert wide.splitlines()[1].split()[-2:] == ["http://u:8000", "Fine."]


def test_kubectl_explain_reads_like_the_reference(kubectl: Kubectl) -> None:
    said = kubectl("explain", "mdep.spec.vllm.maxModelLen").out
    assert "Longest prompt plus answer, in tokens" in said


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda example: example.stem)
def test_the_examples_are_accepted(example: Path, kubectl: Kubectl) -> None:
    kubectl("apply", "--dry-run=server", "-f", str(example))


def test_the_dearest_resource_is_within_the_cost_limit(cluster_api: ClusterApi, namespace: str) -> None:
    """Rules are also limited while they run; the longest lists with long values stay far below."""
    dear = resource(
        "dear",
        runtime="vllm",
        model={"uri": "hf://" + "a" * 2000, "names": [f"{'n' * 240}{number}" for number in range(16)]},
        env=[{"name": f"N{'A' * 240}{number}", "value": "v" * 500} for number in range(256)],
        vllm={"extraArgs": [f"--x{'y' * 4000}{number}" for number in range(128)]},
    )
    del dear["spec"]["fastapi"]
    started = time.monotonic()
    cluster_api.apply(path(namespace, "dear"), dear)
    assert time.monotonic() - started < 5

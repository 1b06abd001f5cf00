"""What the real API server says of the golden cases. Nothing is stored: every request is a dry run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster import ClusterApi

from .cases import CASES, Case, template

pytestmark = pytest.mark.apiserver

PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}


@pytest.fixture(params=CASES, ids=lambda case: case.id)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_children_are_taken_as_they_are(case: Case, cluster_api: ClusterApi, restricted_namespace: str) -> None:
    for item in case.render(restricted_namespace).children:
        path = f"{PATHS[item.kind].format(restricted_namespace)}/{item.name}"
        answer = cluster_api.apply(path, item.manifest, "modelport", "dryRun=All&force=true&fieldValidation=Strict")
        assert _covers(answer, dict(item.manifest)) == []


def test_pods_pass_pod_security_restricted(case: Case, cluster_api: ClusterApi, restricted_namespace: str) -> None:
    made = template(case.render(restricted_namespace))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**made["metadata"], "name": "pod"}, "spec": made["spec"]}
    cluster_api.create(f"/api/v1/namespaces/{restricted_namespace}/pods?dryRun=All&fieldValidation=Strict", pod)


def test_pod_security_is_enforced_there(cluster_api: ClusterApi, restricted_namespace: str) -> None:
    pod = {"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "server", "image": "server"}]}}
    status, answer = cluster_api.request("POST", f"/api/v1/namespaces/{restricted_namespace}/pods?dryRun=All", pod)
    assert status == 403 and "restricted" in answer["message"]


def _covers(live: Any, wanted: Any, path: str = "") -> list[str]:
    """Where the live object says something else than what was applied: what was normalised would look like drift."""
    if isinstance(wanted, dict):
        return [
            place
            for key, value in wanted.items()
            for place in (_covers(live[key], value, f"{path}.{key}") if key in live else [f"{path}.{key} is gone"])
        ]
    if isinstance(wanted, list):
        if len(live) != len(wanted):
            return [f"{path} has {len(live)} items"]
        return [place for i, value in enumerate(wanted) for place in _covers(live[i], value, f"{path}[{i}]")]
    return [] if live == wanted else [f"{path}: {live!r} is not {wanted!r}"]

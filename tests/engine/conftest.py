"""One engine per test: a namespace, an operator that serves only it, a door that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.cluster import ClusterApi
from tests.engine.door import Door, door
from tests.engine.harness import RESOURCES, USER, Engine, Operator, until
from tests.engine.rights import grant


@pytest.fixture(scope="session")
def operator_kubeconfig(control_plane: ControlPlane, cluster_api: ClusterApi) -> Path:
    """The operator's own user, so that the audit log tells its requests from others', with the chart's rights."""
    grant(cluster_api, "default")
    return control_plane.kubeconfig_for(USER)


@pytest.fixture(scope="session")
def collected(control_plane: ControlPlane, cluster_api: ClusterApi) -> None:
    """The garbage collector has learnt of the CRD, which takes it up to half a minute."""
    owners, maps = RESOURCES.format("default"), "/api/v1/namespaces/default/configmaps"
    spec = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}
    kind = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment"}
    owner = cluster_api.create(owners, {**kind, "metadata": {"name": "collected"}, "spec": spec})
    reference = {**kind, "name": "collected", "uid": owner["metadata"]["uid"]}
    cluster_api.create(maps, {"metadata": {"name": "collected", "ownerReferences": [reference]}})
    cluster_api.request("DELETE", f"{owners}/collected")
    until("it is collected", lambda: cluster_api.request("GET", f"{maps}/collected")[0] == 404, within=90)


@pytest.fixture
def answering() -> Iterator[Door]:
    with door() as server:
        yield server


@pytest.fixture
def stopped(
    control_plane: ControlPlane,
    cluster_api: ClusterApi,
    namespace: str,
    operator_kubeconfig: Path,
    answering: Door,
    tmp_path: Path,
) -> Iterator[Engine]:
    """An engine whose operator does not run yet."""
    grant(cluster_api, namespace)
    settings = tmp_path / "operator.yaml"
    settings.write_text(f"lease: {{name: modelport, namespace: {namespace}}}\ndoor: {{mode: '{answering.url}'}}\n")
    arguments = ["--settings", str(settings), "--namespaces", namespace]
    operator = Operator(operator_kubeconfig, tmp_path / "operator.log", arguments)
    yield Engine(control_plane, cluster_api, namespace, operator, answering)
    operator.stop()


@pytest.fixture
def engine(stopped: Engine) -> Engine:
    """An engine whose operator leads."""
    stopped.operator.start()
    return stopped

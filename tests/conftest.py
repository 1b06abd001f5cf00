"""What tests on the real API server share: one control plane per session, and a namespace of its own per test.

etcd, kube-apiserver and kube-controller-manager run on loopback for this session only. KUBECONFIG is never looked at, so
that no test reaches a cluster that somebody uses.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # e2e and tests are packages of the checkout, not installed

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.waiting import wait_for
from tests.cluster import GROUP, ClusterApi, Kubectl, install_crd


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="write what was found as what is expected, for review in git"
    )


@pytest.fixture(scope="session")
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expectations are to be written anew."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager, with the CRD installed."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as plane:
        install_crd(plane)
        wait_for("the API server publishes the CRD's schema", lambda: b"maxModelLen" in _published(plane), 60)
        yield plane


def _published(plane: ControlPlane) -> bytes:
    """What kubectl explain reads; the API server makes it some time after the CRD is served."""
    return plane.api.read(f"/openapi/v3{GROUP}") or b""


@pytest.fixture(scope="session")
def cluster_api(control_plane: ControlPlane) -> Iterator[ClusterApi]:
    """Plain HTTP requests to the API server as its administrator, JSON in and out."""
    with ClusterApi(control_plane) as api:
        yield api


@pytest.fixture
def namespace(cluster_api: ClusterApi) -> Iterator[str]:
    """A namespace for one test; its content is taken away afterwards, without waiting for that."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster_api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster_api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    """The real kubectl, in the test's namespace: `kubectl("get", "mdep").out`; raises unless check=False."""
    return Kubectl(control_plane.kubeconfig, namespace)

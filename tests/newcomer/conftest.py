"""One operator for the whole table: it serves every namespace, and each case has one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.cluster import ClusterApi
from tests.engine.conftest import collected, operator_kubeconfig
from tests.engine.door import door
from tests.engine.harness import Engine, Operator

__all__ = ["collected", "engine", "everywhere", "operator_kubeconfig"]


@pytest.fixture(scope="package")
def everywhere(
    control_plane: ControlPlane,
    cluster_api: ClusterApi,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """An engine whose operator serves all namespaces."""
    folder = tmp_path_factory.mktemp("everywhere")
    settings = folder / "operator.yaml"
    with door() as answering:
        settings.write_text(f"lease: {{namespace: default}}\ndoor: {{mode: '{answering.url}'}}\n")
        operator = Operator(operator_kubeconfig, folder / "operator.log", ["--settings", str(settings)]).start()
        yield Engine(control_plane, cluster_api, "default", operator, answering)
        operator.stop()


@pytest.fixture
def engine(everywhere: Engine, namespace: str) -> Engine:
    """The same, in the test's own namespace."""
    everywhere.door.status = 200
    return replace(everywhere, namespace=namespace)

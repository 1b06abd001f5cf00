"""Class 3: etcd stands still for half a minute, and goes on. The control plane is the test's own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.cluster import ClusterApi, install_crd
from tests.engine.harness import USER, Engine
from tests.engine.rights import grant
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.container import Container
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(600)]

FROZEN = 30.0


@pytest.fixture
def own(stopped: Engine, tmp_path: Path) -> Iterator[Engine]:
    """The same engine on a control plane that nobody else needs."""
    with ControlPlane(tmp_path / "own") as plane, ClusterApi(plane) as api:
        install_crd(plane)
        api.create("/api/v1/namespaces", {"metadata": {"name": stopped.namespace}})
        grant(api, stopped.namespace)
        operator = replace(stopped.operator, kubeconfig=plane.kubeconfig_for(USER))
        yield replace(stopped, plane=plane, api=api, operator=operator)
        operator.stop()


@contextmanager
def frozen_etcd(plane: ControlPlane) -> Iterator[None]:
    etcd = plane.processes.record("etcd")
    assert etcd is not None
    os.kill(etcd.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(etcd.pid, signal.SIGCONT)


def test_for_half_a_minute(own: Engine) -> None:
    """The Lease cannot be renewed, so the process ends, and is begun anew as often as it takes."""
    own.operator.start()
    prepare(own)
    with Container(own.operator):
        commotion(own)
        with frozen_etcd(own.plane):
            time.sleep(FROZEN)
        own.apply("after")
        everything_is_as_it_should_be(own, PENDING, within=150, counts=True)

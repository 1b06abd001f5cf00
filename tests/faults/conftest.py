"""One engine per test, as in tests/engine, and on request a fault proxy before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import answering, collected, engine, operator_kubeconfig, stopped
from tests.engine.harness import Engine
from tests.faults.proxy import Proxy

__all__ = ["answering", "collected", "engine", "operator_kubeconfig", "proxied", "proxy", "stopped"]


@pytest.fixture
def proxy(stopped: Engine, tmp_path: Path) -> Iterator[Proxy]:
    """The operator that is not started yet will talk to the API server through it."""
    between = Proxy(stopped.plane)
    with between.serving(tmp_path) as kubeconfig:
        stopped.operator.kubeconfig = kubeconfig
        yield between
        between.release()
        stopped.operator.stop()


@pytest.fixture
def proxied(stopped: Engine, proxy: Proxy) -> Engine:
    """An engine whose operator leads, and talks through the proxy."""
    stopped.operator.start()
    return stopped

"""The engine of tests/engine, for a long time."""

from __future__ import annotations

from tests.engine.conftest import answering, collected, operator_kubeconfig, stopped

__all__ = ["answering", "collected", "operator_kubeconfig", "stopped"]

"""The CRD on a real API server."""

from __future__ import annotations

import pytest

from tests.cluster import Kubectl

pytestmark = pytest.mark.apiserver


def test_the_crd_is_accepted(kubectl: Kubectl) -> None:
    assert kubectl("get", "mdep").err.startswith("No resources found")

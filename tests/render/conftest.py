"""A namespace in which Pod Security `restricted` is enforced, and the ServiceAccounts that pods need to be admitted."""

from __future__ import annotations

import pytest

from e2e.cluster.waiting import wait_for
from tests.cluster import ClusterApi

RESTRICTED = "restricted"


@pytest.fixture(scope="session")
def restricted_namespace(cluster_api: ClusterApi) -> str:
    labels = {"pod-security.kubernetes.io/enforce": RESTRICTED}
    cluster_api.create("/api/v1/namespaces", {"metadata": {"name": RESTRICTED, "labels": labels}})
    accounts = f"/api/v1/namespaces/{RESTRICTED}/serviceaccounts"
    cluster_api.create(accounts, {"metadata": {"name": "model-reader"}})
    cluster_api.create("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "serving"}, "value": 10})
    wait_for(
        "the default ServiceAccount is there",
        lambda: cluster_api.request("GET", f"{accounts}/default")[0] == 200,
        30.0,
    )
    return RESTRICTED

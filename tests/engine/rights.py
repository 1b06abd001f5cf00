"""The rights that the chart gives the operator, and no others, for the user that it is in these tests."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.binaries import binary
from tests.cluster import ClusterApi
from tests.engine.harness import USER

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CHART = Path(__file__).parents[2] / "charts" / "modelport"


def grant(api: ClusterApi, lease_namespace: str) -> None:
    """What `helm install` would grant the operator's account, with its Lease in that namespace."""
    for given in _rendered():
        plural = given["kind"].lower() + "s"
        metadata = {key: value for key, value in given["metadata"].items() if key != "namespace"}
        at = f"{RBAC}/{plural}"
        if not given["kind"].startswith("Cluster"):
            metadata["namespace"] = lease_namespace
            at = f"{RBAC}/namespaces/{lease_namespace}/{plural}"
        body = {**given, "metadata": metadata}
        if "subjects" in body:
            body["subjects"] = [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}]
        api.apply(f"{at}/{metadata['name']}", body, query="force=true")


@cache
def _rendered() -> list[dict[str, Any]]:
    """The roles and bindings of the operator's account."""
    command = [str(binary("helm")), "template", "modelport", str(CHART), "--set", "rbac.aggregate=false"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(done.stdout) if one and "Role" in one["kind"]]

"""The rights that the chart gives the operator, and no others, for the user that it is in these tests."""

from __future__ import annotations

import json
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


def grant(api: ClusterApi, lease_namespace: str, user: str = USER, namespaces: tuple[str, ...] = ()) -> None:
    """What `helm install` would grant the operator's account, with its Lease in that namespace: everywhere, or only in the
    namespaces that it serves."""
    for given in _rendered(namespaces):
        plural = given["kind"].lower() + "s"
        metadata = {key: value for key, value in given["metadata"].items() if key != "namespace"}
        at = f"{RBAC}/{plural}"
        if not given["kind"].startswith("Cluster"):
            in_served = given["metadata"]["namespace"] in namespaces
            metadata["namespace"] = given["metadata"]["namespace"] if in_served else lease_namespace
            at = f"{RBAC}/namespaces/{metadata['namespace']}/{plural}"
        body = {**given, "metadata": metadata}
        if "subjects" in body:
            body["subjects"] = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
        api.apply(f"{at}/{metadata['name']}", body, query="force=true")


@cache
def _rendered(namespaces: tuple[str, ...]) -> list[dict[str, Any]]:
    """The roles and bindings of the operator's account."""
    values = ["--set-json", f"namespaces={json.dumps(namespaces)}", "--set", "rbac.aggregate=false"]
    command = [str(binary("helm")), "template", "modelport", str(CHART), *values]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(done.stdout) if one and "Role" in one["kind"]]

"""The operator as the chart installs it: the rights, the settings and the arguments that helm renders, each Deployment as a
process of its own, whose user tells its requests from others'."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.audit import AuditEvent
from e2e.cluster.binaries import binary
from e2e.cluster.controlplane import ControlPlane
from tests.cluster import ClusterApi
from tests.engine.harness import Operator
from tests.engine.rights import CHART, RBAC

LEASES_IN = "default"


@dataclass(frozen=True)
class Process:
    """One Deployment of a release, run as a process."""

    user: str
    operator: Operator
    plane: ControlPlane

    def explain(self, namespace: str, name: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of /debug/reconcile."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.operator.debug_port, timeout=10)) as connection:
            connection.request("GET", f"/debug/reconcile/{namespace}/{name}")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The lines of its log with that message."""
        lines = [json.loads(line) for line in self.operator.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == message]

    def requests(self) -> list[AuditEvent]:
        """What it asked the API server for."""
        return [event for event in self.plane.audit_events() if event.user == self.user]

    def writes(self) -> list[AuditEvent]:
        """What it wrote, Leases apart."""
        reads = {"get", "list", "watch"}
        return [event for event in self.requests() if event.verb not in reads and event.resource != "leases"]


@contextmanager
def installed(
    plane: ControlPlane, api: ClusterApi, release: str, folder: Path, *values: str
) -> Iterator[tuple[Process, ...]]:
    """The release's processes, each leading and ready, in the order of its Deployments."""
    objects = _rendered(release, *values)
    settings = folder / f"{release}.yaml"
    (written,) = [one for one in objects if one["kind"] == "ConfigMap"]
    settings.write_text(written["data"]["operator.yaml"])
    with ExitStack() as running:
        processes = []
        for deployment in (one for one in objects if one["kind"] == "Deployment"):
            name = deployment["metadata"]["name"]
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            arguments = ["--settings", str(settings), *container["args"][1:]]
            operator = Operator(plane.kubeconfig_for(name), folder / f"{name}.log", arguments)
            processes.append(Process(name, operator, plane))
        _grant(api, objects, [process.user for process in processes])
        for process in processes:
            running.callback(process.operator.stop)
            process.operator.start()
        yield tuple(processes)


def _rendered(release: str, *values: str) -> list[dict[str, Any]]:
    given = [
        part for value in ("rbac.aggregate=false", "crds.install=false", *values) for part in ("--set-json", value)
    ]
    command = [str(binary("helm")), "template", release, str(CHART), "--namespace", LEASES_IN, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def _grant(api: ClusterApi, objects: list[dict[str, Any]], users: list[str]) -> None:
    """The release's roles, bound to these users instead of its account."""
    for one in objects:
        if "Role" in one["kind"]:
            plural, metadata = one["kind"].lower() + "s", one["metadata"]
            within = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
            body = dict(one)
            if "subjects" in body:
                body["subjects"] = [
                    {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users
                ]
            api.apply(f"{RBAC}{within}/{plural}/{metadata['name']}", body, query="force=true")

"""The two ways in which tests talk to the API server: the real kubectl, and plain HTTP with a client certificate."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from e2e.cluster.binaries import binary
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.waiting import wait_for

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CRD = Path(__file__).parents[1] / "crds" / "modeldeployments.yaml"
GROUP = "/apis/modelport.io/v1alpha1"
_CLOSED = (ConnectionError, ssl.SSLError, http.client.HTTPException)
"""The API server closed the idle connection, or restarted."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl with one kubeconfig and namespace; discovery is cached beside the kubeconfig."""

    kubeconfig: Path
    namespace: str = "default"

    def __call__(self, *arguments: str, stdin: str | None = None, check: bool = True) -> Done:
        """Run it. With `check` a failure raises with what kubectl said."""
        cache = self.kubeconfig.parent / "kubectl-cache"
        fixed = [f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", f"--namespace={self.namespace}"]
        done = subprocess.run(
            [str(binary("kubectl")), *fixed, *arguments], input=stdin or "", capture_output=True, text=True, timeout=120
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return Done(done.returncode, done.stdout, done.stderr)

    def apply(self, *manifests: Mapping[str, Any], check: bool = True, options: tuple[str, ...] = ()) -> Done:
        """`kubectl apply` of objects given as dicts."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        document = manifests[0] if len(manifests) == 1 else items
        return self("apply", *options, "-f", "-", stdin=json.dumps(document), check=check)


def install_crd(plane: ControlPlane) -> None:
    """Apply the CRD, and wait until it is served; `kubectl wait` does not, and fails as long as there is no status."""
    Kubectl(plane.kubeconfig)("apply", "--server-side", "-f", str(CRD))
    wait_for("the API server serves the CRD", lambda: plane.api.ok(f"{GROUP}/modeldeployments"), 60)


class ClusterApi:
    """One keep-alive connection to the API server: `api.request("PATCH", path, body, APPLY)` -> (status, document)."""

    def __init__(self, plane: ControlPlane) -> None:
        self._context = ssl.create_default_context(cafile=str(plane.authority.certificate))
        admin = plane.authority.issue("admin", "modelport-admin", ["system:masters"])
        self._context.load_cert_chain(admin.certificate, admin.key)
        self._address = urlsplit(plane.server)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, context=self._context, timeout=60
        )

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Status and decoded answer."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        try:
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
        except _CLOSED:
            self._connection.close()
            self._connection = self._connect()
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def get(self, path: str) -> Any:
        """The document at the path; AssertionError where there is none."""
        return self._demand("GET", path)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST to a collection."""
        return self._demand("POST", path, body)

    def apply(self, path: str, body: Mapping[str, Any], manager: str = "tests", query: str = "") -> Any:
        """Server-side apply to the object's path; `query` may be `dryRun=All` or `force=true`."""
        return self._demand("PATCH", f"{path}?fieldManager={manager}{query and '&' + query}", body, APPLY)

    def _demand(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> Any:
        status, document = self.request(method, path, body, content_type)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {document and document.get('message')}")
        return document

    def __enter__(self) -> ClusterApi:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

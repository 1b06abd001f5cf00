"""A mutating webhook that adds a sidecar to Deployments, as service meshes and secret injectors do: a real one, over TLS."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from e2e.cluster.controlplane import ControlPlane
from tests.cluster import ClusterApi

SIDECAR = {"name": "injected", "image": "mesh:1"}
ANNOTATION = "mesh.example.com/injected"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class _Injects(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": True}
        if patch := _patch(review["request"]["object"]["spec"]["template"]):
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _patch(template: dict[str, Any]) -> list[dict[str, Any]]:
    """What it adds; nothing where it is there already."""
    if any(container["name"] == SIDECAR["name"] for container in template["spec"]["containers"]):
        return []
    annotations = template["metadata"].get("annotations", {})
    return [
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {**annotations, ANNOTATION: "true"}},
        {"op": "add", "path": "/spec/template/spec/containers/0", "value": SIDECAR},
        {"op": "add", "path": "/spec/template/spec/containers/1/env/-", "value": {"name": "MESH", "value": "on"}},
    ]


@contextmanager
def injecting(plane: ControlPlane, api: ClusterApi, namespace: str) -> Iterator[None]:
    """Every Deployment of the namespace gets the sidecar, as long as the block lasts."""
    pair = plane.authority.issue("injector", "injector", hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Injects) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        bundle = base64.b64encode(plane.authority.certificate.read_bytes()).decode()
        url = f"https://127.0.0.1:{server.server_address[1]}/"
        webhook = {
            "name": "inject.mesh.example.com",
            "clientConfig": {"url": url, "caBundle": bundle},
            "rules": [
                {
                    "operations": ["CREATE", "UPDATE"],
                    "apiGroups": ["apps"],
                    "apiVersions": ["v1"],
                    "resources": ["deployments"],
                }
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        api.create(CONFIGURATIONS, {"metadata": {"name": namespace}, "webhooks": [webhook]})
        try:
            yield
        finally:
            api.request("DELETE", f"{CONFIGURATIONS}/{namespace}")
            server.shutdown()
            thread.join()

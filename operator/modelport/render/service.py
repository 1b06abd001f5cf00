"""The Service: named ports on the pods whose model has answered."""

from __future__ import annotations

from modelport.api.names import PORT_HTTP
from modelport.runtimes.base import ServerFacts

from .desired import Child, Identity
from .metadata import make_child, selector


def service(identity: Identity, facts: ServerFacts, version: str) -> Child:
    ports = [
        {"name": name, "port": number, "targetPort": name, "protocol": "TCP"} for name, number in facts.ports.items()
    ]
    content = {"spec": {"type": "ClusterIP", "selector": selector(identity.name), "ports": ports}}
    return make_child(identity, "Service", content, version)


def url(identity: Identity) -> str:
    """Where clients inside the cluster reach the model."""
    return f"http://{identity.name}.{identity.namespace}.svc:{PORT_HTTP}"

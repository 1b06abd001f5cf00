"""The kinds that the operator talks about, and where the API server keeps them. It must never send anything."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.api import names


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    api_version: str
    name: str
    plural: str
    metadata_only: bool = False
    """What is decided about it is decided on its metadata: no more of it is ever fetched."""

    def media_type(self, form: str = "") -> str:
        """In which one of its objects is asked for, or with the form `List` all of them."""
        as_metadata = f"as=PartialObjectMetadata{form};g=meta.k8s.io;v=v1"
        return f"application/json;{as_metadata}" if self.metadata_only else "application/json"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path of the collection, of one object, or of its subresource; without a namespace, of all namespaces."""
        parts = ["/apis" if "/" in self.api_version else "/api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/".join(parts)


MODEL_DEPLOYMENT = Kind(names.API_VERSION, names.KIND, names.PLURAL)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
SERVICE = Kind("v1", "Service", "services", metadata_only=True)
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps", metadata_only=True)
POD = Kind("v1", "Pod", "pods")
NODE = Kind("v1", "Node", "nodes")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
NAMESPACE = Kind("v1", "Namespace", "namespaces")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

CHILD_KINDS = {kind.name: kind for kind in (DEPLOYMENT, SERVICE, CONFIG_MAP)}
"""What is applied for a resource."""
WATCHED = (DEPLOYMENT, SERVICE, CONFIG_MAP, REPLICA_SET, POD)
"""What carries our label, whoever made it."""

"""Metadata of children: names, labels, owner, and the hashes that tell whether anything is to be written."""

from __future__ import annotations

from typing import Any

from modelport.api import names

from .desired import Child, Identity
from .hashing import short_hash

API_VERSIONS = {"ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1"}


def selector(name: str) -> dict[str, str]:
    """The labels by which Service and Deployment find the pods. They never change."""
    return {names.LABEL_NAME: name, names.LABEL_ROLE: names.ROLE_SERVER}


def labels(name: str) -> dict[str, str]:
    """The labels of every child and pod."""
    return {**selector(name), names.LABEL_MANAGED_BY: names.MANAGED_BY}


def make_child(
    identity: Identity,
    kind: str,
    content: dict[str, Any],
    version: str,
    *,
    name: str | None = None,
    annotations: dict[str, str] | None = None,
    immutable: bool = False,
) -> Child:
    """A child with its metadata. The version that rendered it is no part of the hash: an upgrade that changes nothing else
    writes nothing."""
    notes = dict(annotations or {})
    metadata = {
        "name": name or identity.name,
        "namespace": identity.namespace,
        "labels": labels(identity.name),
        "annotations": notes,
        "ownerReferences": [owner(identity)],
    }
    manifest = {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": metadata, **content}
    applied_hash = short_hash(manifest)
    notes |= {names.ANNOTATION_APPLIED_HASH: applied_hash, names.ANNOTATION_RENDERER: version}
    return Child(kind, name or identity.name, manifest, applied_hash, immutable)


def owner(identity: Identity) -> dict[str, Any]:
    """The reference by which Kubernetes removes the child with its ModelDeployment."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": identity.name,
        "uid": identity.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }

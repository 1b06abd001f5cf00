"""Kubernetes Events about ModelDeployments. It must never fail a reconcile: an Event that cannot be written is logged."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime

from modelport.api import names
from modelport.kube.client import Cluster
from modelport.kube.errors import ApiError
from modelport.kube.kinds import EVENT
from modelport.state.observed import Resource
from modelport.state.status import Event

logger = logging.getLogger(__name__)
_LONGEST_NOTE = 1024  # bytes, of the API


class Recorder:
    """Writes Events in the name of this operator."""

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance[:128]

    async def record(self, resource: Resource, event: Event) -> None:
        """Write one Event."""
        body = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": f"{resource.name}.{uuid.uuid4().hex[:16]}", "namespace": resource.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": names.GROUP,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": event.reason,
            "type": event.type,
            "note": event.message.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": resource.namespace,
                "name": resource.name,
                "uid": resource.uid,
            },
        }
        try:
            await self._cluster.create_event(resource.namespace, body)
        except ApiError as problem:
            logger.warning("Event %s: %s", event.reason, problem, extra={"key": (resource.namespace, resource.name)})

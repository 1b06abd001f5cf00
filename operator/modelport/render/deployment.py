"""The Deployment around the pod template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelport.api.names import ANNOTATION_SPEC_HASH
from modelport.runtimes.base import Budget

from .desired import Child, Identity
from .metadata import make_child, selector

SCHEDULING_SECONDS = 600
"""Until a node is there (autoscalers start machines) and the images, often 10 GB, are pulled."""
REVISIONS_KEPT = 3


def deadline(budget: Budget) -> int:
    """Seconds after which a roll-out without progress is reported."""
    return SCHEDULING_SECONDS + budget.fetch + budget.load


def deployment(
    identity: Identity, template: Mapping[str, Any], *, replicas: int, deadline: int, spec_hash: str, version: str
) -> Child:
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": REVISIONS_KEPT,
        "progressDeadlineSeconds": deadline,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": selector(identity.name)},
        "template": template,
    }
    return make_child(identity, "Deployment", {"spec": spec}, version, annotations={ANNOTATION_SPEC_HASH: spec_hash})

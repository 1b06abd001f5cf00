"""The Deployment around the pod template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelport.api.names import ANNOTATION_APPLIED_HASH, ANNOTATION_SPEC_HASH, ANNOTATION_TEMPLATE_HASH
from modelport.runtimes.base import Budget

from .desired import Child, Desired, Identity, Strategy
from .hashing import short_hash
from .metadata import make_child, selector

SCHEDULING_SECONDS = 600
"""Until a node is there (autoscalers start machines) and the images, often 10 GB, are pulled."""
REVISIONS_KEPT = 3


def deadline(budget: Budget) -> int:
    """Seconds after which a roll-out without progress is reported."""
    return SCHEDULING_SECONDS + budget.fetch + budget.load


def deployment(
    identity: Identity,
    template: Mapping[str, Any],
    *,
    replicas: int,
    deadline: int,
    strategy: Strategy,
    hashes: tuple[str, str],
    version: str,
) -> Child:
    """`hashes`: of what the spec says about the pods, and of the template that was made of it."""
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": REVISIONS_KEPT,
        "progressDeadlineSeconds": deadline,
        "strategy": manifest_of(strategy),
        "selector": {"matchLabels": selector(identity.name)},
        "template": template,
    }
    notes = dict(zip((ANNOTATION_SPEC_HASH, ANNOTATION_TEMPLATE_HASH), hashes, strict=True))
    return make_child(identity, "Deployment", {"spec": spec}, version, annotations=notes)


def with_strategy(desired: Desired, strategy: Strategy) -> Desired:
    """The same with another strategy, for as long as a roll-out needs it."""
    rendered = next(child for child in desired.children if child.kind == "Deployment")
    if rendered.manifest["spec"]["strategy"] == manifest_of(strategy):
        return desired
    applied_hash = short_hash([rendered.applied_hash, strategy.surge, strategy.unavailable])
    metadata = rendered.manifest["metadata"]
    annotations = {**metadata["annotations"], ANNOTATION_APPLIED_HASH: applied_hash}
    manifest = {
        **rendered.manifest,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**rendered.manifest["spec"], "strategy": manifest_of(strategy)},
    }
    changed = replace(rendered, manifest=manifest, applied_hash=applied_hash)
    return replace(desired, children=tuple(changed if child is rendered else child for child in desired.children))


def manifest_of(strategy: Strategy) -> dict[str, Any]:
    """As a Deployment's spec says it."""
    limits = {"maxSurge": strategy.surge, "maxUnavailable": strategy.unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": limits}

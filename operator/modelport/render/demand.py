"""What one pod needs of a node: its requests, as the scheduler adds them up, and which nodes may take it. Pure.

Amounts are whole thousandths of a resource's unit (cores, bytes, pieces), so that nothing is lost in sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelport.api.types import amount

Raw = Mapping[str, Any]
Amounts = Mapping[str, int]
PODS = "pods"
"""Of which a node takes a limited number, too."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one pod needs of a node, and which nodes may take it."""

    amounts: Amounts
    selector: Mapping[str, str] = field(default_factory=dict)
    terms: tuple[Raw, ...] | None = None
    """Node selector terms, one of which has to fit; None where any node will do."""
    tolerations: tuple[Raw, ...] = ()

    @property
    def devices(self) -> Amounts:
        """The extended resources among it, such as nvidia.com/gpu: those that are scarce."""
        return {name: number for name, number in self.amounts.items() if "/" in name}


def demand_of(pod_spec: Raw) -> Demand:
    """What a pod with this spec needs: the sum of its containers and sidecars, or what a step before them needs if that is more."""
    affinity = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return Demand(
        amounts=_requests(pod_spec),
        selector=pod_spec.get("nodeSelector") or {},
        terms=None if affinity is None else tuple(affinity.get("nodeSelectorTerms") or ()),
        tolerations=tuple(pod_spec.get("tolerations") or ()),
    )


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _requests(pod_spec: Raw) -> dict[str, int]:
    running: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in pod_spec.get("initContainers") or ():
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":
            running = total(running, asked)
            peak = _most(peak, running)
        else:
            peak = _most(peak, total(running, asked))
    for container in pod_spec.get("containers") or ():
        running = total(running, _asked(container))
    overhead = {name: milli(value) for name, value in (pod_spec.get("overhead") or {}).items()}
    return {**total(_most(peak, running), overhead), PODS: 1000}


def _asked(container: Raw) -> dict[str, int]:
    """Its requests; what only has a limit is asked for as much."""
    resources = container.get("resources") or {}
    given = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: milli(value) for name, value in given.items()}


def milli(quantity: int | str) -> int:
    """Thousandths, rounded up as the scheduler does."""
    return -int(-amount(quantity) * 1000 // 1)


def total(one: Amounts, other: Amounts) -> dict[str, int]:
    """Both together."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def _most(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()}

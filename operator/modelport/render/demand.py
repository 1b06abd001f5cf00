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


def demand_of(pod_spec: Any) -> Demand:
    """What a pod with this spec needs: the sum of its containers and sidecars, or what a step before them needs if that is more.
    What makes no sense counts as not there; the API server says what is wrong with it."""
    spec = _map(pod_spec)
    required = _map(_map(_map(spec.get("affinity")).get("nodeAffinity")).get(_REQUIRED))
    return Demand(
        amounts=_requests(spec),
        selector=_map(spec.get("nodeSelector")),
        terms=tuple(_maps(required.get("nodeSelectorTerms"))) if required else None,
        tolerations=tuple(_maps(spec.get("tolerations"))),
    )


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _map(value: Any) -> Raw:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Raw]:
    return [_map(item) for item in value] if isinstance(value, list) else []


def _requests(pod_spec: Raw) -> dict[str, int]:
    running: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in _maps(pod_spec.get("initContainers")):
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":
            running = total(running, asked)
            peak = _most(peak, running)
        else:
            peak = _most(peak, total(running, asked))
    for container in _maps(pod_spec.get("containers")):
        running = total(running, _asked(container))
    return {**total(_most(peak, running), _amounts(pod_spec.get("overhead"))), PODS: 1000}


def _asked(container: Raw) -> dict[str, int]:
    """Its requests; what only has a limit is asked for as much."""
    resources = _map(container.get("resources"))
    return {**_amounts(resources.get("limits")), **_amounts(resources.get("requests"))}


def _amounts(quantities: Any) -> dict[str, int]:
    return {str(name): milli(value) for name, value in _map(quantities).items()}


def milli(quantity: Any) -> int:
    """Thousandths, rounded up as the scheduler does; none of what is no quantity."""
    try:
        return -int(-amount(quantity) * 1000 // 1)
    except (ValueError, OverflowError):
        return 0


def total(one: Amounts, other: Amounts) -> dict[str, int]:
    """Both together."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def _most(one: Amounts, other: Amounts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()}

"""How many more pods of a kind the cluster has room for, counted as the scheduler would. Pure.

What is not counted (volumes, ports, spreading, affinity to other pods) can only make the answer too high: the breaker is there
for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelport.render.demand import PODS, Amounts, Demand, Raw, demand_of, milli, total

_BLOCKING = frozenset({"NoSchedule", "NoExecute"})
_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Node:
    """A node, and what is still free on it."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Raw, ...]
    open: bool
    """It is ready and not cordoned."""
    whole: Amounts
    free: Amounts


@dataclass(frozen=True, slots=True)
class Quota:
    """What a namespace may still ask for, by resource as a pod names it."""

    name: str
    left: Amounts


@dataclass(frozen=True, slots=True)
class Room:
    """The answer, with its arithmetic."""

    slots: int
    nodes: int
    """Nodes that may take such a pod at all."""
    claimed: int
    """Slots that pods which wait for a node will take."""
    quota: str | None = None
    """The quota that leaves fewer than the nodes do."""


def room(demand: Demand, nodes: Sequence[Node], waiting: Iterable[Demand], quotas: Iterable[Quota]) -> Room:
    """How many pods with this demand still fit, after those that wait have got theirs."""
    able = [node for node in nodes if admits(node, demand)]
    there = sum(_fits(node.free, demand) for node in able)
    left = {node.name: dict(node.free) for node in nodes}
    for pod in waiting:
        _place(pod, nodes, left)
    free = sum(_fits(left[node.name], demand) for node in able)
    allowed = {quota.name: _fits(quota.left, demand, missing=None) for quota in quotas}
    tightest = min(allowed, key=lambda name: allowed[name], default=None)
    if tightest is not None and allowed[tightest] < free:
        return Room(allowed[tightest], len(able), there - free, tightest)
    return Room(free, len(able), there - free)


def admits(node: Node, demand: Demand) -> bool:
    """Whether the node may take such a pod, had it room."""
    return (
        node.open
        and all(node.labels.get(key) == value for key, value in demand.selector.items())
        and (demand.terms is None or any(_term(node, term) for term in demand.terms))
        and all(any(_tolerates(one, taint) for one in demand.tolerations) for taint in node.taints)
        and all(node.whole.get(name, 0) >= number for name, number in demand.amounts.items())
    )


def _place(pod: Demand, nodes: Sequence[Node], left: Mapping[str, dict[str, int]]) -> None:
    """Give it the first place that it fits into, as if it were there already."""
    for node in nodes:
        if admits(node, pod) and _fits(left[node.name], pod):
            for name, number in pod.amounts.items():
                left[node.name][name] = left[node.name].get(name, 0) - number
            return


def _fits(free: Amounts, demand: Demand, missing: int | None = 0) -> int:
    """How often the demand fits into what is free; a resource that is not named there is `missing`, None: without limit."""
    limits = [
        free.get(name, missing) // number if free.get(name, missing) is not None else None  # type: ignore[operator]
        for name, number in demand.amounts.items()
        if number
    ]
    return max(0, min((limit for limit in limits if limit is not None), default=_MANY))


_MANY = 1_000_000


def _tolerates(toleration: Raw, taint: Raw) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _term(node: Node, term: Raw) -> bool:
    """All of its expressions hold; a term without any fits no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    return bool(expressions or fields) and (
        all(_expression(one, node.labels) for one in expressions)
        and all(_expression(one, {"metadata.name": node.name}) for one in fields)
    )


def _expression(wanted: Raw, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(wanted["key"]), wanted.get("values") or ()
    return _OPERATORS[wanted["operator"]](value, values) if wanted.get("operator") in _OPERATORS else False


def _compared(value: str | None, values: Sequence[str], holds: Callable[[int, int], bool]) -> bool:
    try:
        return value is not None and len(values) == 1 and holds(int(value), int(values[0]))
    except ValueError:
        return False


_OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
    "Gt": lambda value, values: _compared(value, values, lambda a, b: a > b),
    "Lt": lambda value, values: _compared(value, values, lambda a, b: a < b),
}


@dataclass(frozen=True, slots=True)
class Use:
    """What a pod takes, and of which node; None while it waits for one."""

    node: str | None
    demand: Demand


def use_of(pod: Raw) -> Use | None:
    """From the API server's JSON; None of a pod that takes nothing any more, or will never take anything."""
    node = pod["spec"].get("nodeName") or None
    over = (pod.get("status") or {}).get("phase") in _OVER or (node is None and "deletionTimestamp" in pod["metadata"])
    return None if over else Use(node, demand_of(pod["spec"]))


def nodes_of(nodes: Iterable[Raw], uses: Iterable[Use]) -> tuple[tuple[Node, ...], tuple[Demand, ...]]:
    """The nodes with what pods leave free, and the demands of pods that have none yet."""
    used: dict[str, dict[str, int]] = {}
    waiting: list[Demand] = []
    for use in uses:
        if use.node is None:
            waiting.append(use.demand)
        else:
            used[use.node] = total(used.get(use.node, {}), use.demand.amounts)
    return tuple(_node(node, used.get(node["metadata"]["name"], {})) for node in nodes), tuple(waiting)


def _node(raw: Raw, used: Amounts) -> Node:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    whole = {name: milli(value) for name, value in (status.get("allocatable") or {}).items()}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    return Node(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels") or {},
        taints=tuple(taint for taint in spec.get("taints") or () if taint.get("effect") in _BLOCKING),
        open=ready and not spec.get("unschedulable"),
        whole=whole,
        free={name: number - used.get(name, 0) for name, number in whole.items()},
    )


def quota_of(raw: Raw) -> Quota | None:
    """What a ResourceQuota leaves, by what pods ask for; None where it is about some pods only, or about other things."""
    if (raw.get("spec") or {}).get("scopes") or (raw.get("spec") or {}).get("scopeSelector"):
        return None
    status = raw.get("status") or {}
    used = status.get("used") or {}
    left = {
        _LIMITED.get(name, name.removeprefix("requests.")): milli(hard) - milli(used.get(name, 0))
        for name, hard in (status.get("hard") or {}).items()
        if name in _LIMITED or name.startswith("requests.")
    }
    return Quota(raw["metadata"]["name"], left) if left else None


_LIMITED = {"pods": PODS, "cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeral-storage"}

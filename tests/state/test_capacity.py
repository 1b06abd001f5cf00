"""How many more pods fit: the scheduler's arithmetic, as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.state.capacity import (
    Demand,
    Node,
    Quota,
    Room,
    admits,
    demand_of,
    milli,
    nodes_of,
    quota_of,
    room,
    use_of,
)

GPU = "nvidia.com/gpu"


def node(gpus: int, name: str = "node-1", free: int | None = None, cpu: int = 64, **changes: Any) -> Node:
    whole = {GPU: gpus * 1000, "cpu": cpu * 1000, "pods": 110_000}
    left = {**whole, GPU: (gpus if free is None else free) * 1000}
    return replace(Node(name, {}, (), True, whole, left), **changes)


def asks(gpus: int = 1, cpu: int = 1, **changes: Any) -> Demand:
    return replace(Demand({GPU: gpus * 1000, "cpu": cpu * 1000, "pods": 1000}), **changes)


TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
ROOMS: dict[str, tuple[Demand, list[Node], list[Demand], list[Quota], Room]] = {
    "one GPU, and it is in use": (asks(), [node(1, free=0)], [], [], Room(0, 1, 0)),
    "two halves of a node": (asks(4), [node(8)], [], [], Room(2, 1, 0)),
    "free GPUs on two nodes do not add up": (asks(2), [node(8, free=1), node(8, "b", free=1)], [], [], Room(0, 2, 0)),
    "the CPU ends first": (asks(1, cpu=40), [node(8)], [], [], Room(1, 1, 0)),
    "a pod that waits will take the last": (asks(), [node(2, free=1)], [asks()], [], Room(0, 1, 1)),
    "one that waits for more than there is takes nothing": (asks(), [node(2, free=1)], [asks(2)], [], Room(1, 1, 0)),
    "one that waits for CPU alone": (asks(), [node(2, free=1)], [Demand({"cpu": 1000})], [], Room(1, 1, 0)),
    "a cordoned node": (asks(), [node(1, open=False), node(1, "b")], [], [], Room(1, 1, 0)),
    "a taint": (asks(), [node(8, taints=(TAINT,))], [], [], Room(0, 0, 0)),
    "a node that is too small for ever": (asks(4), [node(2)], [], [], Room(0, 0, 0)),
    "a quota": (
        asks(),
        [node(8)],
        [],
        [Quota("few", {GPU: 2000}), Quota("pods", {"pods": 50_000})],
        Room(2, 1, 0, "few"),
    ),
    "a quota that is used up": (asks(), [node(8)], [], [Quota("few", {GPU: -1000})], Room(0, 1, 0, "few")),
    "a quota about something else": (asks(), [node(8)], [], [Quota("disk", {"requests.storage": 0})], Room(8, 1, 0)),
    "no node at all": (asks(), [], [], [], Room(0, 0, 0)),
}


@pytest.mark.parametrize("what", ROOMS)
def test_room(what: str) -> None:
    demand, nodes, waiting, quotas, expected = ROOMS[what]
    assert room(demand, nodes, waiting, quotas) == expected


def term(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


LABELS = {"zone": "a", "memory": "81920"}


@pytest.mark.parametrize(
    ("demand", "taken"),
    [
        (asks(selector={"zone": "a"}), True),
        (asks(selector={"zone": "b"}), False),
        (asks(terms=(term("zone", "In", "a", "b"),)), True),
        (asks(terms=(term("zone", "NotIn", "a"), term("zone", "Exists"))), True),
        (asks(terms=(term("zone", "NotIn", "a"),)), False),
        (asks(terms=(term("other", "NotIn", "a"),)), True),
        (asks(terms=(term("zone", "DoesNotExist"),)), False),
        (asks(terms=(term("memory", "Gt", "40000"),)), True),
        (asks(terms=(term("memory", "Lt", "40000"),)), False),
        (asks(terms=(term("zone", "Gt", "1"),)), False),
        (asks(terms=(term("zone", "Near", "a"),)), False),
        (asks(terms=({},)), False),
        (asks(terms=()), False),
        (asks(terms=({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]},)), True),
        (asks(terms=({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]},)), False),
    ],
)
def test_which_nodes_may_take_it(demand: Demand, taken: bool) -> None:
    assert admits(node(1, labels=LABELS), demand) is taken


@pytest.mark.parametrize(
    ("toleration", "taken"),
    [
        ({"key": GPU, "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": GPU, "value": "present", "effect": "NoSchedule"}, True),
        ({"key": GPU, "value": "present"}, True),
        ({"key": GPU, "value": "other"}, False),
        ({"key": GPU, "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], taken: bool) -> None:
    assert admits(node(1, taints=(TAINT,)), asks(tolerations=(toleration,))) is taken


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("500m"), container("1")]}, 1500),
        ({"containers": [container("1")], "initContainers": [container("3")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("250m", restartPolicy="Always")]}, 1250),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always"), container("2")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("2"), container("1", restartPolicy="Always")]}, 2000),
        ({"containers": [{"resources": {"limits": {"cpu": "2"}}}], "overhead": {"cpu": "100m"}}, 2100),
    ],
)  # fmt: skip
def test_what_a_pod_asks_for(spec: dict[str, Any], cpu: int) -> None:
    assert demand_of(spec).amounts == {"cpu": cpu, "pods": 1000}


def pod(cpu: str, node_name: str | None, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": metadata,
        "spec": {"nodeName": node_name, "containers": [container(cpu)]},
        "status": {"phase": phase},
    }


def test_nodes_from_what_the_api_server_says() -> None:
    raw = {
        "metadata": {"name": "node-1", "labels": {"zone": "a"}},
        "spec": {"taints": [TAINT, {"key": "soft", "effect": "PreferNoSchedule"}]},
        "status": {
            "allocatable": {"cpu": "7910m", "memory": "16Ki", GPU: "2", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    pods = [
        pod("1", "node-1"),
        pod("2", "node-1", "Succeeded"),
        pod("3", None, "Pending"),
        pod("4", None, "Pending", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("5", "gone"),
    ]
    (found,), waiting = nodes_of([raw], [use for one in pods if (use := use_of(one)) is not None])
    whole = {"cpu": 7910, "memory": 16 * 1024 * 1000, GPU: 2000, "pods": 110_000}
    assert found == Node("node-1", {"zone": "a"}, (TAINT,), True, whole, {**whole, "cpu": 6910, "pods": 109_000})
    assert [one.amounts["cpu"] for one in waiting] == [3000]
    cordoned = nodes_of([{**raw, "spec": {"unschedulable": True}}], [])[0][0]
    assert not cordoned.open


def test_a_quota_from_what_the_api_server_says() -> None:
    status = {
        "hard": {f"requests.{GPU}": "4", "limits.memory": "1Gi", "pods": "10", "memory": "2Ki", "services": "1"},
        "used": {f"requests.{GPU}": "3", "pods": "12"},
    }
    raw = {"metadata": {"name": "few"}, "spec": {"hard": {}}, "status": status}
    assert quota_of(raw) == Quota("few", {GPU: 1000, "pods": -2000, "memory": 2048 * 1000})
    assert quota_of({**raw, "spec": {"scopes": ["BestEffort"]}}) is None
    assert quota_of({**raw, "status": {"hard": {"services": "1"}}}) is None


@pytest.mark.parametrize(
    ("quantity", "thousandths"), [("1", 1000), ("500m", 500), ("0.1", 100), ("1Ki", 1_024_000), (3, 3000)]
)
def test_thousandths(quantity: int | str, thousandths: int) -> None:
    assert milli(quantity) == thousandths


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=6), st.integers(1, 4), st.integers(0, 10))
def test_there_is_room_for_as_many_as_said_and_for_no_more(
    sizes: list[tuple[int, int]], gpus: int, waiting: int
) -> None:
    """Filled up with that many pods, none is left over, and no further one fits."""
    nodes = [node(max(whole, free), f"node-{n}", free=free) for n, (whole, free) in enumerate(sizes)]
    others = [asks(1)] * waiting
    found = room(asks(gpus), nodes, others, ())
    assert room(asks(gpus), nodes, [*others, *[asks(gpus)] * found.slots], ()).slots == 0
    if found.slots:
        assert room(asks(gpus), nodes, [*others, *[asks(gpus)] * (found.slots - 1)], ()).slots == 1

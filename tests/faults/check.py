"""After every fault: is everything as it should be? Asked of the API server alone, and never of the operator.

Every resource's children are what `modelport render` prints, nothing is left over, nothing is there twice, no edit was
lost, and every status is true.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from e2e.pods import running
from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render
from tests.cluster import STRATEGIC
from tests.engine.harness import Engine

KINDS = {"ConfigMap": "configmaps", "Service": "services", "Deployment": "deployments"}
Json = dict[str, Any]
World = dict[str, dict[str, Json]]
"""plural -> name -> object."""


def everything_is_as_it_should_be(
    engine: Engine, unready: frozenset[str] = frozenset(), *, within: float = 60.0, counts: bool = False
) -> None:
    """Wait for it, and play the node meanwhile, on which only the pods of `unready` resources never become ready. With
    `counts` the status has to name the children that there are, too, which it may do half a minute later."""
    end = time.monotonic() + within
    while problems := list(_wrong(engine, unready, counts)):
        if time.monotonic() > end:
            log = engine.operator.log.read_text()[-3000:]
            raise AssertionError("\n".join([f"not within {within:g} s:", *problems[:30], log]))
        time.sleep(0.25)


def play(engine: Engine, unready: frozenset[str] = frozenset()) -> None:
    """What a kubelet tells of pods that run and are ready, all but those of `unready` resources."""
    _run({pod["metadata"]["name"]: pod for pod in engine.items("pods")}, engine, unready)


def _run(pods: dict[str, Json], engine: Engine, unready: frozenset[str]) -> None:
    for name, pod in pods.items():
        if pod["metadata"]["labels"]["modelport.io/name"] in unready or "deletionTimestamp" in pod["metadata"]:
            continue
        if _condition(pod, "Ready").get("status") != "True":
            engine.api.request("PATCH", engine.path("pods", name) + "/status", {"status": running(pod)}, STRATEGIC)


def _wrong(engine: Engine, unready: frozenset[str], counts: bool) -> Iterator[str]:
    resources = {item["metadata"]["name"]: item for item in engine.api.get(engine.at)["items"]}
    plurals = (*KINDS.values(), "replicasets", "pods")
    world = {kind: {item["metadata"]["name"]: item for item in engine.items(kind)} for kind in plurals}
    _run(world["pods"], engine, unready)
    expected = {name: render(_identity(item), item["spec"], Platform()) for name, item in resources.items()}
    seen = False
    for name, item in resources.items():
        desired = expected[name]
        assert isinstance(desired, Desired), f"{name}: {desired.message}"
        told = [*_untrue(item, world, unready), *_missing(desired, world), *(_uncounted(item, world) if counts else ())]
        seen = seen or bool(told)
        yield from (f"{name}: {problem}" for problem in told)
    left = list(_left_over({name: d for name, d in expected.items() if isinstance(d, Desired)}, resources, world))
    yield from left
    if not seen and not left:  # it costs a request for each child, so it comes last
        for name, desired in expected.items():
            assert isinstance(desired, Desired)
            yield from (f"{name}: {problem}" for problem in _different(engine, desired, world))


def _identity(item: Json) -> Identity:
    metadata = item["metadata"]
    return Identity(metadata["namespace"], metadata["name"], metadata["uid"])


def _missing(desired: Desired, world: World) -> Iterator[str]:
    for child in desired.children:
        if child.name not in world[KINDS[child.kind]]:
            yield f"{child.kind} {child.name} is missing"


def _different(engine: Engine, desired: Desired, world: World) -> Iterator[str]:
    """What another apply of what is rendered would change, ownership of fields included."""
    for child in desired.children:
        path = engine.path(KINDS[child.kind], child.name)
        live = engine.find(path)
        applied = engine.api.apply(path, child.manifest, manager="modelport", query="force=true&dryRun=All")
        if live is None or _lasting(live) != _lasting(applied):
            yield f"{child.kind} {child.name} is not as it is rendered"


def _lasting(item: Json) -> Json:
    """Without what every write changes, or somebody else may change meanwhile."""
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    ours = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in item["metadata"]["managedFields"]
        if entry["manager"] == "modelport"
    ]
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": {**metadata, "ours": ours}}


def _left_over(expected: dict[str, Desired], resources: dict[str, Json], world: World) -> Iterator[str]:
    """What belongs to nobody, or is there twice."""
    wanted = {(KINDS[child.kind], child.name) for desired in expected.values() for child in desired.children}
    used = {name for revision in world["replicasets"].values() for name in _config_maps(revision)}
    uids = {item["metadata"]["uid"] for item in resources.values()}
    uids |= {item["metadata"]["uid"] for kind in ("deployments", "replicasets") for item in world[kind].values()}
    for kind, items in world.items():
        for name, item in items.items():
            owners = [owner["uid"] for owner in item["metadata"].get("ownerReferences", []) if owner.get("controller")]
            if not uids.issuperset(owners) or not owners:
                yield f"{kind} {name} belongs to nobody"
            elif kind in KINDS.values() and (kind, name) not in wanted and name not in used:
                yield f"{kind} {name} is left over"


def _config_maps(revision: Json) -> Iterator[str]:
    for volume in revision["spec"]["template"]["spec"].get("volumes", []):
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            yield source.get("configMap", {}).get("name", "")


def _untrue(item: Json, world: World, unready: frozenset[str]) -> Iterator[str]:
    """What the status says and is not so."""
    name, generation, status = item["metadata"]["name"], item["metadata"]["generation"], item.get("status", {})
    ready = _condition(item, "Ready")
    if status.get("observedGeneration") != generation or ready.get("observedGeneration") != generation:
        yield f"generation {generation} was not observed"
    if (ready.get("status") == "True") != (name not in unready):
        yield f"Ready is {ready.get('status')}: {ready.get('reason')} {ready.get('message')}"
    pods = [pod for pod in world["pods"].values() if pod["metadata"]["labels"]["modelport.io/name"] == name]
    if len(pods) != item["spec"].get("replicas", 1):
        yield f"{len(pods)} pods"


def _uncounted(item: Json, world: World) -> Iterator[str]:
    name, status = item["metadata"]["name"], item.get("status", {})
    listed = {(child["kind"], child["name"], child["uid"]) for child in status.get("children", [])}
    there = {
        (kind, child["metadata"]["name"], child["metadata"]["uid"])
        for kind, plural in KINDS.items()
        for child in world[plural].values()
        if child["metadata"]["labels"]["modelport.io/name"] == name
    }
    if listed != there:
        yield f"status.children lacks {there - listed} and names {listed - there}"


def _condition(item: Json, kind: str) -> Json:
    conditions = item.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})

"""What Kubernetes' own controllers and the kubelet would do, each a step that a test takes when it likes: garbage
collection, the end of a namespace, ReplicaSets and pods of Deployments, and pods that become ready."""

from __future__ import annotations

from typing import Any

from e2e.pods import running
from modelport.kube.kinds import DEPLOYMENT, NAMESPACE, POD, REPLICA_SET, Kind
from modelport.render.hashing import short_hash
from tests.memory.requests import Json, Place
from tests.memory.server import Server
from tests.memory.twins import MERGE

_HASH, _REVISION = "pod-template-hash", "deployment.kubernetes.io/revision"


def collect_garbage(server: Server) -> None:
    """Delete everything whose owners are all gone, and what that leaves without owners."""
    while True:
        alive = {stored.body["metadata"]["uid"] for stored in server.objects.values()}
        orphans = [
            place
            for place, stored in server.objects.items()
            if (owners := stored.body["metadata"].get("ownerReferences"))
            and "deletionTimestamp" not in stored.body["metadata"]
            and not any(owner["uid"] in alive for owner in owners)
        ]
        if not orphans:
            return
        for place in orphans:
            _delete(server, place)


def end_namespaces(server: Server) -> None:
    """Empty the namespaces that are being deleted, and take away those that are empty."""
    for namespace in server.find(NAMESPACE):
        if "deletionTimestamp" not in namespace["metadata"]:
            continue
        name = namespace["metadata"]["name"]
        for place in [place for place in server.objects if place.namespace == name]:
            _delete(server, place)
        if not any(place.namespace == name for place in server.objects):
            server.remove(Place(NAMESPACE, "", name))


def deploy(server: Server) -> None:
    """One step of every roll-out: new pods first, and the old ones go when all of the new are ready."""
    for deployment in server.find(DEPLOYMENT):
        if "deletionTimestamp" not in deployment["metadata"]:
            _roll_out(server, deployment)


def run_pods(server: Server) -> None:
    """All pods run and are ready."""
    for pod in server.find(POD):
        if not _is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
            moment = pod["metadata"]["creationTimestamp"]
            _patch_status(server, POD, pod, running(pod, moment))


def stop_answering(server: Server) -> None:
    """No model answers any more: no pod is ready."""
    for pod in server.find(POD):
        if _is_ready(pod):
            conditions = [{**one, "status": "False"} for one in pod["status"]["conditions"]]
            _patch_status(server, POD, pod, {"conditions": conditions})


def _roll_out(server: Server, deployment: Json) -> None:
    wanted, template = deployment["spec"]["replicas"], deployment["spec"]["template"]
    suffix = short_hash(template, size=5)
    sets = sorted(_owned(server, REPLICA_SET, deployment), key=_revision)
    new = next((one for one in sets if one["metadata"]["labels"][_HASH] == suffix), None)
    new = new or _create_set(server, deployment, suffix, _revision(sets[-1]) + 1 if sets else 1)
    if new is None:
        return  # the name is not free yet, or the namespace is on its way out
    old = [one for one in sets if one is not new]
    done = sum(_is_ready(pod) for pod in _owned(server, POD, new)) >= wanted
    counts = [_scale(server, new, wanted), *(_scale(server, one, 0 if done else None) for one in old)]
    for spent in old[: -int(deployment["spec"].get("revisionHistoryLimit", 10)) or None]:
        if not _owned(server, POD, spent):
            _delete(server, _place(REPLICA_SET, spent))
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": sum(total for total, _ in counts),
        "updatedReplicas": counts[0][0],
        "readyReplicas": sum(ready for _, ready in counts),
        "availableReplicas": sum(ready for _, ready in counts),
    }
    _patch_status(server, DEPLOYMENT, deployment, status)


def _create_set(server: Server, deployment: Json, suffix: str, revision: int) -> Json | None:
    template = deployment["spec"]["template"]
    labels = {**template["metadata"]["labels"], _HASH: suffix}
    metadata = {
        "name": f"{deployment['metadata']['name']}-{suffix}",
        "labels": labels,
        "annotations": {_REVISION: str(revision)},
        "ownerReferences": [_reference(deployment)],
    }
    pods = {**template, "metadata": {**template["metadata"], "labels": labels}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pods}
    return _create(server, REPLICA_SET, deployment["metadata"]["namespace"], {"metadata": metadata, "spec": spec})


def _scale(server: Server, replica_set: Json, wanted: int | None) -> tuple[int, int]:
    """Make or delete pods until there are so many (None: as many as it says itself); pods, and how many are ready."""
    namespace, name = replica_set["metadata"]["namespace"], replica_set["metadata"]["name"]
    if wanted is not None and replica_set["spec"]["replicas"] != wanted:
        server.request("PATCH", REPLICA_SET.path(namespace, name), {"spec": {"replicas": wanted}}, MERGE)
    wanted = replica_set["spec"]["replicas"] if wanted is None else wanted
    pods = _owned(server, POD, replica_set)
    for pod in pods[wanted:]:
        _delete(server, _place(POD, pod))
    template = replica_set["spec"]["template"]
    for number in range(len(pods), wanted):
        metadata = {**template["metadata"], "name": f"{name}-{server.history.version}-{number}"}
        metadata["ownerReferences"] = [_reference(replica_set)]
        _create(server, POD, namespace, {"metadata": metadata, "spec": {**template["spec"], "nodeName": "played"}})
    found = _owned(server, POD, replica_set)
    return len(found), sum(map(_is_ready, found))


def _owned(server: Server, kind: Kind, owner: Json) -> list[Any]:
    """The objects of a kind that the owner controls, and that are not being deleted."""
    return [
        one
        for one in server.find(kind, owner["metadata"]["namespace"])
        if "deletionTimestamp" not in one["metadata"]
        and any(ref["uid"] == owner["metadata"]["uid"] for ref in one["metadata"].get("ownerReferences") or ())
    ]


def _revision(replica_set: Json) -> int:
    return int(replica_set["metadata"]["annotations"][_REVISION])


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _reference(owner: Json) -> dict[str, Any]:
    metadata = owner["metadata"]
    who = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {**who, "controller": True, "blockOwnerDeletion": True}


def _patch_status(server: Server, kind: Kind, document: Json, status: Json) -> None:
    path = kind.path(document["metadata"]["namespace"], document["metadata"]["name"], "status")
    server.request("PATCH", f"{path}?fieldManager=controllers", {"status": status}, MERGE)


def _create(server: Server, kind: Kind, namespace: str, body: Json) -> Json | None:
    """The object, if it could be created."""
    code, document = server.request("POST", f"{kind.path(namespace)}?fieldManager=controllers", body)
    return document if code == 201 else None


def _delete(server: Server, place: Place) -> None:
    server.request("DELETE", place.kind.path(place.namespace or None, place.name))


def _place(kind: Kind, document: Json) -> Place:
    return Place(kind, document["metadata"]["namespace"], document["metadata"]["name"])

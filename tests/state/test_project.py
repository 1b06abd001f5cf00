"""From the API server's JSON to what decisions look at."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelport.state.observed import ContainerFacts, DeploymentFacts, PodFacts, ReplicaSetFacts
from modelport.state.ownership import covers
from modelport.state.project import owned_digest, project_child, project_resource

OWNER = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "name": "a", "uid": "u", "controller": True}


def raw(kind: str, **fields: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "models",
        "name": "a",
        "uid": "uid-a",
        "resourceVersion": "12",
        "generation": 3,
        "labels": {"modelport.io/name": "a"},
        "annotations": {"modelport.io/applied-hash": "h"},
        "ownerReferences": [{**OWNER, "uid": "other", "controller": False}, OWNER],
    }
    return {"kind": kind, "metadata": {**metadata, **fields.pop("metadata", {})}, **fields}


def test_a_resource() -> None:
    seen = project_resource(raw("ModelDeployment", spec={"runtime": "vllm"}))
    assert (seen.namespace, seen.name, seen.generation, seen.paused, seen.deleting) == ("models", "a", 3, False, False)
    paused = {"annotations": {"modelport.io/reconcile": "paused"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    later = project_resource(raw("ModelDeployment", metadata=paused))
    assert (later.paused, later.deleting, dict(later.spec), dict(later.status)) == (True, True, {}, {})


def test_an_object_and_its_owner() -> None:
    child = project_child(raw("ConfigMap", data={}))
    assert (child.owner_uid, child.owner, child.applied_hash) == ("u", "ModelDeployment.modelport.io/a", "h")
    assert (child.digest, child.owned, child.facts) == (None, None, None)
    alone = project_child(raw("ConfigMap", metadata={"ownerReferences": None, "labels": None, "annotations": None}))
    assert (alone.owner_uid, alone.owner, alone.resource_name, alone.applied_hash) == (None, None, "", None)


def test_a_deployment_before_and_after_its_controller_saw_it() -> None:
    assert project_child(raw("Deployment", spec={"replicas": 2})).facts == DeploymentFacts(
        3, 0, 2, 0, 0, 0, 0, False, None
    )
    conditions = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
    ]
    status = {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2}
    facts = project_child(raw("Deployment", spec={"replicas": 2}, status={**status, "conditions": conditions})).facts
    assert facts == DeploymentFacts(3, 3, 2, 3, 1, 2, 2, True, "exceeded quota")


def test_a_replica_set_and_every_config_map_that_its_pods_refer_to() -> None:
    container = {
        "name": "server",
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "by-key", "key": "k"}}}, {"name": "B"}],
        "envFrom": [{"configMapRef": {"name": "all-keys"}}, {"secretRef": {"name": "no"}}],
    }
    pod = {
        "containers": [container],
        "initContainers": [{"name": "fetch", "envFrom": [{"configMapRef": {"name": "of-init"}}]}],
        "volumes": [
            {"name": "a", "configMap": {"name": "volume"}},
            {"name": "b", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {"name": "no"}}]}},
            {"name": "c", "emptyDir": {}},
        ],
    }
    template = {"metadata": {"annotations": {"modelport.io/spec-hash": "s"}}, "spec": pod}
    metadata = {"annotations": {"deployment.kubernetes.io/revision": "4"}}
    facts = project_child(raw("ReplicaSet", metadata=metadata, spec={"replicas": 0, "template": template})).facts
    assert isinstance(facts, ReplicaSetFacts)
    assert (facts.wanted, facts.revision, facts.spec_hash) == (0, 4, "s")
    assert facts.config_maps - {""} == {"by-key", "all-keys", "of-init", "volume", "projected"}


def test_a_pod_and_its_containers() -> None:
    spec = {
        "nodeName": "node-1",
        "initContainers": [{"name": "fetch", "image": "agent:1"}],
        "containers": [{"name": "server", "image": "server:1", "resources": {"limits": {"memory": "2Gi"}}}],
    }
    status = {
        "phase": "Running",
        "reason": "Evicted",
        "message": "low on memory",
        "conditions": [{"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "True"}],
        "initContainerStatuses": [
            {
                "name": "fetch",
                "ready": True,
                "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
            }
        ],
        "containerStatuses": [
            {
                "name": "server",
                "ready": False,
                "started": False,
                "restartCount": 2,
                "image": "sha256:abc",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "m"}},
            }
        ],
    }
    facts = project_child(raw("Pod", spec=spec, status=status)).facts
    assert isinstance(facts, PodFacts)
    assert (facts.phase, facts.ready, facts.node, facts.rejected, facts.unschedulable) == (
        "Running",
        False,
        "node-1",
        "Evicted: low on memory",
        None,
    )
    assert facts.containers == (
        ContainerFacts("fetch", True, True, False, 0, False, None, None, "Completed", 0, None, "agent:1"),
        ContainerFacts("server", False, False, False, 2, False, "CrashLoopBackOff", "back-off", "OOMKilled", 137, "m", "server:1", "2Gi"),
    )  # fmt: skip


def test_a_pod_that_no_node_takes() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]
    facts = project_child(raw("Pod", spec={}, status={"conditions": conditions})).facts
    assert isinstance(facts, PodFacts)
    assert (facts.phase, facts.unschedulable, facts.containers) == ("Pending", "0/1 nodes", ())


FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:modelport.io/name": {}}, "f:ownerReferences": {'k:{"uid":"u"}': {}}},
    "f:spec": {
        "f:ports": {'k:{"port":8000,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
        "f:selector": {},
        "f:finalizers": {'v:"x"': {}},
    },
}
SERVICE = {
    "ports": [{"port": 9, "name": "foreign"}, {"port": 8000, "protocol": "TCP", "name": "http", "nodePort": 7}],
    "selector": {"a": "b"},
    "finalizers": ["x", "foreign"],
    "clusterIP": "10.0.0.1",
}


def service(fields: dict[str, Any] = FIELDS, **entry: Any) -> dict[str, Any]:
    ours = {"manager": "modelport", "operation": "Apply", "fieldsV1": fields, **entry}
    other = {"manager": "modelport", "operation": "Update", "fieldsV1": {"f:spec": {"f:clusterIP": {}}}}
    return raw("Service", metadata={"managedFields": [other, ours]}, spec=copy.deepcopy(SERVICE))


def test_the_digest_sees_what_is_ours_and_nothing_else() -> None:
    before = owned_digest(service())
    assert before is not None
    assert len(before) == 16
    foreign = service()
    foreign["spec"]["ports"][0]["name"] = "changed"
    foreign["spec"]["ports"].reverse()
    foreign["spec"]["clusterIP"] = "10.0.0.2"
    foreign["metadata"]["resourceVersion"] = "13"
    foreign["metadata"]["labels"]["team"] = "x"
    assert owned_digest(foreign) == before
    assert owned_digest(service({**FIELDS, "f:spec": {}})) != before


@pytest.mark.parametrize("entry", [{"operation": "Update"}, {"subresource": "status"}, {"manager": "kubectl"}])
def test_only_our_own_apply_counts(entry: dict[str, Any]) -> None:
    assert owned_digest(service(**entry)) is None


MANIFEST: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a", "labels": {"modelport.io/name": "a"}, "ownerReferences": [OWNER]},
    "spec": {
        "ports": [{"port": 8000, "name": "http"}],
        "selector": {"a": "b"},
        "finalizers": ["x"],
        "empty": {},
        "none": None,
    },
}


def test_a_manifest_is_covered_while_every_path_is_ours() -> None:
    owned = project_child(service()).owned
    assert owned is not None
    assert '"u"' not in owned
    assert covers(owned, MANIFEST)
    assert not covers(None, MANIFEST)


TAKEN = {
    "a label": {**FIELDS, "f:metadata": {}},
    "a field of an item": {**FIELDS, "f:spec": {**FIELDS["f:spec"], "f:ports": {'k:{"port":8000,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
    "an item": {**FIELDS, "f:spec": {**FIELDS["f:spec"], "f:ports": {'k:{"port":9,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
    "an atomic map": {**FIELDS, "f:spec": {key: value for key, value in FIELDS["f:spec"].items() if key != "f:selector"}},
    "an item of a set": {**FIELDS, "f:spec": {**FIELDS["f:spec"], "f:finalizers": {'v:"y"': {}}}},
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
def test_what_somebody_took_is_missed(what: str) -> None:
    assert not covers(project_child(service(TAKEN[what])).owned, MANIFEST)

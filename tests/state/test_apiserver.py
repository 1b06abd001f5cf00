"""What the real API server records about ownership is what tells drift from peace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render
from modelport.state.observed import Child, Observed
from modelport.state.ownership import covers, entry, shape
from modelport.state.plan import Plan, plan
from modelport.state.project import owned_digest, project_child, project_resource
from tests.cluster import MERGE, ClusterApi, Kubectl
from tests.render.cases import CASES, Case
from tests.state.world import NOW

pytestmark = pytest.mark.apiserver

COLLECTIONS = {
    "ConfigMap": "/api/v1/{}configmaps",
    "Service": "/api/v1/{}services",
    "Deployment": "/apis/apps/v1/{}deployments",
}
OTHER = ("--field-manager=somebody",)


def path_of(namespace: str, kind: str, name: str) -> str:
    return f"{COLLECTIONS[kind].format(f'namespaces/{namespace}/')}/{name}"


@dataclass
class Applied:
    """A ModelDeployment in the real API server, with the children that were rendered from it."""

    api: ClusterApi
    namespace: str
    spec: Mapping[str, Any]
    name: str = "assistant"
    raw: dict[str, Any] = field(default_factory=dict)
    desired: Desired = field(init=False)

    def __post_init__(self) -> None:
        body = {
            "apiVersion": "modelport.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": self.name},
            "spec": self.spec,
        }
        self.raw = self.api.create(f"/apis/modelport.io/v1alpha1/namespaces/{self.namespace}/modeldeployments", body)
        identity = Identity(self.namespace, self.name, self.raw["metadata"]["uid"])
        desired = render(identity, self.raw["spec"], Platform())
        assert isinstance(desired, Desired)
        self.desired = desired
        self.apply()

    def apply(self) -> None:
        for child in self.desired.children:
            path = path_of(self.namespace, child.kind, child.name)
            self.api.apply(path, child.manifest, "modelport", "force=true")

    def live(self, kind: str) -> dict[str, Any]:
        name = next(child.name for child in self.desired.children if child.kind == kind)
        return {"kind": kind, **self.api.get(path_of(self.namespace, kind, name))}

    def children(self) -> tuple[Child, ...]:
        return tuple(project_child(self.live(child.kind)) for child in self.desired.children)

    def plan(self, accepted: Mapping[tuple[str, str], tuple[str, bytes]] | None = None) -> Plan:
        """What an operator would do that has just started and knows nothing, or that remembers what it applied."""
        observed = Observed(project_resource(self.raw), NOW, self.children(), accepted=accepted or {})
        return plan(self.desired, observed)

    def remembered(self) -> dict[tuple[str, str], tuple[str, bytes]]:
        return {(c.kind, c.name): (c.applied_hash or "", c.digest or b"") for c in self.children()}


SPEC = {
    "runtime": "vllm",
    "model": {"uri": "hf://HuggingFaceTB/SmolLM2-135M-Instruct@main", "size": "270Mi"},
    "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}},
    "env": [
        {"name": "LEVEL", "value": "info"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
}


@pytest.fixture
def applied(cluster_api: ClusterApi, namespace: str) -> Applied:
    return Applied(cluster_api, namespace, SPEC)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_was_applied_is_owned_as_a_whole(case: Case, cluster_api: ClusterApi, namespace: str) -> None:
    for child in case.render(namespace).children:
        query = "dryRun=All&force=true"
        answer = cluster_api.apply(path_of(namespace, child.kind, child.name), child.manifest, "modelport", query)
        tree = entry(answer)
        assert tree is not None
        assert covers(shape(tree), child.manifest), f"{child.kind}: {tree}"


def test_a_restart_with_nothing_changed_writes_nothing(applied: Applied) -> None:
    assert applied.plan() == Plan()
    assert applied.plan(applied.remembered()) == Plan()


DRIFT: dict[str, tuple[str, Callable[[Kubectl], object]]] = {
    "kubectl set image": ("Deployment", lambda k: k("set", "image", "deployment/assistant", "server=other:1")),
    "kubectl set env of one of ours": ("Deployment", lambda k: k("set", "env", "deployment/assistant", "-c", "server", "LEVEL=debug")),
    "kubectl set env takes one of ours away": ("Deployment", lambda k: k("set", "env", "deployment/assistant", "-c", "server", "LEVEL-")),
    "kubectl scale": ("Deployment", lambda k: k("scale", "deployment/assistant", "--replicas=3")),
    "kubectl label removes a label": ("Service", lambda k: k("label", "service/assistant", "app.kubernetes.io/managed-by-")),
    "kubectl label overwrites a label": ("Deployment", lambda k: k("label", "--overwrite", "deployment/assistant", "app.kubernetes.io/managed-by=Helm")),
    "kubectl annotate overwrites the applied hash": ("Service", lambda k: k("annotate", "--overwrite", "service/assistant", "modelport.io/applied-hash=x")),
    "a patch of the Service's port": ("Service", lambda k: k("patch", "service/assistant", "-p", '{"spec":{"ports":[{"port":8000,"targetPort":9}]}}')),
    "a patch of the Service's selector": ("Service", lambda k: k("patch", "service/assistant", "-p", '{"spec":{"selector":{"modelport.io/role":"x"}}}')),
    "a patch of an argument": ("Deployment", lambda k: k("patch", "deployment/assistant", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"server","args":["x"]}]}}}}')),
    "a patch of a memory limit": ("Deployment", lambda k: k("set", "resources", "deployment/assistant", "-c", "server", "--limits=memory=3Gi")),
    "a removed volume mount": ("Deployment", lambda k: k("patch", "deployment/assistant", "--type=json", "-p", '[{"op":"remove","path":"/spec/template/spec/containers/0/volumeMounts/0"}]')),
    "a removed container": ("Deployment", lambda k: k("patch", "deployment/assistant", "-p", '{"spec":{"template":{"spec":{"initContainers":[{"name":"fetch","$patch":"delete"}]}}}}')),
    "the record of ownership thrown away": ("Service", lambda k: k("patch", "service/assistant", "--type=merge", "-p", '{"metadata":{"managedFields":[{}]}}')),
}  # fmt: skip


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_found_and_repaired_with_one_write(what: str, applied: Applied, kubectl: Kubectl) -> None:
    kind, change = DRIFT[what]
    remembered = applied.remembered()
    before = owned_digest(applied.live(kind))
    change(kubectl)
    assert owned_digest(applied.live(kind)) != before
    for plan_ in (applied.plan(), applied.plan(remembered)):
        assert [(step.child.kind, step.create) for step in plan_.apply] == [(kind, False)]
        assert plan_.delete == ()
    applied.apply()
    assert applied.plan() == Plan()
    assert owned_digest(applied.live(kind)) == before


SAME_LABEL = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "assistant", "labels": {"modelport.io/name": "assistant"}},
    }
)
FOREIGN: dict[str, Callable[[Kubectl], object]] = {
    "another label": lambda k: k("label", "deployment/assistant", "team=search"),
    "another annotation": lambda k: k("annotate", "service/assistant", "note=x"),
    "another variable": lambda k: k("set", "env", "deployment/assistant", "-c", "server", "EXTRA=1"),
    "another sidecar": lambda k: k("patch", "deployment/assistant", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"proxy","image":"p:1"}]}}}}'),
    "kubectl rollout restart": lambda k: k("rollout", "restart", "deployment/assistant"),
    "another port": lambda k: k("patch", "service/assistant", "-p", '{"spec":{"ports":[{"name":"x","port":9}]}}'),
    "a default written out by somebody": lambda k: k("patch", "service/assistant", "-p", '{"spec":{"sessionAffinity":"None"}}'),
    "our own value written by somebody": lambda k: k("label", "--overwrite", "service/assistant", "app.kubernetes.io/managed-by=modelport"),
    "server-side apply of our own value": lambda k: k("apply", "--server-side", *OTHER, "-f", "-", stdin=SAME_LABEL),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_what_others_add_is_left_alone(what: str, applied: Applied, kubectl: Kubectl) -> None:
    remembered = applied.remembered()
    FOREIGN[what](kubectl)
    assert applied.plan() == Plan()
    assert applied.plan(remembered) == Plan()


def test_a_field_taken_by_force_is_drift(applied: Applied, kubectl: Kubectl) -> None:
    kubectl(
        "apply", "--server-side", "--force-conflicts", *OTHER, "-f", "-",
        stdin='{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"assistant"},"spec":{"progressDeadlineSeconds":7}}',
    )  # fmt: skip
    assert [step.child.kind for step in applied.plan().apply] == ["Deployment"]


def test_a_status_write_is_no_drift(applied: Applied) -> None:
    remembered = applied.remembered()
    path = f"{path_of(applied.namespace, 'Deployment', 'assistant')}/status"
    status, _ = applied.api.request("PATCH", path, {"status": {"replicas": 1, "readyReplicas": 1}}, MERGE)
    assert status == 200
    assert applied.plan() == Plan()
    assert applied.plan(remembered) == Plan()


def test_children_of_the_same_shape_share_what_is_kept_of_them(applied: Applied) -> None:
    other = Applied(applied.api, applied.namespace, SPEC, "second")
    for one, two in zip(applied.children(), other.children(), strict=True):
        assert one.owned is two.owned


def test_a_podtemplate_full_of_maps_lists_and_quantities_is_no_drift(cluster_api: ClusterApi, namespace: str) -> None:
    term = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}
    pod = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}}
        ],
        "securityContext": {"supplementalGroups": [7]},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}],
        "volumes": [
            {"name": "all", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "c"}}]}},
            {"name": "disk", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1000Mi"}}}}}},
        ],
        "containers": [
            {
                "name": "server",
                "resources": {"limits": {"memory": "2048Mi", "cpu": "1.50"}},
                "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "ports": [{"containerPort": 9000}, {"containerPort": 9000, "protocol": "UDP"}],
                "securityContext": {"capabilities": {"add": []}},
            },
            {"name": "proxy", "image": "p:1", "lifecycle": {}, "resources": {}},
        ],
    }  # fmt: skip
    applied = Applied(
        cluster_api, namespace, {**SPEC, "podTemplate": {"metadata": {"labels": {"x": "y"}}, "spec": pod}}
    )
    assert applied.plan() == Plan()
    assert applied.plan(applied.remembered()) == Plan()

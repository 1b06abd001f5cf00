"""What stands in the way besides the spec itself: names, quotas, policies, webhooks, rights, and whoever takes fields back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from modelport.api.names import Reason
from tests.cluster import Kubectl
from tests.engine.harness import Engine, until
from tests.newcomer.words import GOOD, said, written

pytestmark = pytest.mark.apiserver

FIGHT = (
    'another manager keeps changing Deployment assistant: conflict with "kubectl-set" using apps/v1:'
    ' spec.podTemplate.spec.containers[name="server"].image; it was put right three times and is left alone for now: take'
    " the field out of that manager's hands, or set it in this resource (for pods in spec.podTemplate)"
)
POLICY = (
    "Kubernetes refuses Deployment assistant: ValidatingAdmissionPolicy '{namespace}' with binding '{namespace}' denied"
    " request: write two replicas or more; correct what it names (pods come from spec.resources, spec.env and"
    " spec.podTemplate), or have the policy changed that refuses it"
)
RIGHT = (
    'Kubernetes refuses Service assistant: User "limited-operator" cannot patch resource "services" in API group "" in the'
    ' namespace "{namespace}"; grant the operator that right: `helm upgrade` of the chart brings its roles anew'
)
OWNED = "Service assistant already exists and belongs to ConfigMap/owner; rename this ModelDeployment, or delete that Service"
DOWN = (
    'Kubernetes cannot take Deployment assistant: Internal error occurred: failed calling webhook "rules.example.com":'
    ' failed to call webhook: Post "https://127.0.0.1:1/?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused;'
    " it is tried again; if it lasts, mend what the message names"
)
RBAC = "rbac.authorization.k8s.io/v1"

ADMISSION = "admissionregistration.k8s.io/v1"
DEPLOYMENTS = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["deployments"],
}


def test_a_name_that_is_free_again_is_taken(engine: Engine, kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "assistant", "--tcp=80")
    kubectl.apply(written(GOOD))
    until("NameTaken", lambda: engine.status("assistant").get("phase") == Reason.NAME_TAKEN)
    kubectl("delete", "service", "assistant")
    engine.until_ready("assistant")


def test_a_name_that_belongs_to_something_else(engine: Engine, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "owner")
    owner = kubectl("get", "configmap", "owner", "-o", "json").json()
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    metadata = {"name": "assistant", "ownerReferences": [{**reference, "controller": True}]}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    kubectl.apply(written(GOOD))
    said(engine, Reason.NAME_TAKEN, OWNED)


def test_whoever_takes_a_field_back(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(written({**GOOD, "image": "ours:1"}))
    engine.until_ready("assistant")
    for number in range(4):
        kubectl("set", "image", "deployment/assistant", f"server=theirs:{number}")
        if number < 3:
            until("it is put right", lambda: "image': 'ours:1'" in str(engine.items("deployments", "assistant")))
    said(engine, Reason.FIELD_CONFLICT, FIGHT)


def test_a_quota_that_is_raised(engine: Engine, kubectl: Kubectl) -> None:
    kubectl("create", "quota", "few", "--hard=count/deployments.apps=0")
    kubectl.apply(written(GOOD))
    until("refused", lambda: engine.status("assistant").get("phase") == Reason.QUOTA_EXCEEDED)
    kubectl("delete", "quota", "few")
    engine.until_ready("assistant")


def test_what_a_policy_refuses(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(*policy(engine.namespace))
    dry = ("create", "deployment", "x", "--image=x", "--dry-run=server")
    until("the policy is in force", lambda: "denied request" in kubectl(*dry, check=False).err)
    kubectl.apply(written(GOOD))
    said(engine, Reason.CHILD_REFUSED, POLICY)
    kubectl("delete", "validatingadmissionpolicybinding", engine.namespace)
    engine.until_ready("assistant")


def test_a_webhook_that_is_down(engine: Engine, kubectl: Kubectl) -> None:
    kubectl.apply(webhook(engine.namespace))
    dry = ("create", "deployment", "x", "--image=x", "--dry-run=server")
    until("the webhook is in force", lambda: "failed calling webhook" in kubectl(*dry, check=False).err)
    kubectl.apply(written(GOOD))
    said(engine, Reason.UNAVAILABLE, DOWN)
    kubectl("delete", "validatingwebhookconfiguration", engine.namespace)
    engine.until_ready("assistant")


def test_a_right_that_the_operator_lacks(engine: Engine, kubectl: Kubectl, limited: Path) -> None:
    engine.operator.stop()
    restricted = replace(engine.operator, kubeconfig=limited).start()
    try:
        kubectl.apply(written(GOOD))
        said(engine, Reason.FORBIDDEN, RIGHT)
    finally:
        restricted.stop()
        engine.operator.start()
    engine.until_ready("assistant")


@pytest.fixture
def limited(control_plane: ControlPlane, kubectl: Kubectl) -> Path:
    """An operator's user that may write everything but Services."""
    user = "limited-operator"
    verbs = {"resources": ["*"], "verbs": ["*"]}
    reads = {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]}
    core = {"apiGroups": [""], "resources": ["configmaps", "pods", "pods/log", "namespaces", "events"], "verbs": ["*"]}
    groups = ["apps", "modelport.io", "coordination.k8s.io", "events.k8s.io", "apiextensions.k8s.io"]
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": user}}
    kubectl.apply({**role, "rules": [reads, core, {"apiGroups": groups, **verbs}]})
    kubectl("create", "clusterrolebinding", user, f"--clusterrole={user}", f"--user={user}")
    return control_plane.kubeconfig_for(user)


def only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def policy(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A rule of this namespace, and what puts it in force."""
    asked = [{"expression": "object.spec.replicas > 1", "message": "write two replicas or more"}]
    spec = {"matchConstraints": {"resourceRules": [DEPLOYMENTS]}, "validations": asked}
    where = {"namespaceSelector": only(namespace)}
    bound = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": where}
    kind, metadata = "ValidatingAdmissionPolicy", {"name": namespace}
    return (
        {"apiVersion": ADMISSION, "kind": kind, "metadata": metadata, "spec": spec},
        {"apiVersion": ADMISSION, "kind": f"{kind}Binding", "metadata": metadata, "spec": bound},
    )


def webhook(namespace: str) -> dict[str, Any]:
    """One of this namespace that nobody answers."""
    hook = {
        "name": "rules.example.com",
        "rules": [DEPLOYMENTS],
        "namespaceSelector": only(namespace),
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    kind = "ValidatingWebhookConfiguration"
    return {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": namespace}, "webhooks": [hook]}

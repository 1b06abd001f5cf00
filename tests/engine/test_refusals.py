"""Writes that the API server does not take now: the status says so, and they are made as soon as it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster import ClusterApi
from tests.engine.harness import USER, Engine, until
from tests.engine.test_counts import config_map

pytestmark = pytest.mark.apiserver

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PROBE = {
    "selector": {"matchLabels": {"app": "probe"}},
    "template": {"metadata": {"labels": {"app": "probe"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
}


@contextmanager
def admitted_by(api: ClusterApi, kind: str, **content: Any) -> Iterator[None]:
    """An admission configuration as long as the block lasts."""
    plural, name = "validating" + kind, content["metadata"]["name"]
    api.create(f"{ADMISSION}/{plural}", content)
    try:
        yield
    finally:
        api.request("DELETE", f"{ADMISSION}/{plural}/{name}")


def dry(path: str) -> str:
    """A request by which one sees whether the admission configuration is in force yet."""
    return f"{path}?dryRun=All"


def here(engine: Engine) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": engine.namespace}}


def rules(operation: str, group: str, resource: str) -> list[dict[str, list[str]]]:
    return [{"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}]


def test_a_webhook_that_does_not_answer_is_told_and_outlived(engine: Engine) -> None:
    webhook = {
        "name": "policy.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/validate"},  # nothing listens there
        "rules": rules("CREATE", "apps", "deployments"),
        "namespaceSelector": here(engine),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    name = {"name": engine.namespace}
    with admitted_by(engine.api, "webhookconfigurations", metadata=name, webhooks=[webhook]):
        probe = {"metadata": {"name": "probe"}, "spec": PROBE}
        until("it is asked", lambda: engine.api.request("POST", dry(engine.path("deployments")), probe)[0] == 500)
        engine.apply("alpha")
        until("the status tells", lambda: engine.status("alpha").get("phase") == "Unavailable")
        status = engine.status("alpha")
    assert status["observedGeneration"] == 1
    assert status["message"].startswith(
        "Kubernetes cannot take Deployment alpha: Internal error occurred: failed calling"
    )
    assert {c["type"] for c in status["conditions"] if c["status"] == "True"} == {"Reconciling"}
    engine.until_ready("alpha")


def test_what_may_not_be_deleted_does_not_keep_what_serves_from_being_told(engine: Engine) -> None:
    engine.apply("alpha", check={"timeout": "10s"})
    engine.until_ready("alpha")
    first = config_map(engine, "alpha")
    name = {"name": engine.namespace}
    policy = {
        "matchConstraints": {"resourceRules": rules("DELETE", "", "configmaps")},
        "matchConditions": [
            {"name": "ours", "expression": f"request.userInfo.username == '{USER}' || request.name == 'probe'"}
        ],
        "validations": [{"expression": "false", "message": "ConfigMaps cannot be deleted here"}],
    }
    bound = {
        "policyName": name["name"],
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here(engine)},
    }
    with (
        admitted_by(engine.api, "admissionpolicies", metadata=name, spec=policy),
        admitted_by(engine.api, "admissionpolicybindings", metadata=name, spec=bound),
    ):
        engine.api.create(engine.path("configmaps"), {"metadata": {"name": "probe"}})
        until("it is asked", lambda: engine.api.request("DELETE", dry(engine.path("configmaps", "probe")))[0] == 422)
        engine.apply("alpha", check={"timeout": "20s"})
        engine.until_ready("alpha")
        (old,) = [s for s in engine.items("replicasets", "alpha") if first in str(s["spec"])]
        engine.api.request("DELETE", engine.path("replicasets", old["metadata"]["name"]))
        until("it was refused", lambda: any(e.verb == "delete" and e.code == 422 for e in engine.requests()))
        engine.apply("alpha", check={"timeout": "20s"}, vllm={"maxModelLen": 512})
        engine.until_ready("alpha")
        assert first in {item["metadata"]["name"] for item in engine.items("configmaps", "alpha")}
    until("it is deleted", lambda: engine.find(engine.path("configmaps", first)) is None)

"""Whose objects are touched, and whose never: names that are taken, leftovers, fights, pauses, deletion."""

from __future__ import annotations

import json

import pytest

from tests.cluster import Kubectl
from tests.engine.harness import Engine, steady, until
from tests.engine.test_counts import config_map, patch

pytestmark = pytest.mark.apiserver


def reason(engine: Engine, name: str, condition: str) -> str:
    found = [c["reason"] for c in engine.status(name).get("conditions", []) if c["type"] == condition]
    return found[0] if found else ""


def test_a_name_that_is_taken_is_not_touched(engine: Engine) -> None:
    foreign = {"metadata": {"name": "alpha"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}}}
    engine.api.create(engine.path("services"), foreign)
    before = engine.find(engine.path("services", "alpha"))
    engine.apply("alpha")
    until("NameTaken", lambda: reason(engine, "alpha", "Stalled") == "NameTaken")
    assert engine.find(engine.path("services", "alpha")) == before
    assert engine.items("deployments") == []
    engine.api.request("DELETE", engine.path("services", "alpha"))
    engine.until_ready("alpha")


@pytest.mark.usefixtures("collected")
def test_delete_then_apply_at_once(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    old = engine.find(f"{engine.at}/alpha") or {}
    engine.api.request("DELETE", f"{engine.at}/alpha")
    new = engine.apply("alpha")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    engine.until_ready("alpha")
    owners = {
        reference["uid"]
        for kind in ("deployments", "services", "configmaps")
        for item in engine.items(kind, "alpha")
        for reference in item["metadata"]["ownerReferences"]
    }
    assert owners == {new["metadata"]["uid"]}


@pytest.mark.usefixtures("collected")
def test_a_leftover_that_stays_is_waited_for(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": ["example.com/hold"]}})
    engine.api.request("DELETE", f"{engine.at}/alpha")
    engine.apply("alpha")
    until("WaitingForCleanup", lambda: reason(engine, "alpha", "Reconciling") == "WaitingForCleanup")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": None}})
    engine.until_ready("alpha")


@pytest.mark.usefixtures("collected")
def test_deletion_needs_no_operator(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.operator.stop()
    engine.api.request("DELETE", f"{engine.at}/alpha")
    kinds = ("deployments", "replicasets", "pods", "services", "configmaps")
    until("all is gone", lambda: not any(engine.items(kind) for kind in kinds))
    assert engine.find(f"{engine.at}/alpha") is None


def test_paused_is_left_alone(engine: Engine) -> None:
    engine.apply("alpha", image="docker.io/library/server:1")
    engine.until_ready("alpha")
    annotation = {"modelport.io/reconcile": "paused"}
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": annotation}})
    until("Paused shows", lambda: engine.status("alpha").get("phase") == "Paused")
    engine.forget()
    patch(engine, "alpha", [{"name": "server", "image": "docker.io/library/mine:1"}])
    steady("requests", lambda: len(engine.requests()))
    assert [write for write in engine.writes() if "modeldeployments" not in write] == []
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": {"modelport.io/reconcile": None}}})
    until("repaired", lambda: image(engine) == "docker.io/library/server:1")


def test_whoever_takes_a_field_back_again_and_again_is_left_alone(engine: Engine) -> None:
    engine.apply("alpha", image="docker.io/library/server:1")
    engine.until_ready("alpha")
    for number in range(4):
        patch(engine, "alpha", [{"name": "server", "image": f"docker.io/library/mine:{number}"}])
        if number < 3:
            until("repaired", lambda: image(engine) == "docker.io/library/server:1")
    until("FieldConflict", lambda: engine.status("alpha").get("phase") == "FieldConflict")
    assert image(engine) == "docker.io/library/mine:3"
    assert "image" in engine.status("alpha")["message"]


def test_a_deleted_child_is_made_anew_after_one_look_at_its_resource(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.forget()
    engine.api.request("DELETE", engine.path("services", "alpha"))
    until("the Service is back", lambda: engine.find(engine.path("services", "alpha")))
    engine.until_ready("alpha")
    assert [read for read in engine.reads() if "modeldeployments" in read] == ["get modeldeployments alpha"]


@pytest.mark.parametrize("kind", ["deployments", "services"])
def test_the_label_by_which_a_child_is_found_is_put_right(engine: Engine, kind: str) -> None:
    engine.apply("alpha")
    engine.apply("beta")
    engine.until_ready("alpha", "beta")
    before = engine.find(engine.path(kind, "alpha")) or {}
    engine.merge(engine.path(kind, "alpha"), {"metadata": {"labels": {"modelport.io/name": "beta"}}})
    until("the label is ours again", lambda: {item["metadata"]["name"] for item in engine.items(kind, "alpha")})
    engine.until_ready("alpha", "beta")
    after = engine.find(engine.path(kind, "alpha")) or {}
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]


def test_whoever_takes_the_label_back_again_and_again_is_left_alone(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    for number in range(4):
        engine.merge(
            engine.path("services", "alpha"), {"metadata": {"labels": {"modelport.io/name": f"other-{number}"}}}
        )
        if number < 3:
            until("the label is ours again", lambda: engine.items("services", "alpha"))
    until("FieldConflict", lambda: engine.status("alpha").get("phase") == "FieldConflict")
    assert engine.items("services", "other-3")


def test_nothing_is_made_anew_in_a_namespace_that_is_being_deleted(engine: Engine) -> None:
    for name in ("alpha", "beta"):
        engine.apply(name)
    engine.until_ready("alpha", "beta")
    engine.forget()
    engine.api.request("DELETE", f"/api/v1/namespaces/{engine.namespace}")
    until("all is gone", lambda: not engine.items("deployments") and not engine.items("services"))
    steady("requests", lambda: len(engine.requests()))
    failed = [e for e in engine.requests() if e.verb == "patch" and e.code >= 400 and e.resource != "modeldeployments"]
    assert failed == []


def test_an_old_config_map_is_kept_for_as_long_as_a_revision_needs_it(engine: Engine) -> None:
    engine.apply("alpha", check={"timeout": "10s"})
    engine.until_ready("alpha")
    first = config_map(engine, "alpha")
    engine.apply("alpha", check={"timeout": "20s"})
    until("the second revision", lambda: len(engine.items("configmaps", "alpha")) == 2)
    engine.until_ready("alpha")
    assert first in {item["metadata"]["name"] for item in engine.items("configmaps", "alpha")}
    old = [s for s in engine.items("replicasets", "alpha") if first in str(s["spec"])]
    engine.api.request("DELETE", engine.path("replicasets", old[0]["metadata"]["name"]))
    until("the old one is gone", lambda: len(engine.items("configmaps", "alpha")) == 1)
    assert config_map(engine, "alpha") != first


@pytest.mark.usefixtures("collected")
def test_replace_force(engine: Engine, kubectl: Kubectl) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    spec = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["alpha"]}, "replicas": 2}
    body = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "alpha"}}
    kubectl("replace", "--force", "-f", "-", stdin=json.dumps({**body, "spec": spec}))
    engine.until_ready("alpha")
    assert engine.status("alpha")["ready"] == "2/2"


def image(engine: Engine) -> str:
    deployment = engine.find(engine.path("deployments", "alpha")) or {}
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

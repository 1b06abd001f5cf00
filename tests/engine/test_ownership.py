"""Whose objects are touched, and whose never: names that are taken, leftovers, fights, pauses, deletion."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Kubectl
from tests.engine.harness import USER, Engine, steady, until
from tests.engine.test_counts import config_map, patch
from tests.faults.proxy import Moment, Proxy

pytestmark = pytest.mark.apiserver

KINDS = ("configmaps", "services", "deployments")
LEFT_OVER = (
    "Service alpha of a deleted resource of the same name is still there, held by its finalizer example.com/hold; waiting"
    " until it is gone"
)
GOING = "Service alpha is being deleted, held by its finalizer example.com/hold; it is made anew when it is gone"


@pytest.fixture
def proxy(stopped: Engine, tmp_path: Path) -> Iterator[Proxy]:
    """The engine's operator, which leads, talks to the API server through it."""
    between = Proxy(stopped.plane)
    with between.serving(tmp_path) as kubeconfig:
        stopped.operator.kubeconfig = kubeconfig
        stopped.operator.start()
        yield between
        stopped.operator.stop()


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
    assert owners(engine, "alpha") == {new["metadata"]["uid"]}


@pytest.mark.usefixtures("collected")
def test_a_leftover_that_stays_is_waited_for(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": ["example.com/hold"]}})
    engine.api.request("DELETE", f"{engine.at}/alpha")
    engine.apply("alpha")
    until("what holds it is told", lambda: engine.status("alpha").get("message") == LEFT_OVER)
    assert reason(engine, "alpha", "Reconciling") == "WaitingForCleanup"
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": None}})
    engine.until_ready("alpha")


def test_a_child_that_is_held_while_it_is_being_deleted_is_waited_for(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": ["example.com/hold"]}})
    before = engine.find(engine.path("services", "alpha")) or {}
    engine.api.request("DELETE", engine.path("services", "alpha"))
    until("what holds it is told", lambda: engine.status("alpha").get("message") == GOING)
    assert reason(engine, "alpha", "Reconciling") == "WaitingForCleanup"
    assert reason(engine, "alpha", "Available") == "Ready"
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": None}})
    engine.until_ready("alpha")
    after = engine.find(engine.path("services", "alpha")) or {}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.usefixtures("collected")
def test_what_was_made_anew_while_nobody_looked_waits_for_what_is_left(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": ["example.com/hold"]}})
    engine.operator.kill()
    engine.api.request("DELETE", f"{engine.at}/alpha")
    new = engine.apply("alpha", vllm={"maxModelLen": 512})
    engine.operator.start()
    until("what holds it is told", lambda: engine.status("alpha").get("message") == LEFT_OVER)
    engine.merge(engine.path("services", "alpha"), {"metadata": {"finalizers": None}})
    engine.until_ready("alpha")
    assert owners(engine, "alpha") == {new["metadata"]["uid"]}


@pytest.mark.usefixtures("collected")
def test_a_model_moves_to_another_name_and_disturbs_no_third(engine: Engine) -> None:
    for name in ("alpha", "third"):
        engine.apply(name)
    engine.until_ready("alpha", "third")
    third = versions(engine, "third")
    engine.api.request("DELETE", f"{engine.at}/alpha")
    new = engine.apply("beta")
    engine.until_ready("beta")
    until("nothing is left of the old name", lambda: not everything(engine, "alpha"))
    assert owners(engine, "beta") == {new["metadata"]["uid"]}
    assert versions(engine, "third") == third


@pytest.mark.usefixtures("collected")
def test_children_that_were_orphaned_on_purpose_are_nobodys_and_stay(engine: Engine, kubectl: Kubectl) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    kubectl("delete", "mdep", "alpha", "--cascade=orphan")
    until("they are orphans", lambda: not owners(engine, "alpha"))
    orphans = versions(engine, "alpha")
    engine.apply("alpha")
    until("NameTaken", lambda: reason(engine, "alpha", "Stalled") == "NameTaken")
    assert versions(engine, "alpha") == orphans
    for kind in KINDS:
        for item in engine.items(kind, "alpha"):
            engine.api.request("DELETE", engine.path(kind, item["metadata"]["name"]))
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


def test_what_is_paused_from_the_beginning_is_not_begun(engine: Engine) -> None:
    body = {
        "apiVersion": "modelport.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "alpha", "annotations": {"modelport.io/reconcile": "paused"}},
        "spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["alpha"]}},
    }
    engine.api.create(engine.at, body)
    until("Paused shows", lambda: engine.status("alpha").get("phase") == "Paused")
    assert "kubectl annotate mdep alpha modelport.io/reconcile-" in engine.status("alpha")["message"]
    engine.apply("alpha", vllm={"maxModelLen": 512})
    until("the edit is seen", lambda: engine.status("alpha")["observedGeneration"] == 2)
    assert everything(engine, "alpha") == []
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": {"modelport.io/reconcile": None}}})
    engine.until_ready("alpha")


def test_what_is_deleted_by_hand_while_it_is_paused_stays_away_until_then(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": {"modelport.io/reconcile": "paused"}}})
    until("Paused shows", lambda: engine.status("alpha").get("phase") == "Paused")
    engine.api.request("DELETE", engine.path("services", "alpha"))
    until("it is told", lambda: reason(engine, "alpha", "Ready") == "Paused")
    steady("requests", lambda: len(engine.requests()))
    assert engine.find(engine.path("services", "alpha")) is None
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": {"modelport.io/reconcile": None}}})
    engine.until_ready("alpha")


def test_whoever_takes_a_field_back_again_and_again_is_left_alone(engine: Engine) -> None:
    fight_over_the_image(engine)
    assert image(engine) == "docker.io/library/mine:3"
    assert "image" in engine.status("alpha")["message"]
    engine.forget()
    for number in range(10):
        patch(engine, "alpha", [{"name": "server", "image": f"docker.io/library/more:{number}"}])
        time.sleep(0.2)
    assert len([write for write in engine.writes() if "deployments alpha" in write]) <= 1, "it is left alone"
    patch(engine, "alpha", [{"name": "server", "image": "docker.io/library/server:1"}])
    engine.until_ready("alpha", within=60)
    assert image(engine) == "docker.io/library/server:1"


def test_a_fight_over_one_child_holds_up_no_other(engine: Engine) -> None:
    fight_over_the_image(engine)
    engine.api.request("DELETE", engine.path("services", "alpha"))
    until("the Service is back", lambda: engine.find(engine.path("services", "alpha")))
    assert image(engine) == "docker.io/library/mine:3"


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


def test_nothing_is_made_in_a_namespace_that_is_being_deleted(stopped: Engine) -> None:
    """The Lease stands elsewhere, as it does in a cluster."""
    settings = Path(stopped.operator.arguments[1])
    settings.write_text(settings.read_text().replace(f"namespace: {stopped.namespace}", "namespace: default"))
    stopped.operator.start()
    names = [f"model-{number}" for number in range(10)]
    for name in names:
        stopped.apply(name)
    stopped.until_ready(*names, within=60)
    steady("requests", lambda: len(stopped.requests()))
    at = f"/api/v1/namespaces/{stopped.namespace}"
    stopped.api.request("DELETE", at)
    until("it is gone", lambda: stopped.api.request("GET", at)[0] == 404, within=90)
    refused = [
        (event.verb, event.resource, event.name)
        for event in stopped.plane.audit_events()
        if event.user == USER and event.namespace == stopped.namespace and event.code == 403
    ]
    assert refused == []
    assert stopped.operator.metric("modelport_resources") == 0


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


def test_another_runtime_needs_other_children_and_leaves_none_of_the_first(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    first = config_map(engine, "alpha")
    document = engine.find(f"{engine.at}/alpha") or {}
    spec = {"runtime": "fastapi", "fastapi": {"app": "app:app"}, "image": "example.com/app:1"}
    engine.api.request("PUT", f"{engine.at}/alpha", {**document, "spec": spec})
    until("the other configuration is there", lambda: len(engine.items("configmaps", "alpha")) == 2)
    engine.until_ready("alpha")
    ports = (engine.find(engine.path("services", "alpha")) or {})["spec"]["ports"]
    assert [port["name"] for port in ports] == ["http", "metrics"]
    (deployment,) = engine.items("deployments", "alpha")
    pod = deployment["spec"]["template"]["spec"]
    assert [container["name"] for container in [*pod.get("initContainers", []), *pod["containers"]]] == ["server"]
    engine.api.request("DELETE", engine.path("replicasets", set_with(engine, first)))
    until("the first one is gone", lambda: len(engine.items("configmaps", "alpha")) == 1)
    assert config_map(engine, "alpha") != first


def test_what_was_made_anew_by_somebody_is_not_what_was_to_be_deleted(stopped: Engine, proxy: Proxy) -> None:
    stopped.apply("alpha", check={"timeout": "10s"})
    stopped.until_ready("alpha")
    first = config_map(stopped, "alpha")
    stopped.apply("alpha", check={"timeout": "20s"})
    stopped.until_ready("alpha")
    steady("requests", lambda: len(stopped.requests()))
    proxy.hold(1, Moment.LATE, lambda request: request.method == "DELETE")
    stopped.api.request("DELETE", stopped.path("replicasets", set_with(stopped, first)))
    assert proxy.held.wait(30), "the decision to delete it"
    stopped.api.request("DELETE", stopped.path("configmaps", first))
    theirs = stopped.api.create(stopped.path("configmaps"), {"metadata": {"name": first}, "data": {"a": "theirs"}})
    proxy.release()
    assert proxy.landed.wait(30)
    until("it was refused", lambda: (409, first) in deletions(stopped))
    stopped.apply("alpha", check={"timeout": "20s"}, vllm={"maxModelLen": 512})
    stopped.until_ready("alpha")
    assert stopped.find(stopped.path("configmaps", first)) == theirs
    assert (200, first) not in deletions(stopped)


@pytest.mark.usefixtures("collected")
def test_replace_force(engine: Engine, kubectl: Kubectl) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    spec = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["alpha"]}, "replicas": 2}
    body = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "alpha"}}
    kubectl("replace", "--force", "-f", "-", stdin=json.dumps({**body, "spec": spec}))
    engine.until_ready("alpha")
    assert engine.status("alpha")["ready"] == "2/2"


def everything(engine: Engine, name: str) -> list[dict[str, Any]]:
    """All children of a resource."""
    return [item for kind in KINDS for item in engine.items(kind, name)]


def versions(engine: Engine, name: str) -> list[tuple[str, str]]:
    """Which objects they are, and which versions of them."""
    return [(item["metadata"]["uid"], item["metadata"]["resourceVersion"]) for item in everything(engine, name)]


def owners(engine: Engine, name: str) -> set[str]:
    """The uids that they belong to."""
    return {ref["uid"] for item in everything(engine, name) for ref in item["metadata"].get("ownerReferences", [])}


def set_with(engine: Engine, config: str) -> str:
    """The ReplicaSet whose pods have that configuration."""
    (found,) = [one for one in engine.items("replicasets", "alpha") if config in str(one["spec"])]
    return str(found["metadata"]["name"])


def deletions(engine: Engine) -> set[tuple[int, str]]:
    """How the operator's deletions ended, and of what."""
    return {(event.code, event.name) for event in engine.requests() if event.verb == "delete"}


def fight_over_the_image(engine: Engine) -> None:
    """Somebody gives the Deployment of alpha another image until the operator leaves it to them: mine:3."""
    engine.apply("alpha", image="docker.io/library/server:1")
    engine.until_ready("alpha")
    for number in range(4):
        patch(engine, "alpha", [{"name": "server", "image": f"docker.io/library/mine:{number}"}])
        if number < 3:
            until("repaired", lambda: image(engine) == "docker.io/library/server:1")
    until("FieldConflict", lambda: engine.status("alpha").get("phase") == "FieldConflict")


def image(engine: Engine) -> str:
    deployment = engine.find(engine.path("deployments", "alpha")) or {}
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

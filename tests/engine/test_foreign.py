"""What others add to our objects stays through every kind of edit, and is never taken for drift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import STRATEGIC
from tests.engine.harness import Engine, steady, until
from tests.engine.injector import ANNOTATION, SIDECAR, injecting
from tests.engine.test_counts import config_map

pytestmark = pytest.mark.apiserver

PROBE = {
    "metadata": {"name": "probe"},
    "spec": {
        "selector": {"matchLabels": {"app": "probe"}},
        "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A"}]}]},
        },
    },
}
OTHERS = {"labels": {"team": "vision"}, "annotations": {"example.com/note": "theirs"}}
TEMPLATE = {
    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}, "labels": {"mesh": "on"}},
    "spec": {
        "containers": [
            {"name": "sidecar", "image": "theirs:1"},
            {"name": "server", "env": [{"name": "THEIRS", "value": "1"}], "volumeMounts": [{"name": "theirs", "mountPath": "/t"}]},
        ],
        "volumes": [{"name": "theirs", "emptyDir": {}}],
        "nodeSelector": {"pool": "theirs"},
    },
}  # fmt: skip


def add_everything(engine: Engine, name: str) -> None:
    """Labels, annotations, a sidecar and fields, by other hands."""
    for kind in ("deployments", "services", "configmaps"):
        for item in engine.items(kind, name):
            engine.merge(engine.path(kind, item["metadata"]["name"]), {"metadata": OTHERS})
    engine.merge(engine.path("services", name), {"spec": {"sessionAffinity": "ClientIP"}})
    body = {"spec": {"minReadySeconds": 1, "template": TEMPLATE}}
    status, answer = engine.api.request(
        "PATCH", f"{engine.path('deployments', name)}?fieldManager=somebody", body, STRATEGIC
    )
    assert status == 200, answer


def kept(engine: Engine, name: str) -> dict[str, Any]:
    """What is there of all that, in the same words."""
    deployment = engine.find(engine.path("deployments", name)) or {}
    service = engine.find(engine.path("services", name)) or {}
    template = deployment["spec"]["template"]
    containers = {container["name"]: container for container in template["spec"]["containers"]}
    metadata = [item["metadata"] for item in (deployment, service)]
    return {
        "labels": [one["labels"].get("team") for one in metadata],
        "annotations": [one["annotations"].get("example.com/note") for one in metadata],
        "template": [template["metadata"]["labels"].get("mesh"), len(template["metadata"]["annotations"])],
        "sidecar": containers.get("sidecar", {}).get("image"),
        "env": [variable for variable in containers["server"]["env"] if variable["name"] == "THEIRS"],
        "mounts": [mount["mountPath"] for mount in containers["server"]["volumeMounts"] if mount["name"] == "theirs"],
        "volumes": [volume["name"] for volume in template["spec"]["volumes"] if volume["name"] == "theirs"],
        "fields": [deployment["spec"].get("minReadySeconds"), template["spec"].get("nodeSelector")],
        "service": service["spec"]["sessionAffinity"],
    }


EVERYTHING = {
    "labels": ["vision"] * 2,
    "annotations": ["theirs"] * 2,
    "template": ["on", 2],
    "sidecar": "theirs:1",
    "env": [{"name": "THEIRS", "value": "1"}],
    "mounts": ["/t"],
    "volumes": ["theirs"],
    "fields": [1, {"pool": "theirs"}],
    "service": "ClientIP",
}


def pause(engine: Engine, value: str | None) -> None:
    engine.merge(f"{engine.at}/alpha", {"metadata": {"annotations": {"modelport.io/reconcile": value}}})


def paused_and_edited(engine: Engine) -> None:
    pause(engine, "paused")
    until("Paused shows", lambda: engine.status("alpha").get("message", "").startswith("paused"))
    engine.apply("alpha", vllm={"maxModelLen": 777})
    until("it is not carried out", lambda: engine.status("alpha").get("phase") == "Paused")
    pause(engine, None)


def restarted(engine: Engine) -> None:
    engine.operator.stop()
    engine.operator.start()
    engine.apply("alpha", vllm={"maxModelLen": 333})


def put(engine: Engine, spec: dict[str, Any]) -> None:
    """Another spec instead of the whole old one."""
    document = engine.find(f"{engine.at}/alpha") or {}
    status, answer = engine.api.request("PUT", f"{engine.at}/alpha", {**document, "spec": spec})
    assert status == 200, answer


VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["alpha"]}}
EDITS: dict[str, Callable[[Engine], Any]] = {
    "an option": lambda engine: engine.apply("alpha", vllm={"maxModelLen": 555}),
    "the configuration": lambda engine: engine.apply("alpha", check={"timeout": "20s"}),
    "an image and a variable": lambda engine: engine.apply("alpha", image="a:2", env=[{"name": "A", "value": "1"}]),
    "replicas": lambda engine: engine.apply("alpha", replicas=3),
    "a podTemplate": lambda engine: engine.apply(
        "alpha", podTemplate={"spec": {"containers": [{"name": "server", "env": [{"name": "B", "value": "2"}]}]}}
    ),
    "another runtime": lambda engine: put(
        engine, {"runtime": "fastapi", "fastapi": {"app": "app:app"}, "image": "a:3"}
    ),
    "the first runtime again": lambda engine: put(engine, VLLM),
    "a pause": paused_and_edited,
    "a restart": restarted,
}


def test_what_others_add_is_kept_through_every_kind_of_edit(engine: Engine) -> None:
    engine.apply("alpha", image="a:1")
    engine.until_ready("alpha")
    add_everything(engine, "alpha")
    engine.until_ready("alpha")
    for name, edit in EDITS.items():
        steady("requests", lambda: len(engine.requests()))
        assert kept(engine, "alpha") == EVERYTHING, f"before {name}"
        edit(engine)
        until("it is seen", lambda: up_to_date(engine))
        engine.until_ready("alpha")
        assert kept(engine, "alpha") == EVERYTHING, name
    assert engine.operator.metric("modelport_drift_repaired_total") == 0


def test_what_others_add_is_kept_while_it_is_suspended(engine: Engine) -> None:
    engine.apply("alpha")
    engine.until_ready("alpha")
    add_everything(engine, "alpha")
    engine.until_ready("alpha")
    engine.apply("alpha", suspend=True)
    until("Suspended", lambda: engine.status("alpha").get("phase") == "Suspended")
    assert kept(engine, "alpha") == EVERYTHING
    engine.apply("alpha")
    engine.until_ready("alpha")
    assert kept(engine, "alpha") == EVERYTHING


def test_only_what_is_ours_is_put_right_beside_it(engine: Engine) -> None:
    engine.apply("alpha", image="a:1")
    engine.until_ready("alpha")
    add_everything(engine, "alpha")
    body = {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "theirs:1"}]}}}}
    engine.api.request("PATCH", engine.path("deployments", "alpha"), body, STRATEGIC)
    until("it is put right", lambda: "'image': 'a:1'" in str(engine.find(engine.path("deployments", "alpha"))))
    assert kept(engine, "alpha") == EVERYTHING


def test_what_a_webhook_adds_to_every_write_is_no_drift(engine: Engine) -> None:
    def injected() -> bool:
        status, answer = engine.api.request("POST", f"{engine.path('deployments')}?dryRun=All", PROBE)
        return status == 201 and SIDECAR["name"] in str(answer["spec"])

    with injecting(engine.plane, engine.api, engine.namespace):
        until("the webhook is asked", injected)
        engine.apply("alpha")
        engine.until_ready("alpha")
        steady("requests", lambda: len(engine.requests()))
        engine.forget()
        for length in (1024, 2048):
            engine.apply("alpha", vllm={"maxModelLen": length})
            until("it is seen", lambda: up_to_date(engine))
            engine.until_ready("alpha")
        steady("requests", lambda: len(engine.requests()))
        children = [write for write in engine.writes() if "modeldeployments" not in write]
        assert children == ["patch deployments alpha"] * 2
        template = (engine.find(engine.path("deployments", "alpha")) or {})["spec"]["template"]
        assert sorted(container["name"] for container in template["spec"]["containers"]) == ["injected", "server"]
        assert template["metadata"]["annotations"][ANNOTATION] == "true"
        engine.operator.stop()
        engine.forget()
        engine.operator.start()
        steady("requests", lambda: len(engine.requests()))
        assert engine.writes() == []
        assert engine.operator.metric("modelport_drift_repaired_total") == 0
    assert config_map(engine, "alpha")


def up_to_date(engine: Engine) -> bool:
    document = engine.find(f"{engine.at}/alpha") or {}
    return bool(document["status"]["observedGeneration"] == document["metadata"]["generation"])

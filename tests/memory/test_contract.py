"""What the server in memory answers is what the real API server answers: by hand for what the operator relies on, and by
random sequences of writes for what it might."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.cluster.controlplane import ControlPlane, Settings
from modelport.kube.connection import Connection
from modelport.kube.kinds import CONFIG_MAP, DEPLOYMENT, LEASE, MODEL_DEPLOYMENT, NAMESPACE, SERVICE, Kind
from modelport.kube.transport import Transport
from tests.cluster import ClusterApi, install_crd
from tests.memory.history import Selector
from tests.memory.requests import as_metadata
from tests.memory.server import Server
from tests.memory.twins import NOBODY, PLAIN, Api, Operation, Side, Twins, apply, comparable_events, patch
from tests.render.cases import CASES

pytestmark = pytest.mark.apiserver

GET, DELETE = Operation("GET"), Operation("DELETE")
HOLD = patch({"metadata": {"finalizers": ["example.com/hold"]}})
LET_GO = patch({"metadata": {"finalizers": None}})
OWNER = {
    "apiVersion": "modelport.io/v1alpha1",
    "kind": "ModelDeployment",
    "name": "owner",
    "uid": NOBODY,
    "controller": True,
    "blockOwnerDeletion": True,
}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane on which no controller touches what the test writes."""
    settings = Settings(controllers=("serviceaccount-controller",))
    with ControlPlane(tmp_path_factory.mktemp("quiet"), settings) as plane:
        install_crd(plane)
        yield plane


@pytest.fixture(scope="module")
def real(quiet: ControlPlane) -> Iterator[ClusterApi]:
    with ClusterApi(quiet) as api:
        yield api


@pytest.fixture
def both(real: ClusterApi) -> Both:
    return Both(real)


class Both:
    """A namespace of the same name in the real server and in one in memory."""

    def __init__(self, real: ClusterApi) -> None:
        self.real, self.memory = real, Server()
        self.apis: tuple[Api, Api] = (self.real, self.memory)
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self._numbers = count()

    def ask(self, method: str, path: str, body: Any = None, content_type: str = PLAIN) -> tuple[Any, Any]:
        """The two documents; their codes have to be equal."""
        (expected, real), (found, memory) = (api.request(method, path, body, content_type) for api in self.apis)
        assert found == expected, (real, memory)
        return real, memory

    def object(self, kind: Kind, name: str = "") -> Twins:
        """An object of that kind, which need not exist."""
        name = name or f"one-{next(self._numbers)}"
        namespace = "" if kind == NAMESPACE else self.namespace
        return Twins(*(Side(api, kind, namespace, name) for api in self.apis))


def config_map(**data: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"team": "a"}, "ownerReferences": [OWNER]}, "data": data}


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    return {"metadata": {"labels": labels}, "spec": {"selector": {"matchLabels": labels}, "template": template, **spec}}


def container(name: str = "server", image: str = "server:1", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **more}


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"selector": {"app": "a"}, "ports": list(ports)}}


HTTP, METRICS = {"name": "http", "port": 80}, {"name": "metrics", "port": 82, "targetPort": "metrics"}
MODEL = {"spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}}


def test_the_first_apply_creates_and_never_merges(both: Both) -> None:
    both.object(CONFIG_MAP).do(
        apply(config_map(a="1"), version="1"),
        apply(config_map(a="2"), version="1"),
        apply(config_map(a="2"), version="1", force=False),
        apply(config_map(b="1"), manager="other", version="1"),
        GET,
        replace(DELETE, uid="right"),
        apply(config_map(a="2"), version="1"),
        GET,
    )


@pytest.mark.parametrize("kind", [CONFIG_MAP, DEPLOYMENT, SERVICE], ids=lambda kind: kind.name)
def test_only_the_object_that_was_seen_is_written_and_deleted(both: Both, kind: Kind) -> None:
    body = {
        CONFIG_MAP: config_map(a="1"),
        DEPLOYMENT: deployment(container()),
        SERVICE: service(HTTP, METRICS),
    }[kind]
    both.object(kind).do(
        apply(body, uid=NOBODY),
        GET,
        DELETE,
        replace(DELETE, uid=NOBODY),
        apply(body),
        apply(body, uid=NOBODY),
        apply(body, uid=NOBODY, force=False),
        replace(DELETE, uid=NOBODY),
        apply(body, uid="right"),
        apply(body, uid="right", version="stale"),
        replace(DELETE, uid="right"),
        apply(body, uid="right"),
        apply(body, version="1"),
        replace(DELETE, uid="stale"),
        apply(body, uid="stale"),
        replace(apply(body), version="stale"),
    )


def test_a_status_goes_only_to_the_version_it_is_about(both: Both) -> None:
    def told(phase: str, version: str = "", uid: str = "", **more: Any) -> Operation:
        status = {"observedGeneration": 1, "phase": phase, **more}
        return replace(apply({"status": status}, version=version, uid=uid), subresource="status")

    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": 1}
    conditions = [{**ready, "lastTransitionTime": "2026-01-02T03:04:05Z"}]
    both.object(MODEL_DEPLOYMENT).do(
        told("Creating"),
        apply(MODEL, "kubectl"),
        GET,
        told("Creating", version="right"),
        told("Creating", version="right"),
        told("Ready", version="stale"),
        told("Ready", version="right", uid=NOBODY),
        told("Ready", version="right", conditions=conditions, url="http://a"),
        told("Ready", version="right", conditions=[{**conditions[0], "type": "Stalled"}]),
        apply({"spec": {**MODEL["spec"], "replicas": 2}}, "kubectl"),
        told("Creating", version="stale"),
        told("Creating", version="right"),
        patch({"metadata": {"annotations": {"modelport.io/reconcile": "paused"}}}),
        HOLD,
        DELETE,
        DELETE,
        told("Terminating", version="right"),
        LET_GO,
        GET,
    )


def test_drift_is_seen_in_what_is_owned_and_put_right(both: Both) -> None:
    first = deployment(
        container(env=env(A="1", B="2"), args=["x"], ports=[{"name": "http", "containerPort": 80}]),
        container("agent"),
        replicas=1,
    )
    second = deployment(
        container(env=env(B="2"), args=["x", "y"], volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        replicas=2,
    )
    second["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    drifted = deployment(
        container(image="mine:1", env=env(A="1", MINE="x", B="3"), args=["x"]), container("agent"), container("sidecar")
    )
    both.object(DEPLOYMENT).do(
        apply(first),
        patch({"spec": {"template": drifted["spec"]["template"]}}),
        patch({"metadata": {"labels": {"app": "b", "mine": "x"}, "annotations": {"mine": "x"}}}),
        apply(first, force=False),
        apply(first),
        patch({"spec": {"replicas": 5}}),
        apply(second, force=False),
        apply(second),
        apply(second),
        patch({"metadata": {"labels": None}}),
        apply(first),
        GET,
    )


def test_a_manager_that_takes_a_field_is_named(both: Both) -> None:
    both.object(DEPLOYMENT).do(
        apply(deployment(container())),
        apply(deployment(container(image="mine:1")), "rival", force=False),
        apply(deployment(container(image="mine:1", env=env(A="1"))), "rival"),
        patch({"spec": {"replicas": 3}}),
        apply(deployment(container(), replicas=1), force=False),
        apply(deployment(container(), replicas=1)),
        apply(deployment(container(env=env(B="1"))), "rival"),
        GET,
    )


def test_what_others_add_stays_and_what_nobody_claims_goes(both: Both) -> None:
    both.object(SERVICE).do(
        apply(service(HTTP, METRICS)),
        apply({"metadata": {"labels": {"theirs": "x"}}, **service({"name": "more", "port": 83})}, "other"),
        patch({"metadata": {"annotations": {"mine": "x"}}}),
        apply(service(HTTP)),
        apply({"metadata": {"labels": {"theirs": "y"}}}, "other"),
        GET,
    )


def test_an_immutable_config_map(both: Both) -> None:
    body = {**config_map(a="1"), "immutable": True}
    both.object(CONFIG_MAP).do(
        apply(body),
        patch({"data": {"a": "2"}}),
        patch({"immutable": None}),
        patch({"metadata": {"labels": {"team": "b"}}}),
        apply(body),
    )


def test_a_field_that_the_kind_does_not_have(both: Both) -> None:
    body = deployment(container(colour="red"))
    both.object(DEPLOYMENT).do(apply(body))
    both.object(CONFIG_MAP).do(apply({"data": {"a": "1"}, "colour": "red"}))


def test_deletion_waits_for_finalizers(both: Both) -> None:
    for kind, body in ((CONFIG_MAP, config_map(a="1")), (DEPLOYMENT, deployment(container()))):
        both.object(kind).do(
            apply(body),
            HOLD,
            replace(DELETE, uid="right"),
            apply(body, version="1"),
            apply(body, uid="right"),
            replace(DELETE, uid="right"),
            LET_GO,
            apply(body, uid="right"),
            GET,
        )


def test_a_namespace_that_is_not_there_or_being_deleted_takes_nothing_new(both: Both) -> None:
    there = both.object(CONFIG_MAP)
    there.do(apply(config_map(a="1")))
    both.ask("DELETE", f"/api/v1/namespaces/{both.namespace}")
    both.object(NAMESPACE, both.namespace).do(GET)
    there.do(apply(config_map(a="2"), uid="right"), patch({"data": {"b": "1"}}))
    for kind, body in ((SERVICE, service(HTTP)), (MODEL_DEPLOYMENT, MODEL)):
        both.object(kind).do(apply(body, version="1"), apply(body))
    there.do(DELETE, apply(config_map(a="1"), version="1"))
    both.namespace = "nowhere"
    both.object(CONFIG_MAP).do(GET, apply(config_map(a="1"), version="1"))
    both.object(NAMESPACE, "nowhere").do(GET)


def test_a_lease_is_taken_by_the_version_that_was_read(both: Both) -> None:
    def held(by: str) -> dict[str, Any]:
        return {"spec": {"holderIdentity": by, "leaseDurationSeconds": 15}}

    query = "fieldManager=modelport"
    both.object(LEASE).do(
        GET,
        Operation("POST", held("a"), query=query),
        Operation("POST", held("b"), query=query),
        Operation("PUT", held("b"), query=query, version="right"),
        Operation("PUT", held("a"), query=query, version="stale"),
        GET,
    )


def test_every_child_that_we_render_is_owned_in_the_same_words(both: Both) -> None:
    for case in CASES:
        for child in case.render(both.namespace).children:
            kind = {"ConfigMap": CONFIG_MAP, "Service": SERVICE, "Deployment": DEPLOYMENT}[child.kind]
            both.object(kind, child.name).do(apply(child.manifest, version="1"), GET)


def test_pages_are_of_one_moment(both: Both) -> None:
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        both.object(CONFIG_MAP, name).do(apply(config_map(a="1")))
    at = f"/api/v1/namespaces/{both.namespace}/configmaps?labelSelector=team&limit=2"
    pages = both.ask("GET", at)
    both.object(CONFIG_MAP, names[4]).do(DELETE)
    both.object(CONFIG_MAP, "page-9").do(apply(config_map(a="1")))
    for left in (3, 1, None):
        assert [page["metadata"].keys() for page in pages] == [pages[0]["metadata"].keys()] * 2
        assert [item["metadata"]["name"] for item in pages[0]["items"]] == [
            item["metadata"]["name"] for item in pages[1]["items"]
        ]
        if left is not None:
            tokens = [page["metadata"]["continue"] for page in pages]
            versions = [page["metadata"]["resourceVersion"] for page in pages]
            (_, real), (_, memory) = (
                api.request("GET", f"{at}&continue={token}") for api, token in zip(both.apis, tokens, strict=True)
            )
            pages = real, memory
            assert [page["metadata"]["resourceVersion"] for page in pages] == versions
    (real, memory) = both.ask("GET", f"/api/v1/namespaces/{both.namespace}/configmaps?labelSelector=team=b")
    assert real["items"] == memory["items"] == []
    assert real["kind"] == memory["kind"]


async def test_metadata_alone(quiet: ControlPlane, both: Both) -> None:
    both.object(SERVICE, "one").do(apply(service(HTTP)))
    connection = Connection(str(quiet.kubeconfig))
    await connection.load()
    transport = Transport(connection, lambda *_: None)
    for form, path in (("", SERVICE.path(both.namespace, "one")), ("List", SERVICE.path(both.namespace))):
        accept = SERVICE.media_type(form)
        real = await transport.request("GET", path, verb="get", resource="services", accept=accept)
        memory = as_metadata(both.memory.request("GET", path)[1])
        assert memory.keys() == real.keys()
        assert [(one["kind"], one["apiVersion"]) for one in (memory, *memory.get("items", ()))] == [
            (one["kind"], one["apiVersion"]) for one in (real, *real.get("items", ()))
        ]
        assert [one.keys() for one in memory.get("items", ())] == [one.keys() for one in real.get("items", ())]
    await transport.close()


@st.composite
def operations(draw: st.DrawFn, bodies: list[dict[str, Any]], patches: list[dict[str, Any]]) -> list[Operation]:
    """Writes by two appliers and somebody with kubectl, with preconditions that hold and that do not."""

    def one() -> Operation:
        wish = st.sampled_from(["", "", "right", NOBODY, "stale"])
        match draw(st.sampled_from("aaaappdhl")):
            case "a":
                manager, force = draw(st.sampled_from(["modelport", "modelport", "rival"])), draw(st.booleans())
                version = draw(st.sampled_from(["", "", "", "1", "right", "stale"]))
                return apply(draw(st.sampled_from(bodies)), manager, force=force, uid=draw(wish), version=version)
            case "p":
                return patch(draw(st.sampled_from(patches)))
            case "d":
                return replace(DELETE, uid=draw(wish))
            case "h":
                return HOLD
            case _:
                return LET_GO

    return [one() for _ in range(draw(st.integers(2, 12)))]


METADATA: list[dict[str, Any]] = [
    {"metadata": {"labels": {"team": "b", "mine": "x"}}},
    {"metadata": {"labels": {"team": None, "mine": None}}},
    {"metadata": {"labels": None, "annotations": {"mine": "x"}}},
]
BODIES: dict[Kind, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    CONFIG_MAP: (
        [config_map(a="1"), config_map(a="2", b="1"), config_map(b="2"), {"metadata": {"annotations": {"mine": "y"}}}],
        [*METADATA, {"data": {"a": "3"}}, {"data": {"a": None, "c": "1"}}, {"data": None}],
    ),
    SERVICE: (
        [service(HTTP), service(HTTP, METRICS), service(METRICS, HTTP), service({**HTTP, "targetPort": 8000}, METRICS)],
        [*METADATA, {"spec": {"ports": [METRICS]}}, {"spec": {"selector": {"app": "b"}}}],
    ),
    DEPLOYMENT: (
        [
            deployment(container()),
            deployment(container(env=env(A="1", B="2")), replicas=2),
            deployment(container(image="server:2", env=env(B="1", A="1"), args=["x"]), container("agent")),
            deployment(container("agent", env=env(C="1")), container(), replicas=3),
            deployment(container(ports=[{"containerPort": 80}, {"containerPort": 81, "name": "b"}])),
        ],
        [
            *METADATA,
            {"spec": {"replicas": 4}},
            {"spec": {"template": {"spec": {"containers": [container("mine"), container(env=env(A="3", D="1"))]}}}},
            {"spec": {"template": {"spec": {"containers": [container(image="mine:1")]}}}},
            {"spec": {"template": {"metadata": {"annotations": {"mine": "x"}}}}},
        ],
    ),
    MODEL_DEPLOYMENT: (
        [
            MODEL,
            {"spec": {**MODEL["spec"], "replicas": 2, "env": env(A="1")}},
            {"spec": {**MODEL["spec"], "vllm": {"maxModelLen": 512}}, "metadata": {"labels": {"team": "a"}}},
        ],
        [*METADATA, {"spec": {"replicas": 3}}, {"spec": {"vllm": {"dtype": "half"}}}, {"spec": {"env": None}}],
    ),
}


@pytest.mark.parametrize("kind", list(BODIES), ids=lambda kind: kind.name)
def test_any_sequence_of_writes_is_answered_and_told_alike(quiet: ControlPlane, both: Both, kind: Kind) -> None:
    start = [document["metadata"]["resourceVersion"] for document in both.ask("GET", kind.path(both.namespace))]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(operations(*BODIES[kind]))
    def run(sequence: list[Operation]) -> None:
        both.object(kind).do(*sequence)

    run()
    at = f"{kind.path(both.namespace)}?watch=true&labelSelector=team&timeoutSeconds=2&resourceVersion="
    lines = (quiet.api.read(at + start[0]) or b"").splitlines()
    changes = [change.told(Selector("team")) for change in both.memory.history.all_of(kind, int(start[1]))]
    expected = comparable_events([json.loads(line) for line in lines], kind)
    assert comparable_events([event for event in changes if event], kind) == expected


def test_a_watch_from_a_version_that_is_too_old_is_told_so(quiet: ControlPlane, both: Both) -> None:
    at = f"{MODEL_DEPLOYMENT.path(both.namespace)}?watch=true&timeoutSeconds=2&resourceVersion=1"
    event = json.loads((quiet.api.read(at) or b"").splitlines()[0])
    both.memory.history.expire()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")

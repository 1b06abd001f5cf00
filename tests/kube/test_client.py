"""What the real API server answers to the preconditions that writes carry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from modelport.kube import client as module
from modelport.kube.client import ApiCluster
from modelport.kube.connection import Connection
from modelport.kube.errors import Conflict, Forbidden, Invalid, NotFound
from modelport.kube.events import Recorder
from modelport.kube.kinds import CONFIG_MAP, MODEL_DEPLOYMENT
from modelport.kube.transport import Transport, decode
from modelport.state.observed import Resource
from modelport.state.status import Event
from tests.cluster import ClusterApi

pytestmark = pytest.mark.apiserver

NOBODY = "00000000-0000-0000-0000-000000000000"


async def connected(kubeconfig: str) -> Transport:
    connection = Connection(kubeconfig)
    await connection.load()
    return Transport(connection, lambda *one: None)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[ApiCluster]:
    transport = await connected(str(control_plane.kubeconfig))
    yield ApiCluster(transport, lambda: 13.0)
    await transport.close()


def config_map() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}


async def test_a_status_goes_only_to_the_version_it_is_about(
    cluster: ApiCluster, cluster_api: ClusterApi, namespace: str
) -> None:
    at = f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    kind = {"apiVersion": MODEL_DEPLOYMENT.api_version, "kind": MODEL_DEPLOYMENT.name}
    body = {**kind, "metadata": {"name": "a"}, "spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}}
    old = cluster_api.create(at, body)["metadata"]["resourceVersion"]
    cluster_api.request("DELETE", f"{at}/a")
    with pytest.raises(NotFound):
        await cluster.apply_status(namespace, "a", old, {"observedGeneration": 1})
    new = cluster_api.create(at, body)["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await cluster.apply_status(namespace, "a", old, {"observedGeneration": 1})
    answer = await cluster.apply_status(namespace, "a", new, {"observedGeneration": 1})
    assert answer["status"] == {"observedGeneration": 1}


async def test_a_child_is_written_and_deleted_only_as_the_one_that_was_seen(
    cluster: ApiCluster, namespace: str
) -> None:
    with pytest.raises(Conflict) as gone:
        await cluster.apply(CONFIG_MAP, namespace, config_map(), precondition={"uid": NOBODY})
    await cluster.apply(CONFIG_MAP, namespace, config_map(), precondition={"resourceVersion": "1"})
    with pytest.raises(Conflict) as exists:
        await cluster.apply(CONFIG_MAP, namespace, config_map(), precondition={"resourceVersion": "1"})
    with pytest.raises(Invalid) as another:
        await cluster.apply(CONFIG_MAP, namespace, config_map(), precondition={"uid": NOBODY})
    with pytest.raises(Conflict) as not_deleted:
        await cluster.delete(CONFIG_MAP, namespace, "a", NOBODY)
    assert not exists.value.another_object
    assert all(refusal.value.another_object for refusal in (gone, another, not_deleted))


async def test_a_list_comes_in_parts_and_each_object_once(
    cluster: ApiCluster, cluster_api: ClusterApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none is decoded before it is looked at."""
    decoded: list[bytes] = []
    monkeypatch.setattr(module, "_PAGE", 2)
    monkeypatch.setattr(module, "decode", lambda content: decoded.append(content) or decode(content))
    for number in range(5):
        body = {**config_map(), "metadata": {"name": f"a-{number}", "labels": {"of": "the-test"}}}
        cluster_api.create(f"/api/v1/namespaces/{namespace}/configmaps", body)
    parts, versions, looked_at = [], set(), 0
    async for page in cluster.pages(CONFIG_MAP, namespace, "of=the-test"):
        assert len(decoded) == looked_at
        parts.append([item["metadata"]["name"] for item in page.items])
        versions.add(page.resource_version)
        looked_at += len(parts[-1])
    assert parts == [["a-0", "a-1"], ["a-2", "a-3"], ["a-4"]]
    assert len(versions) == 1


async def test_of_a_list_of_all_namespaces_others_objects_are_left_out(
    control_plane: ControlPlane, cluster_api: ClusterApi, namespace: str
) -> None:
    for where in (namespace, "default"):
        body = {**config_map(), "metadata": {"name": namespace, "labels": {"of": namespace}}}
        cluster_api.create(f"/api/v1/namespaces/{where}/configmaps", body)
    transport = await connected(str(control_plane.kubeconfig))
    of_shard = ApiCluster(transport, lambda: 13.0, lambda where: where == namespace)
    pages = [list(page.items) async for page in of_shard.pages(CONFIG_MAP, None, f"of={namespace}")]
    await transport.close()
    cluster_api.request("DELETE", f"/api/v1/namespaces/default/configmaps/{namespace}")
    assert [[item["metadata"]["namespace"] for item in page] for page in pages] == [[namespace]]


async def test_a_right_that_is_missing_is_said(control_plane: ControlPlane, namespace: str) -> None:
    transport = await connected(str(control_plane.kubeconfig_for("somebody")))
    with pytest.raises(Forbidden) as refusal:
        await ApiCluster(transport, lambda: 13.0).apply(CONFIG_MAP, namespace, config_map(), precondition={})
    assert refusal.value.missing_right
    await transport.close()


async def test_an_event_is_as_long_as_the_api_takes_it(
    cluster: ApiCluster, cluster_api: ClusterApi, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    resource = Resource(namespace, "a", NOBODY, 1, "1", False, False, {}, {})
    recorder = Recorder(cluster, "test")
    recorder.record(resource, Event("Warning", "Crashed", "é" * 2000))
    await recorder.flush(10)
    (event,) = cluster_api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    assert event["note"] == "é" * 512
    assert caplog.records == []

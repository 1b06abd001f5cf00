"""Several operators on one API server, as the chart installs them: each resource is one's, and each writes only its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from modelport.app.scope import share
from tests.app.installation import Process, installed
from tests.cluster import ClusterApi
from tests.engine.harness import RESOURCES, until

pytestmark = pytest.mark.apiserver

Create = Callable[[int], list[str]]
QUIET = 'door.mode="off"'


@pytest.fixture
def create(cluster_api: ClusterApi) -> Iterator[Create]:
    """Makes so many namespaces, which are taken away after the test."""
    made: list[str] = []

    def some(number: int) -> list[str]:
        names = [f"test-{uuid.uuid4().hex[:8]}" for _ in range(number)]
        for name in names:
            cluster_api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        made.extend(names)
        return names

    yield some
    for name in made:
        cluster_api.request("DELETE", f"/api/v1/namespaces/{name}")


def apply(api: ClusterApi, namespace: str, name: str) -> None:
    body = {
        "apiVersion": "modelport.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo"}},
    }
    api.apply(f"{RESOURCES.format(namespace)}/{name}", body)


def handled(api: ClusterApi, namespace: str, name: str) -> bool:
    """It has its Deployment and a status."""
    found, _ = api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    document = api.get(f"{RESOURCES.format(namespace)}/{name}")
    return found == 200 and "phase" in document.get("status", {})


def written(process: Process, namespaces: set[str]) -> set[tuple[str, str]]:
    """(namespace, name) of each status that the process wrote in these namespaces."""
    statuses = (
        event for event in process.writes() if (event.resource, event.subresource) == ("modeldeployments", "status")
    )
    return {(event.namespace, event.name) for event in statuses if event.namespace in namespaces}


def remembers(process: Process, number: int) -> bool:
    """It has as many Deployments in its cache as there are in the namespaces of its shard."""
    listed = process.plane.api.get("/apis/apps/v1/deployments?labelSelector=modelport.io/name")["items"]
    cached = process.operator.metric('modelport_cached_objects{kind="Deployment"}')
    return bool(cached == sum(share(one["metadata"]["namespace"], 2) == number for one in listed) > 0)


def test_every_resource_is_handled_by_exactly_one_shard(
    control_plane: ControlPlane, cluster_api: ClusterApi, create: Create, tmp_path: Path
) -> None:
    namespaces = create(8)
    while len({share(name, 2) for name in namespaces}) < 2:
        namespaces += create(1)
    resources = {(namespace, name) for namespace in namespaces for name in ("alpha", "beta")}
    for namespace, name in resources - {(namespaces[0], "alpha")}:
        apply(cluster_api, namespace, name)  # found by the first LIST
    release = f"modelport-{uuid.uuid4().hex[:8]}"
    with installed(control_plane, cluster_api, release, tmp_path, "shards=2", QUIET) as shards:
        apply(cluster_api, namespaces[0], "alpha")  # told by the watch
        until("all are handled", lambda: all(handled(cluster_api, *one) for one in resources))
        for number, process in enumerate(shards):
            own = {namespace for namespace in namespaces if share(namespace, 2) == number}
            assert written(process, set(namespaces)) == {one for one in resources if one[0] in own}
            assert {event.namespace for event in process.writes()} & set(namespaces) == own
            assert {share(event.namespace, 2) for event in process.writes()} == {number}
            assert {one for one in resources if process.explain(*one)[0] == 200} == {
                one for one in resources if one[0] in own
            }
            until("it remembers its own alone", lambda process=process, number=number: remembers(process, number))
        leases = {event.name for process in shards for event in process.requests() if event.resource == "leases"}
        assert leases >= {f"{release}-shard-0-of-2", f"{release}-shard-1-of-2"}


def test_installations_for_namespaces_of_their_own_live_side_by_side(
    control_plane: ControlPlane, cluster_api: ClusterApi, create: Create, tmp_path: Path
) -> None:
    first, second, nobodys = create(3)
    releases = {namespace: f"modelport-{uuid.uuid4().hex[:8]}" for namespace in (first, second)}
    for namespace in (first, second, nobodys):
        apply(cluster_api, namespace, "alpha")
    with (
        installed(control_plane, cluster_api, releases[first], tmp_path, f'namespaces=["{first}"]', QUIET) as (one,),
        installed(control_plane, cluster_api, releases[second], tmp_path, f'namespaces=["{second}"]', QUIET) as (two,),
    ):
        for namespace in (first, second):
            until("it is handled", lambda namespace=namespace: handled(cluster_api, namespace, "alpha"))
        apply(cluster_api, first, "beta")
        until("the watch tells", lambda: handled(cluster_api, first, "beta"))
        assert not handled(cluster_api, nobodys, "alpha")
        for process, namespace in ((one, first), (two, second)):
            assert {event.namespace for event in process.writes()} == {namespace}
            assert [event.uri for event in process.requests() if event.code == 403] == []
            asked_for = {event.namespace for event in process.requests() if event.resource not in ("", "leases")}
            assert asked_for == {namespace}

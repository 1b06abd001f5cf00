"""Merging pod templates: equal to what the API server's own strategic merge patch gives, and errors with a path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.render.desired import Identity
from modelport.render.strategic import PatchError, merge_pod_template
from tests.cluster import STRATEGIC, ClusterApi

from .cases import UID, child, rendered

BASE = {
    "runtime": "vllm",
    "replicas": 0,
    "model": {"uri": "pvc://weights/llama"},
    "gpu": {"count": 1},
    "imagePullSecrets": [{"name": "registry"}],
    "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}],
    "podTemplate": {
        "metadata": {"annotations": {"example.com/a": "1"}, "finalizers": ["example.com/one", "example.com/two"]},
        "spec": {
            "nodeSelector": {"pool": "gpu"},
            "dnsConfig": {"nameservers": ["192.0.2.1"], "options": [{"name": "ndots", "value": "2"}]},
            "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["hub"]}],
        },
    },
}


def server(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "server", **fields}]}}


PATCHES: dict[str, dict[str, Any]] = {
    "env: one changed, one added": server(env=[{"name": "ONE", "value": "changed"}, {"name": "NEW", "value": "x"}]),
    "env: one removed": server(env=[{"name": "ONE", "$patch": "delete"}]),
    "env: all replaced": server(env=[{"$patch": "replace"}, {"name": "ONLY", "value": "this"}]),
    "env: in an order of its own": server(env=[{"name": "TWO", "value": "b"}, {"name": "ONE", "value": "a"}]),
    "env: order by directive": server(
        **{"$setElementOrder/env": [{"name": "TWO"}, {"name": "ONE"}], "env": [{"name": "ONE", "value": "z"}]}
    ),
    "ports: merged by number": server(ports=[{"containerPort": 8000, "name": "web"}, {"containerPort": 9000}]),
    "arguments: lists of primitives are replaced": server(args=["--help"]),
    "command: removed by null": server(command=None),
    "capabilities: primitives inside maps": server(securityContext={"capabilities": {"add": ["NET_BIND_SERVICE"]}}),
    "probe: numbers inside a map": server(livenessProbe={"failureThreshold": 9, "initialDelaySeconds": 3}),
    "probe: replaced as a whole": server(livenessProbe={"$patch": "replace", "tcpSocket": {"port": 8000}}),
    "resources: emptied by a directive": server(resources={"$patch": "delete"}),
    "probe: removed by null": server(livenessProbe=None, lifecycle=None),
    "resources: maps of quantities": server(resources={"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}),
    "mounts: merged by path": server(
        volumeMounts=[{"mountPath": "/tmp", "name": "home"}, {"mountPath": "/data", "name": "tmp"}]
    ),
    "containers: one more": {"spec": {"containers": [{"name": "logs", "image": "logs:1", "args": ["-f"]}]}},
    "containers: one more with nothing to remove": {
        "spec": {"containers": [{"name": "logs", "image": "logs:1", "env": [], "workingDir": None}]}
    },
    "init containers: one more, one changed": {
        "spec": {
            "initContainers": [
                {"name": "warm-up", "image": "warm:1"},
                {"name": "fetch", "resources": {"limits": {"memory": "8Gi"}}},
            ]
        }
    },
    "init containers: one removed": {"spec": {"initContainers": [{"name": "fetch", "$patch": "delete"}]}},
    "volumes: another size": {
        "spec": {"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}]}
    },
    "volumes: another source by retainKeys": {
        "spec": {
            "volumes": [
                {
                    "name": "home",
                    "$retainKeys": ["name", "ephemeral"],
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                        }
                    },
                }
            ]
        }
    },
    "volumes: another source by null": {
        "spec": {"volumes": [{"name": "home", "emptyDir": None, "persistentVolumeClaim": {"claimName": "home"}}]}
    },
    "volumes: one more": {"spec": {"volumes": [{"name": "extra", "configMap": {"name": "extra"}}]}},
    "tolerations: an atomic list": {"spec": {"tolerations": [{"key": "spot", "operator": "Exists"}]}},
    "tolerations: removed": {"spec": {"tolerations": None}},
    "node selector: merged": {"spec": {"nodeSelector": {"zone": "a"}}},
    "node selector: replaced": {"spec": {"nodeSelector": {"$patch": "replace", "zone": "a"}}},
    "metadata: labels and annotations": {
        "metadata": {"labels": {"team": "search"}, "annotations": {"example.com/a": None, "example.com/b": "2"}}
    },
    "finalizers: primitives merged": {"metadata": {"finalizers": ["example.com/two", "example.com/three"]}},
    "finalizers: primitives removed": {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/one"]}},
    "host aliases: merged by address": {
        "spec": {"hostAliases": [{"ip": "192.0.2.7", "hostnames": ["mirror"]}, {"ip": "192.0.2.8", "hostnames": ["x"]}]}
    },
    "pull secrets: one more, one removed": {
        "spec": {"imagePullSecrets": [{"name": "other"}, {"name": "registry", "$patch": "delete"}]}
    },
    "dns: an atomic list inside a map": {"spec": {"dnsConfig": {"nameservers": ["192.0.2.2"], "options": None}}},
    "spread: new list with a key": {
        "spec": {
            "topologySpreadConstraints": [
                {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"},
                {"topologyKey": "host", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
            ]
        }
    },
    "affinity: a new tree": {
        "spec": {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["h"]}]}]
                    }
                }
            }
        }
    },
    "security context: a scalar and a null": {"spec": {"securityContext": {"fsGroup": 1000, "runAsGroup": None}}},
    "the whole template: host and scheduling": {
        "spec": {"priorityClassName": "serving", "schedulerName": "other", "runtimeClassName": "nvidia"}
    },
}


@pytest.fixture(scope="module")
def deployment(cluster_api: ClusterApi, restricted_namespace: str) -> dict[str, Any]:
    """The base, stored, with no pods."""
    manifest = child(rendered(BASE, Identity(restricted_namespace, "strategic", UID)), "Deployment")
    del manifest["metadata"]["ownerReferences"]  # nobody of that uid exists: it would be collected as garbage
    cluster_api.create(f"/apis/apps/v1/namespaces/{restricted_namespace}/deployments", manifest)
    return manifest


@pytest.mark.apiserver
@pytest.mark.parametrize("name", PATCHES)
def test_equals_the_api_servers_own_patch(name: str, deployment: dict[str, Any], cluster_api: ClusterApi) -> None:
    theirs, ours = both(cluster_api, deployment, PATCHES[name])
    assert theirs[0] == 200, theirs
    assert ours == theirs


def both(api: ClusterApi, deployment: dict[str, Any], patch: dict[str, Any]) -> tuple[tuple[int, Any], tuple[int, Any]]:
    """Status and template: of the API server's own strategic merge patch, and of a PUT of what we have merged."""
    path = f"/apis/apps/v1/namespaces/{deployment['metadata']['namespace']}/deployments/strategic?dryRun=All"
    merged = merge_pod_template(deployment["spec"]["template"], patch)
    body = {**deployment, "spec": {**deployment["spec"], "template": merged}}
    answers = [
        api.request("PATCH", path, {"spec": {"template": patch}}, STRATEGIC),
        api.request("PUT", path, body),
    ]
    theirs, ours = ((status, answer.get("spec", {}).get("template")) for status, answer in answers)
    return theirs, ours


def keyed(key: str, names: list[Any], fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Lists merged by a key: items changed, added, removed, the list replaced or put in another order."""
    item = st.builds(lambda name, more: {key: name, **more}, st.sampled_from(names), fields)
    removal = st.sampled_from([{key: name, "$patch": "delete"} for name in names])
    plain = st.lists(item | removal, min_size=1, max_size=5, unique_by=lambda found: found[key])
    return plain | plain.map(lambda items: [*items, {"$patch": "replace"}]) | st.none()


NO_FIELDS: st.SearchStrategy[dict[str, Any]] = st.just({})
ENV = keyed("name", ["ONE", "TWO", "HOME", "NEW", "MORE"], st.sampled_from([{"value": "x"}, {"value": None}, {}]))
HOSTS = keyed("ip", ["192.0.2.7", "192.0.2.8", "192.0.2.9"], st.just({"hostnames": ["a"]}))
RANDOM = st.fixed_dictionaries(
    {},
    optional={
        "hostAliases": HOSTS,
        "imagePullSecrets": keyed("name", ["registry", "a", "b"], NO_FIELDS),
        "nodeSelector": st.dictionaries(st.sampled_from(["pool", "zone"]), st.none() | st.just("x")) | st.none(),
        "initContainers": keyed(
            "name", ["agent", "fetch", "a", "b"], st.fixed_dictionaries({"image": st.just("i:1"), "env": ENV})
        ),
    },
)


@pytest.mark.apiserver
@settings(max_examples=100, deadline=None)
@given(spec=RANDOM)
def test_random_patches_equal_the_api_servers(
    spec: dict[str, Any], deployment: dict[str, Any], cluster_api: ClusterApi
) -> None:
    theirs, ours = both(cluster_api, deployment, {"spec": spec})
    assert ours == theirs


def test_there_are_enough_patches() -> None:
    assert len(PATCHES) >= 20


@pytest.mark.parametrize(
    ("patch", "path", "words"),
    [
        ({"spec": []}, ".spec", "is a list where a map is needed"),
        ({"spec": {"containers": {"name": "server"}}}, ".spec.containers", "is a map where a list is needed"),
        ({"spec": {"containers": [{"image": "x"}]}}, ".spec.containers[0]", "needs `name`"),
        ({"spec": {"containers": ["server"]}}, ".spec.containers[0]", "'server' where a map is needed"),
        (server(env="A=1"), ".spec.containers[server].env", "is 'A=1' where a list is needed"),
        ({"spec": {"$patch": "remove"}}, ".spec.$patch", "'remove' is neither replace nor delete"),
        ({"spec": {"volumes": [{"name": "tmp", "$patch": "merge"}]}}, ".spec.volumes[0].$patch", "'merge' is neither"),
        ({"spec": {"$retainKeys": "containers"}}, ".spec.$retainKeys", "where a list is needed"),
        ({"spec": {"$retainKeys": ["volumes"], "tolerations": []}}, ".spec.$retainKeys", "has to name `tolerations`"),
    ],
)
def test_a_patch_that_cannot_be_applied(patch: dict[str, Any], path: str, words: str) -> None:
    base = child(rendered(BASE), "Deployment")["spec"]["template"]
    with pytest.raises(PatchError) as error:
        merge_pod_template(base, patch)
    assert (error.value.path, words in str(error.value)) == (path, True), str(error.value)

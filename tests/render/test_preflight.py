"""The pod that tries a revision without its devices: everything of the real one but what takes a GPU, time or work."""

from __future__ import annotations

from typing import Any

from modelport.render.desired import Desired, Identity
from modelport.render.preflight import name_of, preflight

from .cases import rendered

WHO = Identity("models", "assistant", "uid")
SPEC: dict[str, Any] = {
    "runtime": "vllm",
    "model": {"uri": "hf://org/repo", "credentials": {"secretName": "hf"}},
    "gpu": {"count": 2},
    "vllm": {"apiKey": {"name": "key", "key": "token"}},
}


def pod(**changes: Any) -> tuple[Desired, dict[str, Any]]:
    desired = rendered({**SPEC, **changes}, WHO)
    return desired, preflight(WHO, desired, {"node-2", "node-1"})


def test_it_pulls_mounts_and_asks_and_does_nothing_else() -> None:
    desired, made = pod()
    template = next(c.manifest["spec"]["template"] for c in desired.children if c.kind == "Deployment")
    spec = made["spec"]
    agent, fetch = spec["initContainers"]
    (server,) = spec["containers"]
    assert [one["image"] for one in (agent, fetch, server)] == [
        *(one["image"] for one in template["spec"]["initContainers"]),
        template["spec"]["containers"][0]["image"],
    ]
    assert spec["volumes"] == template["spec"]["volumes"]
    assert server["volumeMounts"] == template["spec"]["containers"][0]["volumeMounts"]
    assert fetch["args"][-1] == "--check"
    assert fetch["envFrom"] == [{"secretRef": {"name": "hf"}}]
    assert agent["command"] == server["command"] == ["/bin/sh", "-c", "exit 0"]
    assert "restartPolicy" not in agent, "a sidecar would keep the pod from ending"
    assert "nvidia.com/gpu" not in str(server["resources"])
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in server["env"]
    assert not {"startupProbe", "livenessProbe", "lifecycle", "ports", "args"} & server.keys()
    assert spec["restartPolicy"] == "OnFailure"
    assert spec["securityContext"] == template["spec"]["securityContext"]


def test_no_service_and_no_replica_set_takes_it_for_its_own() -> None:
    _, made = pod()
    labels = made["metadata"]["labels"]
    assert (labels["modelport.io/name"], labels["modelport.io/role"]) == ("assistant", "preflight")
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid"


def test_each_template_has_one_of_its_own() -> None:
    (one, made), (other, _) = pod(), pod(vllm={"maxModelLen": 128})
    assert made["metadata"]["name"] == name_of("assistant", one) != name_of("assistant", other)


def test_it_runs_where_the_old_pods_run_and_the_new_ones_may() -> None:
    here = {"key": "metadata.name", "operator": "In", "values": ["node-1", "node-2"]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    _, made = pod()
    assert made["spec"]["affinity"]["nodeAffinity"][required] == {"nodeSelectorTerms": [{"matchFields": [here]}]}
    zone = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    affinity = {"nodeAffinity": {required: {"nodeSelectorTerms": [zone]}}, "podAntiAffinity": {}}
    _, made = pod(podTemplate={"spec": {"affinity": affinity}})
    assert made["spec"]["affinity"]["nodeAffinity"][required] == {
        "nodeSelectorTerms": [{**zone, "matchFields": [here]}]
    }

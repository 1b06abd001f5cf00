"""What the spec means for the pod: flags, names, budgets, grace periods, mounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelport.api.blocks import VllmFlags

from .cases import child, container, rendered, template

VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}


def args(**vllm: Any) -> list[str]:
    found: list[str] = container(rendered({**VLLM, "vllm": vllm}))["args"]
    return found


def agent_json(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(child(rendered(spec), "ConfigMap")["data"]["agent.json"])
    return found


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("maxModelLen", 4096, "--max-model-len=4096"),
        ("maxModelLen", -1, "--max-model-len=-1"),
        ("kvCacheMemoryBytes", "64M", "--kv-cache-memory-bytes=64M"),
        ("kvCacheDtype", "fp8", "--kv-cache-dtype=fp8"),
        ("enforceEager", True, "--enforce-eager"),
        ("enforceEager", False, "--no-enforce-eager"),
        ("enablePrefixCaching", False, "--no-enable-prefix-caching"),
    ],
)
def test_a_field_is_the_flag_of_its_name(field: str, value: Any, flag: str) -> None:
    assert flag in args(**{field: value})


def test_every_field_of_the_block_becomes_something() -> None:
    bare = set(args())
    samples: dict[str, Any] = {"apiKey": {"name": "s", "key": "k"}, "chatTemplate": "x", "toolCallParser": "hermes"}
    names = {info.alias or name for name, info in VllmFlags.model_fields.items()}
    silent = {name for name in names - set(samples) if set(args(**_sample(name))) == bare}
    assert silent == set()
    assert "--chat-template=/etc/modelport/chat-template.jinja" in args(chatTemplate="x")


def _sample(name: str) -> dict[str, Any]:
    choices = {"dtype": "auto", "runner": "auto", "enableAutoToolChoice": True, "gpuMemoryUtilization": 0.5}
    texts = ("quantization", "kvCacheDtype", "loadFormat", "toolCallParser", "reasoningParser")
    switches = ("enablePrefixCaching", "enableChunkedPrefill", "enforceEager", "trustRemoteCode")
    value = choices.get(name, "fp8" if name in texts else name in switches or 2)
    more = {"toolCallParser": "hermes"} if name == "enableAutoToolChoice" else {}
    return {name: value, **more} if name != "gpuMemoryUtilization" else {"maxNumSeqs": 1}


@pytest.mark.parametrize(
    ("gpus", "options", "expected"),
    [
        (1, {}, []),
        (4, {}, ["--tensor-parallel-size=4"]),
        (8, {"pipelineParallelSize": 2}, ["--tensor-parallel-size=4", "--pipeline-parallel-size=2"]),
        (2, {"dataParallelSize": 2}, ["--data-parallel-size=2"]),
        (2, {"tensorParallelSize": 2}, ["--tensor-parallel-size=2"]),
    ],
)
def test_gpus_are_shared_by_tensor_parallelism(gpus: int, options: dict[str, Any], expected: list[str]) -> None:
    found = container(rendered({**VLLM, "gpu": {"count": gpus}, "vllm": options}))["args"]
    assert [flag for flag in found if "parallel" in flag] == expected


@pytest.mark.parametrize(
    ("uri", "names", "expected"),
    [
        ("hf://org/repo@main/sub", None, ["example", "org/repo"]),
        ("pvc://claim/llama", None, ["example"]),
        ("hf://org/repo", ["a", "b", "a"], ["a", "b"]),
    ],
)
def test_served_names(uri: str, names: list[str] | None, expected: list[str]) -> None:
    spec = {"runtime": "vllm", "model": {"uri": uri, **({"names": names} if names else {})}}
    desired = rendered(spec)
    found = container(desired)["args"]
    assert found[found.index("--served-model-name") + 1 :][: len(expected)] == expected
    assert agent_json(spec)["models"] == expected == list(desired.question.models)
    assert desired.model == expected[0]


def test_more_weights_get_more_time() -> None:
    def times(size: str) -> tuple[int, int]:
        desired = rendered({**VLLM, "model": {"uri": "hf://org/repo", "size": size}})
        probe = container(desired)["startupProbe"]
        return probe["failureThreshold"] * probe["periodSeconds"], int(desired.deadline)

    small, large = times("1Gi"), times("140Gi")
    assert small[0] < large[0] and small[1] < large[1]
    assert all(deadline > start for start, deadline in (small, large))


def test_what_lies_on_a_claim_needs_no_time_to_travel() -> None:
    fetched = rendered({**VLLM, "model": {"uri": "hf://org/repo", "size": "10Gi"}})
    linked = rendered({**VLLM, "model": {"uri": "pvc://claim", "size": "10Gi"}})
    assert linked.deadline < fetched.deadline
    assert container(linked)["startupProbe"] == container(fetched)["startupProbe"]


def test_times_stay_what_kubernetes_and_the_agent_take() -> None:
    spec = {
        **VLLM,
        "model": {"uri": "hf://org/repo", "size": "9E"},
        "podTemplate": {"spec": {"terminationGracePeriodSeconds": 10**9}},
    }
    assert rendered(spec).deadline < 2**31
    assert agent_json(spec)["drain"]["deadline"] <= 86400


@pytest.mark.parametrize("grace", [None, 20, 900])
def test_the_grace_period_holds_drain_and_shutdown(grace: int | None) -> None:
    override = {} if grace is None else {"podTemplate": {"spec": {"terminationGracePeriodSeconds": grace}}}
    desired = rendered({**VLLM, **override})
    found = template(desired)["spec"]["terminationGracePeriodSeconds"]
    drain = agent_json({**VLLM, **override})["drain"]["deadline"]
    assert found == (grace or 90)
    assert 1 <= drain < found
    if grace != 20:
        assert drain + 20 < found, "vLLM's own shutdown has to fit as well"


def test_no_gpu_is_seen_without_asking_for_one() -> None:
    environment = {item["name"]: item.get("value") for item in container(rendered(VLLM))["env"]}
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    with_gpu = rendered({**VLLM, "gpu": {"count": 1}})
    assert "NVIDIA_VISIBLE_DEVICES" not in [item["name"] for item in container(with_gpu)["env"]]
    assert container(with_gpu)["resources"] == {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    assert template(with_gpu)["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_the_key_is_given_to_server_and_agent_and_to_nobody_else() -> None:
    desired = rendered({**VLLM, "vllm": {"apiKey": {"name": "keys", "key": "token"}}})
    reference = {"secretKeyRef": {"name": "keys", "key": "token"}}
    assert {"name": "VLLM_API_KEY", "valueFrom": reference} in container(desired)["env"]
    mounts = {
        name: [m["name"] for m in container(desired, name)["volumeMounts"]] for name in ("agent", "fetch", "server")
    }
    assert [name for name, found in mounts.items() if "api-key" in found] == ["agent"]
    assert desired.question.has_api_key


def test_only_fetch_can_write_models() -> None:
    desired = rendered({**VLLM, "model": {"uri": "pvc://weights/a", "names": ["m"]}})
    for name, writable in (("fetch", {"models"}), ("server", set())):
        mounts = {m["name"] for m in container(desired, name)["volumeMounts"] if not m.get("readOnly")}
        assert mounts & {"models", "claim-0", "config"} == writable


def test_ready_without_a_question_is_told() -> None:
    app = {"runtime": "fastapi", "fastapi": {"app": "app:app"}}
    asked = {**app, "check": {"request": {"path": "/predict"}}}
    assert [rendered(spec).asked for spec in (app, asked, VLLM, {**VLLM, "check": {"disabled": True}})] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "server",
    [
        {"resources": {"limits": {"nvidia.com/mig-1g.5gb": 1}}},
        {"resources": {"claims": [{"name": "gpu"}]}},
    ],
)
def test_devices_that_a_pod_template_asks_for_are_not_hidden(server: dict[str, Any]) -> None:
    patch = {"spec": {"containers": [{"name": "server", **server}]}}
    names = [item["name"] for item in container(rendered({**VLLM, "podTemplate": patch}))["env"]]
    assert "NVIDIA_VISIBLE_DEVICES" not in names
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container(rendered(VLLM))["env"]


@pytest.mark.parametrize("nothing", [{"env": []}, {"vllm": {}}, {"check": {"expect": {}}}, {"vllm": {"dtype": None}}])
def test_what_says_nothing_makes_no_pod_anew(nothing: dict[str, Any]) -> None:
    assert rendered({**VLLM, **nothing}).spec_hash == rendered(VLLM).spec_hash
    assert rendered({**VLLM, "podTemplate": {"spec": nothing}}).spec_hash != rendered(VLLM).spec_hash


def test_a_size_beyond_all_measure_gives_the_longest_budget() -> None:
    assert rendered({**VLLM, "model": {"uri": "hf://org/repo", "size": "9e99"}}).deadline > 7 * 24 * 3600

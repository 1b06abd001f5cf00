"""User > platform > built-in, fragment by fragment."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.render.platform import OFFICIAL_IMAGES, Platform, platform_from
from modelport.render.resolve import Resolved, merge, resolve

from .cases import container, rendered, template

VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}


def resolved(user: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    found = resolve(user, Platform(defaults=defaults))
    assert isinstance(found, Resolved)
    return found.spec.model_dump(by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    ("over", "under", "result"),
    [
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": None}, {"a": 1}, {"a": 1}),
        ({"a": [1]}, {"a": [2, 3]}, {"a": [1]}),
        ({"a": []}, {"a": [{"name": "x"}]}, {"a": []}),
        (
            {"a": [{"name": "x", "value": "1"}, {"name": "z"}]},
            {"a": [{"name": "y"}, {"name": "x", "valueFrom": {}}]},
            {"a": [{"name": "y"}, {"name": "x", "value": "1"}, {"name": "z"}]},
        ),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": "text"}),
    ],
)
def test_merging(over: dict[str, Any], under: dict[str, Any], result: dict[str, Any]) -> None:
    assert merge(over, under) == result


def test_a_block_of_another_runtime_is_left_out() -> None:
    found = resolved(VLLM, {"triton": {"extraArgs": ["--log-verbose=1"]}, "vllm": {"dtype": "half"}})
    assert "triton" not in found
    assert found["vllm"]["dtype"] == "half"


def test_gpu_defaults_make_nobody_need_a_gpu() -> None:
    defaults = {"gpu": {"resource": "amd.com/gpu"}, "vllm": {"gpuMemoryUtilization": 0.8}}
    on_cpu, on_gpu = resolved(VLLM, defaults), resolved({**VLLM, "gpu": {"count": 1}}, defaults)
    assert "gpu" not in on_cpu and "gpuMemoryUtilization" not in on_cpu.get("vllm", {})
    assert on_gpu["gpu"] == {"count": 1, "resource": "amd.com/gpu"}
    assert on_gpu["vllm"]["gpuMemoryUtilization"] == 0.8


def test_pod_templates_are_applied_one_after_the_other() -> None:
    tolerations = [{"key": "spot", "operator": "Exists"}]
    platform = Platform(defaults={"podTemplate": {"spec": {"priorityClassName": "low", "tolerations": tolerations}}})
    user = {"podTemplate": {"spec": {"priorityClassName": "high", "containers": [{"name": "server", "tty": True}]}}}
    spec = template(rendered({**VLLM, **user}, platform=platform))["spec"]
    assert (spec["priorityClassName"], spec["tolerations"]) == ("high", tolerations)
    assert container(rendered({**VLLM, **user}, platform=platform))["tty"] is True


def test_pull_secrets_of_the_installation_and_of_the_user() -> None:
    platform = Platform(image_pull_secrets=("company",))
    spec = template(rendered({**VLLM, "imagePullSecrets": [{"name": "mine"}]}, platform=platform))["spec"]
    assert spec["imagePullSecrets"] == [{"name": "company"}, {"name": "mine"}]


def test_a_platform_from_the_charts_values() -> None:
    values = {
        "images": {"vllm": "mine"},
        "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
        "hub": {"endpoint": "http://hub"},
    }
    platform = platform_from(values)
    assert (platform.images["vllm"], platform.images["triton"]) == ("mine", OFFICIAL_IMAGES["triton"])
    assert (platform.image_pull_secrets, platform.hub_endpoint) == (("a", "b"), "http://hub")
    assert {"name": "HF_ENDPOINT", "value": "http://hub"} in container(rendered(VLLM, platform=platform), "fetch")[
        "env"
    ]


@pytest.mark.parametrize("user", [{"runtime": "triton"}, {"runtime": "vllm", "check": {"request": {"path": "/"}}}])
def test_a_default_task_is_for_those_who_ask_no_other_question(user: dict[str, Any]) -> None:
    model = {"model": {"uri": "hf://org/repo", "names": ["a"]}}
    found = resolved({**user, **model}, {"check": {"task": "chat", "timeout": "9s"}})
    assert "task" not in found["check"]
    assert found["check"]["timeout"] == "9s"

"""Specs that cannot be served: the field and the words that the user reads. Nothing that a user writes raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.api.names import NAME_ADVICE
from modelport.render.defaults import problems as problems_of_defaults
from modelport.render.desired import Desired, Identity, Invalid
from modelport.render.platform import Platform
from modelport.render.render import render

from .cases import UID, problems

VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}


def triton(*models: dict[str, Any]) -> dict[str, Any]:
    return {"runtime": "triton", "triton": {"models": list(models)}}


def configured(config: dict[str, Any]) -> dict[str, Any]:
    return triton({"name": "det", "uri": "hf://org/repo/det.onnx", "config": config})


def text(pbtxt: str) -> dict[str, Any]:
    return triton({"name": "det", "uri": "hf://org/repo/det.onnx", "configPbtxt": pbtxt})


AGENT = {"name": "agent"}
SERVER = {"name": "server", "env": 5, "resources": {"claims": 1}}
LABELLED = {
    "$patch": "replace",
    "metadata": {"labels": {"modelport.io/name": "example", "modelport.io/role": "server"}},
}
"""A podTemplate that replaces ours, so that nothing of it has been merged."""

CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["spec.runtime: is required"]),
    (
        {**VLLM, "vllm": {"maxNumSeqs": "many"}},
        ["spec.vllm.maxNumSeqs: 'many' should be a valid integer"],
    ),
    ({**VLLM, "vllm": {"maxModelLen": "lots"}}, ["spec.vllm.maxModelLen: write auto, -1, a number, "]),
    ({**VLLM, "vllm": {"dtype": "fp99"}}, ["spec.vllm.dtype: 'fp99' should be 'auto', 'half', "]),
    ({**VLLM, "vllm": []}, ["spec.vllm: should be "]),
    ({**VLLM, "replicas": -1}, ["spec.replicas: -1 should be greater than or equal to 0"]),
    (
        {**VLLM, "env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]},
        ["spec.env[A].valueFrom.fieldRef.fieldPath: is req"],
    ),
    ({**VLLM, "triton": {}}, ["spec.triton: runtime is vllm; move these options to spec.vllm"]),
    ({**VLLM, "model": {"uri": "hf://repo"}}, ["spec.model.uri: hf://repo names no repository: write hf://owner/repo"]),
    ({**VLLM, "model": {"uri": "pvc://claim/../x"}}, ["spec.model.uri: pvc://claim/../x may not contain '.' or '..'"]),
    ({**VLLM, "model": {"uri": "pvc:///x"}}, ["spec.model.uri: pvc:///x names no claim"]),
    ({**VLLM, "model": {"uri": "pvc://a:b/x"}}, ["spec.model.uri: pvc://a:b/x names no claim: write pvc://claim/path"]),
    ({**VLLM, "model": {"uri": "hf://datasets/a/b"}}, ["spec.model.uri: hf://datasets/a/b names no model: only repo"]),
    ({**VLLM, "model": {"uri": "https://host/a"}}, ["spec.model.uri: https:// names one file, and this runtime needs"]),
    (
        {"runtime": "fastapi", "fastapi": {"app": "a:b"}, "model": {"uri": "https://host/d/"}},
        ["spec.model.uri: https://host/d/ names no file: write https://host/path/file"],
    ),
    (
        configured({"backend": "python", "output": [{"name": "A"}, {"name": True}]}),
        ["spec.triton.models[det].config.output[1].name: has to be a text: write it in quotes (y, n, yes"],
    ),
    (
        {**VLLM, "check": {"interval": "25h"}},
        ["spec.check.interval: write a number and its unit, ms, s, m or h, from 1s to 24h"],
    ),
    (
        {**VLLM, "check": {"request": {"path": "/", "bodyBase64": "abc"}}},
        ["spec.check.request.bodyBase64: is not base64: incorrect padding"],
    ),
    ({**VLLM, "gpu": {"count": 3}, "vllm": {"pipelineParallelSize": 2}}, ["spec.vllm: pipelineParallelSize x dataPar"]),
    (
        {**VLLM, "vllm": {"extraArgs": ["--max-model-len=1"]}},
        ["spec.vllm.extraArgs: --max-model-len is a field of its own"],
    ),
    (
        configured({"maxBatch": 4}),
        ["spec.triton.models[det].config: there is no field maxBatch; did you mean maxBatchSize?"],
    ),
    (
        configured({"dynamicBatching": {"preferedBatchSize": [1]}}),
        [
            "spec.triton.models[det].config.dynamicBatching: there is no field preferedBatchSize; "
            "did you mean preferredBatchSize?"
        ],
    ),
    (
        configured({"input": [{"name": "x", "dataType": "TYPE_FP33"}]}),
        ["spec.triton.models[det].config.input[0].dataType: there is no value TYPE_FP33; did you mean TYPE_FP32?"],
    ),
    (
        configured({"maxBatchSize": "x"}),
        ["spec.triton.models[det].config.maxBatchSize: invalid literal for int() with base 10: 'x'"],
    ),
    (configured({"name": "rec"}), ["spec.triton.models[det].config.name: 'rec' has to be the model's name, 'det'"]),
    (configured({"input": {"name": "x"}}), ["spec.triton.models[det].config"]),
    (
        text('name: "det"\nmax_batch_size: 4\nmax_bach_size: 3\n'),
        ["spec.triton.models[det].configPbtxt: line 3: there is no field max_bach_size; did you mean max_batch_size?"],
    ),
    (
        text("input [{ name: 'a' data_type: TYPE_FLOAT32 }]"),
        ["spec.triton.models[det].configPbtxt: line 1: there is no value TYPE_FLOAT32; did you mean TYPE_"],
    ),
    (text('max_batch_size: "a"'), ['spec.triton.models[det].configPbtxt: line 1: Couldn\'t parse integer: "a"']),
    (text("input [ {"), ['spec.triton.models[det].configPbtxt: line 1: Expected "}"']),
    (text('name: "other"'), ["spec.triton.models[det].configPbtxt.name: 'other' has to be the model's name, 'det'"]),
    (
        triton(
            {"name": "det", "uri": "hf://org/repo/det.onnx"},
            {
                "name": "all",
                "config": {"platform": "ensemble", "ensembleScheduling": {"step": [{"modelName": "dett"}]}},
            },
        ),
        [
            "spec.triton.models[all].config: the ensemble passes requests to 'dett', which is none of spec.triton.models: all, det"
        ],
    ),
    (triton({"name": "a", "config": {}}), ["spec.triton.models[a]: has a configuration but no files"]),
    (
        triton({"name": "a", "uri": "hf://o/r"}, {"name": "a", "uri": "hf://o/r"}),
        ['spec.triton.models[1]: Duplicate value: {"name":"a"}'],
    ),
    (
        {"runtime": "triton", "model": {"uri": "pvc://repository"}},
        ["spec.model.names: name the models of the repository"],
    ),
    (
        {**triton({"name": "a", "uri": "hf://o/r"}), "model": {"names": ["b"]}},
        ["spec.model.names: 'b' is none of spec.triton.models: a"],
    ),
    (
        {**VLLM, "podTemplate": {"spec": {"containers": [{"name": "server", "$patch": "delete"}]}}},
        ["spec.podTemplate.spec.containers: the container `server` may not be removed"],
    ),
    (
        {**VLLM, "podTemplate": {"spec": {"initContainers": None}}},
        ["spec.podTemplate.spec.initContainers: the container `agent` may not be removed"],
    ),
    (
        {**VLLM, "podTemplate": {"metadata": {"labels": {"modelport.io/name": "x"}}}},
        ["spec.podTemplate.metadata.labels.modelport.io/name: has to stay example"],
    ),
    (
        {**VLLM, "podTemplate": {"metadata": {"annotations": 5}}},
        ["spec.podTemplate.metadata.annotations: has to be a map of texts"],
    ),
    ({**VLLM, "podTemplate": {**LABELLED, "spec": {"containers": [1, SERVER], "initContainers": [AGENT]}}}, []),
    (
        {**VLLM, "podTemplate": {**LABELLED, "spec": {"containers": 5, "initContainers": [AGENT]}}},
        ["spec.podTemplate.spec.containers: the container `server` may not be removed"],
    ),
    (
        {**VLLM, "podTemplate": {"spec": {"containers": {}}}},
        ["spec.podTemplate.spec.containers: is a map where a list"],
    ),
    ({**VLLM, "vllm": {"chatTemplate": "é" * 262_000}}, []),
    (
        triton(*({"name": f"m{i}", "uri": "hf://o/r", "configPbtxt": "#" * 65_000} for i in range(20))),
        ["spec: its texts (configurations, templates) have 13"],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), CASES, ids=range(len(CASES)))
def test_what_the_user_reads(spec: dict[str, Any], expected: list[str]) -> None:
    found = problems(spec)
    assert len(found) == len(expected), found
    for text_, start in zip(found, expected, strict=True):
        assert text_.startswith(start), text_


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_no_form_for(number: float) -> None:
    assert problems({**VLLM, "podTemplate": {"spec": {"terminationGracePeriodSeconds": number}}}) == [
        "spec.podTemplate: holds a number that JSON has no form for"
    ]


def test_names_that_no_service_can_have() -> None:
    assert problems(VLLM, name="7b") == [f"metadata.name: {NAME_ADVICE}"]


def test_an_installation_without_an_image() -> None:
    found = problems(VLLM, platform=Platform(images={}))
    assert found == [
        "spec.image: is required: this installation has no image for runtime vllm",
        "spec: this installation has no image of the agent: its administrator sets images.agent",
    ]


def test_all_problems_are_told_at_once() -> None:
    spec = {**VLLM, "model": {"uri": "hf://repo"}, "check": {"request": {"path": "/", "bodyBase64": "a"}}}
    result = render(Identity("models", "example", UID), spec, Platform())
    assert isinstance(result, Invalid)
    assert [problem.path for problem in result.problems] == ["spec.check.request.bodyBase64", "spec.model.uri"]
    assert result.message.count("; ") == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "spec", "$patch", "containers", "uri", "count", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
FIELDS = ["model", "image", "replicas", "gpu", "resources", "env", "check", "podTemplate", "vllm", "triton", "fastapi"]


@given(
    st.sampled_from(["vllm", "triton", "fastapi", "other"]), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3)
)
def test_nothing_that_a_user_writes_raises(runtime: str, fields: dict[str, Any]) -> None:
    base = {"vllm": VLLM, "triton": triton({"name": "a", "uri": "hf://o/r"})}.get(runtime, {"fastapi": {"app": "a:b"}})
    result = render(
        Identity("models", "example", UID), {**base, "runtime": runtime, **fields}, Platform(defaults=fields)
    )
    assert isinstance(result, Desired | Invalid)


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"podTemplate": "x"}, "defaults.podTemplate: should be a map"),
        ({"replicass": 2}, "defaults.replicass: there is no such field; did you mean replicas?"),
        ({"podTemplate": {"nodeSelector": {}}}, "defaults.podTemplate.nodeSelector: there is no such field"),
        ({"vllm": {"dtype": "fp99"}}, "defaults.vllm.dtype: 'fp99' should be 'auto', 'half', "),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "defaults.resources.limits: GPUs stand in a field"),
        (
            {"podTemplate": {"spec": {"containers": [{"name": "server", "$patch": "delete"}]}}},
            "defaults.podTemplate.spec.",
        ),
    ],
)
def test_what_is_wrong_with_the_defaults_of_an_installation(defaults: dict[str, Any], says: str) -> None:
    (problem,) = problems_of_defaults(Platform(defaults=defaults))
    assert str(problem).startswith(says)


def test_what_only_the_defaults_make_wrong_is_not_said_of_the_user() -> None:
    spec = {**VLLM, "model": {"uri": "hf://repo"}, "gpu": {"count": 3}}
    found = problems(spec, platform=Platform(defaults={"vllm": {"pipelineParallelSize": 2}}))
    (shape,) = (problem for problem in found if "gpu.count" in problem)
    assert shape.endswith(
        "set gpu.count to a multiple of 2 (with the defaults of this installation, the chart's value `defaults`)"
    )
    found = problems({**VLLM, "model": {"uri": "hf://repo"}}, platform=Platform(defaults={"vllm": {"dtype": "half"}}))
    assert found == problems({**VLLM, "model": {"uri": "hf://repo"}})


def test_defaults_that_some_users_cannot_use_are_fine() -> None:
    useful = {
        "vllm": {"gpuMemoryUtilization": 0.8},
        "check": {"task": "chat", "timeout": "1m"},
        "gpu": {"resource": "a.b/c"},
    }
    assert problems_of_defaults(Platform(defaults=useful)) == ()


NAMED = st.fixed_dictionaries({}, optional={"name": JSON, "ip": JSON, "env": JSON, "$patch": JSON}) | JSON
PARTS = ["containers", "hostAliases", "$setElementOrder/containers", "$setElementOrder/hostAliases", "$retainKeys", "x"]
PATCH = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.dictionaries(st.sampled_from(PARTS), st.lists(NAMED, max_size=3) | JSON, max_size=4) | JSON,
        "metadata": st.dictionaries(
            st.sampled_from(["finalizers", "labels", "$deleteFromPrimitiveList/finalizers"]), JSON, max_size=3
        ),
        "$patch": JSON,
    },
)


@given(PATCH, PATCH)
def test_no_pod_template_raises(platforms: dict[str, Any], users: dict[str, Any]) -> None:
    platform = Platform(defaults={"podTemplate": platforms})
    result = render(Identity("models", "example", UID), {**VLLM, "podTemplate": users}, platform)
    assert isinstance(result, Desired | Invalid)


@given(st.dictionaries(st.sampled_from(["input", "maxBatchSize", "parameters", "ensembleScheduling", "name"]), JSON))
def test_no_model_configuration_raises(config: dict[str, Any]) -> None:
    result = render(Identity("models", "example", UID), configured(config), Platform())
    assert isinstance(result, Desired | Invalid)

"""Every rule says the same in CEL and in Python, on inputs made from the schema itself."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelport.api.flags import TRITON_OWNED, VLLM_OWNED
from modelport.api.model import Model, Rule
from modelport.api.spec import ModelDeploymentSpec, Vllm
from modelport.api.structural import INT_OR_STRING, PRESERVE, Schema, structural
from tests.api.celtool import evaluate, forms, models

RULED = [model for model in models(ModelDeploymentSpec) if model.rules]
FORMS = list(forms(ModelDeploymentSpec).values())

# Valid values for each property whose form a single letter does not have, or whose content a rule looks at.
TEXTS = {
    "uri": ["hf://a/b", "https://a/b", "pvc://a"],
    "path": ["/x"],
    "app": ["a:b"],
    "interval": ["10s"],
    "timeout": ["1m"],
    "surgeTimeout": ["10m"],
    "resource": ["amd.com/gpu"],
    "env.name": ["VLLM_API_KEY", "A"],
}
FLAGS = [*VLLM_OWNED, *TRITON_OWNED, *(f"--{name}".replace("_", "-") for name in Vllm.model_fields)]
ARGUMENTS = st.one_of(
    st.sampled_from(FLAGS).flatmap(
        lambda flag: st.sampled_from(
            [flag, f"{flag}=1", f"{flag}x", flag[1:], flag.replace("-", "_"), f"--no{flag[1:]}", flag.upper()]
        )
    ),
    st.sampled_from(["-tp", "-tp=2", "-tp2", "-q", "-qawq", "-pp", "-dp=1", "--a_b", "--a.b_c", "a_b", "--a=b_c"]),
)
KEYS = st.sampled_from(["cpu", "memory", "nvidia.com/mig-1g.5gb", "x.y/gpu", "amd.com/gpu", "gpu"])


def values(node: Schema, name: str = "") -> st.SearchStrategy[Any]:
    """Values that the schema allows, rules apart; small, so that they meet each other's conditions often."""
    if node.get(INT_OR_STRING):
        return st.sampled_from([1, "4k"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(node.get("minimum", 0), node.get("minimum", 0) + 7)
        case "number":
            return st.just(0.5)
        case "string":
            return st.sampled_from(TEXTS.get(name, ["x"]))
        case "array":
            items = ARGUMENTS if name == "extraArgs" else values(node["items"], name)
            keys = node.get("x-kubernetes-list-map-keys")
            unique = None if keys is None else lambda item: tuple(item[key] for key in keys)
            return st.lists(items, min_size=node.get("minItems", 0), max_size=2, unique_by=unique)
    if node.get(PRESERVE):
        return st.just({})
    if "additionalProperties" in node:
        return st.dictionaries(KEYS, values(node["additionalProperties"]), max_size=2)
    known = {"env": {"name": "env.name"}}.get(name, {})
    wanted = {key: values(below, known.get(key, key)) for key, below in node["properties"].items()}
    required = {key: value for key, value in wanted.items() if key in node.get("required", ())}
    optional = {key: value for key, value in wanted.items() if key not in required}
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("model", RULED, ids=lambda model: model.__name__)
def test_cel_and_python_agree(model: type[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = model.rules
    for ruled in RULED:  # so that objects which break rules can be made
        monkeypatch.setattr(ruled, "rules", ())
    outcomes: Counter[tuple[Rule, bool]] = Counter()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(values(structural(model)))
    def compare(document: dict[str, Any]) -> None:
        value = model.model_validate(document)
        for rule in rules:
            holds = rule.holds(value)
            outcomes[rule, holds] += 1
            assert evaluate(rule.cel, document) == holds, (rule.cel, document)
            if not holds and "messageExpression" in rule.validation():
                assert evaluate(rule.validation()["messageExpression"], document) == rule.tell(value)

    compare()
    flags = [rule for rule in rules if rule.path == ".extraArgs"]
    for rule in set(rules) - set(flags):
        assert outcomes[rule, True], f"never held: {rule.cel}"
        assert outcomes[rule, False], f"never broken: {rule.cel}"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.rule.message)
@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_forms_agree(form: Any, data: st.DataObject) -> None:
    pattern = re.search(r"r'(.*?)'\)", form.rule.cel)
    assert pattern is not None
    near = st.from_regex(pattern[1]).map(lambda text: text[:200])
    spoilt = st.tuples(near, st.sampled_from(["", " ", "\n", "-", ".", "x", "0", "Gi"])).map("".join)
    value = data.draw(st.one_of(near, spoilt, st.text("0123456789.kKmMgGiseEhn:/-_ax \n", max_size=12)))
    assert bool(evaluate(form.rule.cel, value)) == bool(form.rule.holds(value))
    if form.schema.get(INT_OR_STRING):
        number = data.draw(st.integers(-5, 5))
        assert evaluate(form.rule.cel, number) == form.rule.holds(number)


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("--max-model-len", "spec.vllm.maxModelLen"),
        ("--max-model-len=4096", "spec.vllm.maxModelLen"),
        ("--no-enable-prefix-caching", "spec.vllm.enablePrefixCaching"),
        ("-tp=2", "spec.vllm.tensorParallelSize"),
        ("-q", "spec.vllm.quantization"),
        ("-qawq", "spec.vllm.quantization"),
        ("--device-memory-utilization=0.5", "spec.vllm.gpuMemoryUtilization"),
        ("--api-key", "spec.vllm.apiKey"),
        ("--chat-template=/x", "spec.vllm.chatTemplate"),
        ("--served-model-name", "spec.model.names"),
        ("--max_model_len=1", "dashes"),
    ],
)
def test_an_argument_that_has_another_place(argument: str, field: str) -> None:
    with pytest.raises(ValueError, match=re.escape(field)):
        Vllm.model_validate({"extraArgs": [argument]})


@pytest.mark.parametrize(
    "argument",
    ["--seed=1", "--max-log-len", "--api-server-count=2", '--override-generation-config={"top_k": 1}', "4_0"],
)
def test_an_argument_of_its_own(argument: str) -> None:
    Vllm.model_validate({"extraArgs": [argument]})

"""Whatever the schema admits is rendered or refused in words: texts as strange as its rules let through, numbers at their
bounds, and anything at all where it takes anything."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelport.api.crd import schema
from modelport.api.structural import INT_OR_STRING, PRESERVE, Schema
from modelport.render.desired import Desired, Identity, Invalid
from modelport.render.platform import Platform
from modelport.render.render import render

SPEC: Schema = schema()["properties"]["spec"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
KEYS = st.sampled_from(
    "name env resources claims limits nvidia.com/gpu containers initContainers labels annotations $patch "
    "$retainKeys input output dims parameters maxBatchSize ensembleScheduling step modelName".split()
) | st.text(max_size=3)
NAMES = {"name": st.sampled_from(["server", "agent", "a"]) | SCALARS, "$patch": st.just("replace") | SCALARS}
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.fixed_dictionaries({}, optional={**NAMES, "env": inner, "resources": inner})
    ),
    max_leaves=12,
)


def texts(node: Schema) -> st.SearchStrategy[str]:
    """Texts that the node's rules take, short or as long as they may be."""
    patterns = [
        match[1] for rule in node.get("x-kubernetes-validations", ()) if (match := _PATTERN.search(rule["rule"]))
    ]
    longest = node.get("maxLength", 64)
    found = st.from_regex(re.compile(patterns[0], re.ASCII), fullmatch=True) if patterns else st.text(max_size=8)
    return st.builds(lambda text: text[:longest], found)


_PATTERN = re.compile(r"matches\(r'(.*?)'\)")


def values(node: Schema) -> st.SearchStrategy[Any]:
    """Values of a node of the schema."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get(INT_OR_STRING):
        return st.integers(0, 2**63 - 1) | texts(node)
    match node["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(node.get("minimum", -(2**63)), node.get("maximum", 2**63 - 1))
        case "number":
            return st.floats(node["minimum"], node["maximum"], exclude_min=True)
        case "string":
            return texts(node)
        case "array":
            return st.lists(values(node["items"]), min_size=node.get("minItems", 0), max_size=2)
    if node.get(PRESERVE):
        return st.dictionaries(KEYS, ANYTHING, max_size=4)
    if "additionalProperties" in node:
        return st.dictionaries(KEYS, values(node["additionalProperties"]), max_size=2)
    below = {key: values(item) for key, item in node["properties"].items()}
    required = {key: value for key, value in below.items() if key in node.get("required", ())}
    return st.fixed_dictionaries(required, optional={key: below[key] for key in below.keys() - required.keys()})


LEAST: dict[str, dict[str, Any]] = {
    "vllm": {"image": "x"},
    "triton": {"image": "x", "model": {"names": ["a"]}},
    "fastapi": {"fastapi": {"app": "a:b"}},
}
FIELDS = {key: values(node) for key, node in SPEC["properties"].items() if key not in ("runtime", *LEAST)}


def specs(runtime: str) -> st.SearchStrategy[dict[str, Any]]:
    """The least that a runtime needs, and up to three fields, for few fields break few rules."""
    fields = {**FIELDS, runtime: values(SPEC["properties"][runtime])}
    chosen = st.sets(st.sampled_from(sorted(fields)), min_size=1, max_size=3)
    some = chosen.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in sorted(keys)}))
    return some.map(lambda written: {**LEAST[runtime], **written, "runtime": runtime})


def test_nothing_that_the_schema_admits_raises() -> None:
    outcomes: Counter[type] = Counter()

    @settings(max_examples=500, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(LEAST)).flatmap(specs))
    def attempt(spec: dict[str, Any]) -> None:
        result = render(Identity("models", "example", "uid"), spec, Platform())
        outcomes[type(result)] += 1
        if isinstance(result, Desired):
            json.dumps([child.manifest for child in result.children], allow_nan=False)

    attempt()
    assert outcomes[Desired] > 50 and outcomes[Invalid] > 50, outcomes

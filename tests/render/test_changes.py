"""What a change of the spec, of the platform or of nothing changes: the fewest writes and no pod made anew for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.render.desired import Desired
from modelport.render.hashing import short_hash
from modelport.render.platform import Platform

from .cases import CASES, Case, child, rendered, template

SPEC: dict[str, Any] = {
    "runtime": "vllm",
    "model": {"uri": "hf://org/repo"},
    "replicas": 1,
    "vllm": {"maxModelLen": 1024},
}


def changed(before: Desired, after: Desired) -> set[str]:
    """Kinds of the children that have to be written."""
    known = {(item.kind, item.name): item.applied_hash for item in before.children}
    return {item.kind for item in after.children if known.get((item.kind, item.name)) != item.applied_hash}


@pytest.mark.parametrize(
    ("change", "written", "same_pods"),
    [
        ({}, set(), True),
        ({"vllm": {"maxModelLen": 2048}}, {"Deployment"}, False),
        ({"replicas": 2}, {"Deployment"}, True),
        ({"suspend": True}, {"Deployment"}, True),
        ({"suspend": False}, set(), True),
        ({"check": {"task": "chat"}}, {"ConfigMap", "Deployment"}, False),
        ({"vllm": {"chatTemplate": "x"}}, {"ConfigMap", "Deployment"}, False),
    ],
)
def test_what_a_change_writes(change: dict[str, Any], written: set[str], same_pods: bool) -> None:
    before, after = rendered(SPEC), rendered({**SPEC, **change})
    assert changed(before, after) == written
    assert (template(before) == template(after)) is same_pods
    assert (before.spec_hash == after.spec_hash) is same_pods


def test_an_upgrade_that_changes_nothing_else_writes_nothing() -> None:
    assert changed(rendered(SPEC), rendered(SPEC, platform=Platform(version="9.9.9"))) == set()


def test_the_platform_is_version_and_not_input() -> None:
    other = Platform(images={"vllm": "other", "agent": "other"}, defaults={"vllm": {"dtype": "half"}})
    before, after = rendered(SPEC), rendered(SPEC, platform=other)
    assert before.spec_hash == after.spec_hash
    versions = {
        child(found, "Deployment")["metadata"]["annotations"]["modelport.io/renderer-version"]
        for found in (before, after)
    }
    assert len(versions) == 2


def test_pods_and_deployment_carry_the_spec_hash() -> None:
    desired = rendered(SPEC)
    assert template(desired)["metadata"]["annotations"] == {"modelport.io/spec-hash": desired.spec_hash}
    assert child(desired, "Deployment")["metadata"]["annotations"]["modelport.io/spec-hash"] == desired.spec_hash


def test_suspended_has_no_pods() -> None:
    desired = rendered({**SPEC, "replicas": 3, "suspend": True, "gpu": {"count": 2}})
    assert (desired.replicas, desired.gpus) == (0, 0)
    assert child(desired, "Deployment")["spec"]["replicas"] == 0


def test_the_configuration_of_another_revision_has_another_name() -> None:
    before, after = (child(rendered({**SPEC, "check": {"task": task}}), "ConfigMap") for task in ("chat", "completion"))
    assert before["metadata"]["name"] != after["metadata"]["name"]
    assert before["immutable"] is True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rendering_is_deterministic_and_blind_to_the_order_of_keys(case: Case) -> None:
    document = case.document()["spec"]
    again = rendered(_reversed(document), case.identity(), case.platform())
    assert case.render() == replace(again)


def _reversed(value: Any) -> Any:
    """The same value with the keys of maps in the other order."""
    if isinstance(value, dict):
        return {key: _reversed(item) for key, item in reversed(value.items())}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(VALUES)
def test_hashes_do_not_depend_on_the_order_of_keys(value: Any) -> None:
    assert short_hash(value) == short_hash(_reversed(value))

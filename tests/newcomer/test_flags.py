"""Every flag that has another place is refused among extraArgs, and the message names the place: the rest of the table,
which would only repeat itself as files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic.alias_generators import to_camel

from modelport.api.blocks import VllmFlags
from modelport.api.flags import TRITON_OWNED, VLLM_OWNED
from tests.cluster import ClusterApi

pytestmark = pytest.mark.apiserver

COLLECTION = "/apis/modelport.io/v1alpha1/namespaces/default/modeldeployments?dryRun=All"


def flags() -> Iterator[tuple[str, str, str]]:
    """Runtime, flag, and what the API server says of it."""
    for field in VllmFlags.model_fields:
        flag = f"--{field.replace('_', '-')}"
        yield "vllm", flag, f"{flag} is a field of its own: write spec.vllm.{to_camel(field)}"
    for runtime, owned in (("vllm", VLLM_OWNED), ("triton", TRITON_OWNED)):
        for flag, advice in owned.items():
            yield runtime, flag, f"{flag} is set by the operator: {advice}"


@pytest.mark.parametrize(
    ("runtime", "flag", "says"), list(flags()), ids=lambda value: value if value.startswith("-") else ""
)
@pytest.mark.parametrize("form", ["{}", "{}=1"])
def test_a_flag_with_another_place(cluster_api: ClusterApi, runtime: str, flag: str, says: str, form: str) -> None:
    spec = {"runtime": runtime, "image": "x", "model": {"names": ["a"]}, runtime: {"extraArgs": [form.format(flag)]}}
    kind = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "assistant"}}
    status, answer = cluster_api.request("POST", COLLECTION, {**kind, "spec": spec})
    assert status == 422
    assert answer["message"] == (
        f'ModelDeployment.modelport.io "assistant" is invalid: spec.{runtime}.extraArgs: Forbidden: {says}'
    )

"""What the operator puts on a server's command line cannot be said a second time in extraArgs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes import triton, vllm

VLLM: dict[str, Any] = {
    "runtime": "vllm",
    "model": {"uri": "hf://owner/repo"},
    "gpu": {"count": 4},
    "vllm": {"maxModelLen": "4k", "pipelineParallelSize": 2, "enforceEager": True, "chatTemplate": "{{ messages }}"},
}
TRITON: dict[str, Any] = {"runtime": "triton", "triton": {"models": [{"name": "det", "uri": "pvc://weights/det"}]}}


def _flags(arguments: tuple[str, ...]) -> list[str]:
    return [argument.split("=")[0] for argument in arguments if argument.startswith("-")]


@pytest.mark.parametrize("flag", _flags(vllm.facts("assistant", ModelDeploymentSpec.model_validate(VLLM)).args))
def test_vllm(flag: str) -> None:
    with pytest.raises(ValidationError, match=r"is a field of its own|is set by the operator"):
        ModelDeploymentSpec.model_validate({**VLLM, "vllm": {"extraArgs": [flag]}})


@pytest.mark.parametrize("flag", _flags(triton.facts("ocr", ModelDeploymentSpec.model_validate(TRITON)).args))
def test_triton(flag: str) -> None:
    with pytest.raises(ValidationError, match="is set by the operator"):
        ModelDeploymentSpec.model_validate({**TRITON, "triton": {**TRITON["triton"], "extraArgs": [flag]}})

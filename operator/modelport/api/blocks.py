"""The three blocks of the spec that belong to one runtime each: vllm, triton and fastapi.

Field docstrings are the descriptions in the CRD and in the reference. A field stands here only when it does something.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from . import crossfield, flags
from .model import Keyed, Model, text
from .types import (
    ATOMIC,
    Argument,
    DnsName,
    LocalObjectReference,
    ModelUri,
    ScaledInt,
    ScaledIntOrAuto,
    SecretKeyReference,
)

Word = Annotated[
    str,
    text("^[A-Za-z0-9][-_A-Za-z0-9]*$", "write one word of letters, digits, dashes and underscores", max_length=64),
]
"""A value that vLLM knows by name."""


class VllmFlags(Model):
    """The typed options of `vllm serve`: each field is one long option, in camelCase."""

    max_model_len: ScaledIntOrAuto | None = None
    """Longest prompt plus answer, in tokens: a number, or vLLM's own forms 4k, 1M, auto. Less needs less memory for the KV cache."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each GPU's memory that vLLM may use, 0 to 1. On CPU use kvCacheMemoryBytes instead."""
    kv_cache_memory_bytes: ScaledInt | None = None
    """Size of the KV cache: bytes, or vLLM's own forms such as 64M or 2G. Overrides gpuMemoryUtilization."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=64)] | None = None
    """GPUs that share each layer. Default: gpu.count / (pipelineParallelSize x dataParallelSize)."""
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=64)] | None = None
    """Groups of GPUs that each hold a part of the layers. Default: 1."""
    data_parallel_size: Annotated[int, Field(ge=1, le=64)] | None = None
    """Copies of the model in one pod. Default: 1."""
    max_num_seqs: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Requests that are worked on at the same time."""
    max_num_batched_tokens: ScaledInt | None = None
    """Tokens in one step of the engine: a number, or vLLM's own form such as 8k."""
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = None
    """Number format of weights and activations."""
    quantization: Word | None = None
    """Quantization method, such as awq, gptq or fp8, where the model does not say it itself."""
    kv_cache_dtype: Word | None = None
    """Number format of the KV cache, such as fp8."""
    enable_prefix_caching: bool | None = None
    """Keep the KV cache of common prompt beginnings."""
    enable_chunked_prefill: bool | None = None
    """Split long prompts so that answers in progress are not held up."""
    enforce_eager: bool | None = None
    """Do not compile or capture graphs: starts faster, answers slower."""
    trust_remote_code: bool | None = None
    """Run Python code that comes with the model. Only for repositories that you trust."""
    load_format: Word | None = None
    """How weights are read, such as auto, safetensors or runai_streamer."""
    runner: Literal["auto", "generate", "pooling", "draft"] | None = None
    """What the model is for: `pooling` for embeddings and classification."""
    enable_auto_tool_choice: bool | None = None
    """Let the model decide to call tools. Needs toolCallParser."""
    tool_call_parser: Word | None = None
    """Parser of the model's tool calls, such as hermes or llama3_json."""
    reasoning_parser: Word | None = None
    """Parser of the model's reasoning, such as deepseek_r1."""
    api_key: SecretKeyReference | None = None
    """Key that clients must send as `Authorization: Bearer KEY`."""
    chat_template: Annotated[str, Field(max_length=262144)] | None = None
    """Chat template (Jinja text), where the model has none or a wrong one."""


class Vllm(VllmFlags):
    """Options of `vllm serve`: each is vLLM's long option in camelCase. Anything else goes into extraArgs."""

    rules = (*crossfield.VLLM, *flags.typed_flags(VllmFlags.model_fields), *flags.owned_flags(flags.VLLM_OWNED))

    extra_args: Annotated[list[Argument], Field(max_length=128, json_schema_extra=ATOMIC)] | None = None
    """Further arguments of `vllm serve`, as on the command line. May not repeat a field of this block or a flag that the operator sets."""


class TritonModel(Model):
    """One model of a Triton repository."""

    rules = crossfield.TRITON_MODEL

    name: Annotated[
        str,
        text(
            "^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$",
            "write letters, digits, dashes, underscores and dots, a letter or digit at both ends, at most 63",
            max_length=63,
        ),
    ]
    """The model's name in Triton and its folder in the repository."""
    uri: ModelUri | None = None
    """A file (becomes 1/model.<suffix>) or a folder, as in model.uri. Leave out for an ensemble or for code alone."""
    config: dict[str, Any] | None = None
    """Triton's ModelConfig as YAML, in protobuf's JSON names (maxBatchSize, dynamicBatching, ...)."""
    config_pbtxt: Annotated[str, Field(max_length=65536)] | None = None
    """Triton's config.pbtxt, as text. Instead of `config`."""
    code: LocalObjectReference | None = None
    """A ConfigMap whose keys become files beside the model (model.py for the Python backend)."""


class Triton(Model):
    """Options of Triton Inference Server."""

    rules = flags.owned_flags(flags.TRITON_OWNED)

    models: Annotated[list[TritonModel], Field(min_length=1, max_length=64), Keyed("name")] | None = None
    """The models of the repository. Leave out when model.uri is a whole repository."""
    extra_args: Annotated[list[Argument], Field(max_length=128, json_schema_extra=ATOMIC)] | None = None
    """Further arguments of `tritonserver`, as on the command line. May not repeat a flag that the operator sets."""


class FastApiCode(Model):
    """Where the application's code is, when it is not in the image."""

    config_map_name: DnsName
    """A ConfigMap whose keys are the files of the application. Pods take a change when they are made anew."""


class FastApi(Model):
    """An ASGI application (FastAPI, Starlette, ...), served as it is."""

    app: Annotated[
        str,
        text(
            "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$",
            "write module:name, such as app:app for the variable app in app.py",
        ),
    ]
    """The application as module:name, as for uvicorn."""
    code: FastApiCode | None = None
    """Where its code is. Leave out when it is in the image."""

"""What a user writes in a ModelDeployment. Field docstrings are the descriptions in the CRD and in the reference.

A field stands here only when it does something. Defaults in the schema are only those that no platform would change.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from . import crossfield, flags
from .names import Runtime
from .types import DnsName, Duration, Model, Quantity, ScaledInt, ScaledIntOrAuto, SecretKey

ServedName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._/A-Za-z0-9]+$")]
Argument = Annotated[str, Field(min_length=1, max_length=4096)]
EnvName = Annotated[str, Field(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]
ModelUri = Annotated[str, Field(pattern=r"^(hf|https|pvc)://[^\s]+$", max_length=2048)]
Atomic = {"x-kubernetes-list-type": "atomic"}
_ANYTHING = {"type": "object", "additionalProperties": True}
POD_TEMPLATE: dict[str, Any] = {
    "properties": {
        "metadata": {"description": "Labels and annotations of the pods.", **_ANYTHING},
        "spec": {"description": "Any part of a PodSpec.", **_ANYTHING},
    }
}
"""The two fields that a PodTemplateSpec has, so that a field of the pod written in the wrong place is an unknown field."""


def keyed(*keys: str) -> dict[str, Any]:
    """Schema extras of a list whose items are merged by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class LocalObjectReference(Model):
    """An object of the same namespace, by name."""

    name: DnsName
    """Name of the object."""


class SecretKeyReference(Model):
    """One key of a Secret of the same namespace. The operator never reads it; the kubelet gives it to the pod."""

    name: DnsName
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""


class Credentials(Model):
    """What the fetch container may use to get at the model. Only referenced, never read by the operator."""

    rules = crossfield.CREDENTIALS

    secret_name: DnsName | None = None
    """A Secret whose keys become environment variables of the fetch container: HF_TOKEN for hf://; for https:// either HTTPS_TOKEN (bearer) or HTTPS_USER and HTTPS_PASSWORD."""
    service_account_name: DnsName | None = None
    """A ServiceAccount for the pod (workload identity). Its token is not mounted unless podTemplate asks for it."""


class ModelSource(Model):
    """Where the model comes from and what it is called."""

    uri: ModelUri | None = None
    """hf://owner/repo[@revision][/path], https://host/file or pvc://claim[/path]. Leave out when the model is in the image."""
    names: Annotated[list[ServedName], Field(min_length=1, max_length=16, json_schema_extra=Atomic)] | None = None
    """Names that the model is served under. Default: the resource's name and, for hf://, the repository's id."""
    size: Quantity | None = None
    """Size of the weights, such as 15Gi. The time allowed for fetching and loading is computed from it."""
    credentials: Credentials | None = None
    """What is needed to fetch the model."""


class Gpu(Model):
    """The accelerators of one replica."""

    count: Annotated[int, Field(ge=1, le=64)]
    """GPUs for each replica."""
    resource: (
        Annotated[
            str,
            Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$", max_length=253),
        ]
        | None
    ) = None
    """Name of the GPU in the node's resources. Default: nvidia.com/gpu."""


class Resources(Model):
    """CPU and memory of the server container, as in any container. GPUs belong in `gpu`."""

    rules = crossfield.RESOURCES

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the scheduler keeps free for one replica, such as cpu: 4, memory: 16Gi."""
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What one replica may use at most."""


class FieldReference(Model):
    """A field of the pod."""

    field_path: Annotated[str, Field(max_length=253)]
    """Path of the field, such as status.podIP."""


class ConfigMapKeyReference(Model):
    """One key of a ConfigMap of the same namespace."""

    name: DnsName
    """Name of the ConfigMap."""
    key: SecretKey
    """Key in the ConfigMap."""


class EnvSource(Model):
    """Where an environment variable's value comes from: exactly one of the fields."""

    rules = crossfield.ENV_SOURCE

    secret_key_ref: SecretKeyReference | None = None
    """A key of a Secret."""
    config_map_key_ref: ConfigMapKeyReference | None = None
    """A key of a ConfigMap."""
    field_ref: FieldReference | None = None
    """A field of the pod."""


class EnvVar(Model):
    """An environment variable of the server container."""

    rules = crossfield.ENV_VAR

    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value."""
    value_from: EnvSource | None = None
    """Where its value comes from, instead of `value`."""


class Request(Model):
    """One HTTP request to the server, sent as it is."""

    rules = crossfield.REQUEST

    method: Literal["GET", "POST", "PUT"] | None = None
    """HTTP method. Default: POST with a body, GET without."""
    path: Annotated[str, Field(pattern=r"^/[^\s]*$", max_length=2048)]
    """Path and query on port 8000."""
    content_type: Annotated[str, Field(max_length=256)] | None = None
    """Content-Type header. Default: application/json."""
    body: Annotated[str, Field(max_length=65536)] | None = None
    """Body as text."""
    body_base64: Annotated[str, Field(max_length=131072, pattern=r"^[A-Za-z0-9+/\s]*={0,2}\s*$")] | None = None
    """Body as base64, for pictures, sound and binary tensors. Instead of `body`."""


class Expect(Model):
    """What the answer must be. Without it any answer with status 200 is right."""

    status: Annotated[int, Field(ge=100, le=599)] | None = None
    """HTTP status. Default: 200."""
    contains: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A text that the answer's body must contain."""


class Check(Model):
    """The question that proves the model. Each pod is asked, and a pod that does not answer gets no traffic."""

    rules = crossfield.CHECK

    task: Literal["completion", "chat", "embedding"] | None = None
    """Which question a vLLM server is asked: `completion` (default), `chat` or `embedding`. Only for runtime vllm."""
    request: Request | None = None
    """A question of your own, instead of the built-in one."""
    expect: Expect | None = None
    """What the answer must be."""
    interval: Duration | None = None
    """Time between questions while the model answers. Default: 10s."""
    timeout: Duration | None = None
    """Time that an answer may take. Default: 30s."""
    disabled: bool | None = None
    """Do not ask the model: a pod is ready when its server lists the model. The status says so."""


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
    quantization: Annotated[str, Field(pattern=r"^[-_a-z0-9]+$", max_length=64)] | None = None
    """Quantization method, such as awq, gptq or fp8, where the model does not say it itself."""
    kv_cache_dtype: Annotated[str, Field(pattern=r"^[-_a-z0-9]+$", max_length=64)] | None = None
    """Number format of the KV cache, such as fp8."""
    enable_prefix_caching: bool | None = None
    """Keep the KV cache of common prompt beginnings."""
    enable_chunked_prefill: bool | None = None
    """Split long prompts so that answers in progress are not held up."""
    enforce_eager: bool | None = None
    """Do not compile or capture graphs: starts faster, answers slower."""
    trust_remote_code: bool | None = None
    """Run Python code that comes with the model. Only for repositories that you trust."""
    load_format: Annotated[str, Field(pattern=r"^[-_a-z0-9]+$", max_length=64)] | None = None
    """How weights are read, such as auto, safetensors or runai_streamer."""
    runner: Literal["auto", "generate", "pooling", "draft"] | None = None
    """What the model is for: `pooling` for embeddings and classification."""
    enable_auto_tool_choice: bool | None = None
    """Let the model decide to call tools. Needs toolCallParser."""
    tool_call_parser: Annotated[str, Field(pattern=r"^[-_A-Za-z0-9]+$", max_length=64)] | None = None
    """Parser of the model's tool calls, such as hermes or llama3_json."""
    reasoning_parser: Annotated[str, Field(pattern=r"^[-_A-Za-z0-9]+$", max_length=64)] | None = None
    """Parser of the model's reasoning, such as deepseek_r1."""
    api_key: SecretKeyReference | None = None
    """Key that clients must send as `Authorization: Bearer KEY`."""
    chat_template: Annotated[str, Field(max_length=262144)] | None = None
    """Chat template (Jinja text), where the model has none or a wrong one."""


class Vllm(VllmFlags):
    """Options of `vllm serve`: each is vLLM's long option in camelCase. Anything else goes into extraArgs."""

    rules = (*crossfield.VLLM, *flags.typed_flags(VllmFlags.model_fields), *flags.owned_flags(flags.VLLM_OWNED))

    extra_args: Annotated[list[Argument], Field(max_length=128, json_schema_extra=Atomic)] | None = None
    """Further arguments of `vllm serve`, as on the command line. May not repeat a field of this block or a flag that the operator sets."""


class TritonModel(Model):
    """One model of a Triton repository."""

    rules = crossfield.TRITON_MODEL

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$", max_length=63)]
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

    models: Annotated[list[TritonModel], Field(min_length=1, max_length=64, json_schema_extra=keyed("name"))] | None = (
        None
    )
    """The models of the repository. Leave out when model.uri is a whole repository."""
    extra_args: Annotated[list[Argument], Field(max_length=128, json_schema_extra=Atomic)] | None = None
    """Further arguments of `tritonserver`, as on the command line. May not repeat a flag that the operator sets."""


class FastApiCode(Model):
    """Where the application's code is, when it is not in the image."""

    config_map_name: DnsName
    """A ConfigMap whose keys are the files of the application. Pods take a change when they are made anew."""


class FastApi(Model):
    """An ASGI application (FastAPI, Starlette, ...), served as it is."""

    app: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$", max_length=253)]
    """The application as module:name, as for uvicorn."""
    code: FastApiCode | None = None
    """Where its code is. Leave out when it is in the image."""


class ModelDeploymentSpec(Model):
    """A model and how it is served."""

    rules = crossfield.SPEC

    runtime: Runtime
    """What serves the model: vllm, triton or fastapi."""
    model: ModelSource | None = None
    """Where the model comes from and what it is called."""
    image: Annotated[str, Field(pattern=r"^[^\s]+$", max_length=512)] | None = None
    """Image of the server container. Default: the chart's image for the runtime."""
    image_pull_secrets: (
        Annotated[list[LocalObjectReference], Field(max_length=16, json_schema_extra=keyed("name"))] | None
    ) = None
    """Secrets for pulling the images."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods that serve the model."""
    gpu: Gpu | None = None
    """GPUs of each replica. Leave out to run on CPU."""
    resources: Resources | None = None
    """CPU and memory of each replica."""
    env: Annotated[list[EnvVar], Field(max_length=256, json_schema_extra=keyed("name"))] | None = None
    """Environment variables of the server container."""
    check: Check | None = None
    """The question that proves the model."""
    suspend: bool | None = None
    """Take the pods away and keep the rest, until set to false."""
    pod_template: Annotated[dict[str, Any], Field(json_schema_extra=POD_TEMPLATE)] | None = None
    """Any part of a PodTemplateSpec, merged over the pod last, as `kubectl patch --type=strategic` would. The containers are `server`, `agent` and `fetch`."""
    vllm: Vllm | None = None
    """Options for runtime vllm."""
    triton: Triton | None = None
    """Options for runtime triton."""
    fastapi: FastApi | None = None
    """Options for runtime fastapi."""

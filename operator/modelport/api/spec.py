"""What a user writes in a ModelDeployment; the blocks of the runtimes are in `blocks`.

Field docstrings are the descriptions in the CRD and in the reference. A field stands here only when it does something. Defaults in the schema are only those that no platform would change.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from . import crossfield
from .blocks import FastApi, FastApiCode, Triton, TritonModel, Vllm
from .model import Keyed, Model, text
from .names import Runtime
from .types import (
    ATOMIC,
    ConfigMapKeyReference,
    DnsName,
    Duration,
    LocalObjectReference,
    ModelUri,
    Quantity,
    SecretKeyReference,
)

__all__ = [
    "Check",
    "ConfigMapKeyReference",
    "Credentials",
    "EnvSource",
    "EnvVar",
    "Expect",
    "FastApi",
    "FastApiCode",
    "FieldReference",
    "Gpu",
    "LocalObjectReference",
    "ModelDeploymentSpec",
    "ModelSource",
    "Request",
    "Resources",
    "SecretKeyReference",
    "Triton",
    "TritonModel",
    "Vllm",
]

ServedName = Annotated[
    str,
    text(
        "^[A-Za-z0-9][-._/A-Za-z0-9]*$",
        "write letters, digits, slashes, dashes, underscores and dots, as clients send it, a letter or digit first",
    ),
]
EnvName = Annotated[
    str,
    text("^[-._a-zA-Z][-._a-zA-Z0-9]*$", "write letters, digits, underscores, dashes and dots, the first no digit"),
]
_ANYTHING = {"type": "object", "additionalProperties": True}
POD_TEMPLATE: dict[str, Any] = {
    "properties": {
        "metadata": {"description": "Labels and annotations of the pods.", **_ANYTHING},
        "spec": {"description": "Any part of a PodSpec.", **_ANYTHING},
    }
}
"""The two fields that a PodTemplateSpec has, so that a field of the pod written in the wrong place is an unknown field."""


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
    names: Annotated[list[ServedName], Field(min_length=1, max_length=16, json_schema_extra=ATOMIC)] | None = None
    """Names that it is served under. Default: the resource's name and, for hf://, the repository's id; for triton those in triton.models. Of a whole Triton repository: the models to load."""
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
            text(
                "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$",
                "write the resource's name as nodes show it, such as nvidia.com/gpu",
            ),
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
    path: Annotated[
        str,
        text(
            "^/[!-~]*$",
            "write a path that begins with a slash, such as /predict, other characters than ASCII percent-encoded",
            max_length=2048,
        ),
    ]
    """Path and query on port 8000."""
    content_type: Annotated[str, text("^[!-~][ -~]*$", "write a media type, such as application/json")] | None = None
    """Content-Type header. Default: application/json."""
    body: Annotated[str, Field(max_length=65536)] | None = None
    """Body as text."""
    body_base64: (
        Annotated[
            str,
            text(
                r"^[A-Za-z0-9+/ \r\n]*={0,2}[ \r\n]*$",
                "write base64, as the command `base64 FILE` prints it",
                max_length=131072,
            ),
        ]
        | None
    ) = None
    """Body as base64, for pictures, sound and binary tensors. Instead of `body`."""


class Expect(Model):
    """What the answer must be. Without it an answer with status 200 is right; a built-in question's has to hold an answer, too."""

    status: Annotated[int, Field(ge=100, le=599)] | None = None
    """HTTP status. Default: 200."""
    contains: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A text that the answer's body must contain."""


class Check(Model):
    """The question that proves the model. A pod that does not answer it gets no traffic. Right answers to clients are proof, too, and spare the question, but not where `expect` is given."""

    rules = crossfield.CHECK

    task: Literal["completion", "chat", "embedding"] | None = None
    """Which question a vLLM server is asked: `completion` (default), `chat` or `embedding`. Only for runtime vllm."""
    request: Request | None = None
    """A question of your own, instead of the built-in one."""
    expect: Expect | None = None
    """What the answer must be."""
    interval: Duration | None = None
    """Time between questions while the model answers and nobody else asks it. Default: 10s."""
    timeout: Duration | None = None
    """Time that an answer may take. Default: 30s."""
    disabled: bool | None = None
    """Do not ask the model: a pod is ready when its server lists the model, or its application has started. The status says so."""


class Rollout(Model):
    """How a change of the pods is carried out."""

    strategy: Literal["Auto", "Surge", "Replace"] | None = None
    """`Surge` makes new pods first, and needs free GPUs for them. `Replace` takes old ones away first, so fewer serve meanwhile. `Auto` (default) surges where there is room, and else replaces."""
    max_surge: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Pods beyond `replicas` at the same time, where it surges. Default: 1."""
    max_unavailable: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Pods that may be missing at the same time, where it replaces. Default: 1."""
    preflight: bool | None = None
    """Before an old pod gives its GPU away, try in a pod without one what needs none: pull images, mount volumes, ask the model's source. If it fails, the old pods go on serving. Default: true."""
    surge_timeout: Duration | None = None
    """With `Auto`: the cluster's autoscaler adds nodes, and a new pod may wait so long for one, such as 10m, before old ones are taken away instead."""


class ModelDeploymentSpec(Model):
    """A model and how it is served."""

    rules = crossfield.SPEC

    runtime: Runtime
    """What serves the model: vllm, triton or fastapi."""
    model: ModelSource | None = None
    """Where the model comes from and what it is called."""
    image: (
        Annotated[
            str, text(r"^[^\s]+$", "write an image reference, such as registry.example/server:1.0", max_length=512)
        ]
        | None
    ) = None
    """Image of the server container. Default: the chart's image for the runtime."""
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16), Keyed("name")] | None = None
    """Secrets for pulling the images."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods that serve the model."""
    gpu: Gpu | None = None
    """GPUs of each replica. Leave out to run on CPU."""
    resources: Resources | None = None
    """CPU and memory of each replica."""
    env: Annotated[list[EnvVar], Field(max_length=256), Keyed("name")] | None = None
    """Environment variables of the server container."""
    check: Check | None = None
    """The question that proves the model."""
    rollout: Rollout | None = None
    """How a change of the pods is carried out."""
    suspend: bool | None = None
    """Take the pods away and keep the rest, until set to false."""
    pod_template: Annotated[dict[str, Any], Field(json_schema_extra=POD_TEMPLATE)] | None = None
    """Any part of a PodTemplateSpec, merged over the pod last, as `kubectl patch --type=strategic` would (tolerations replace ours). The containers are `server`, `agent` and `fetch`."""
    vllm: Vllm | None = None
    """Options for runtime vllm."""
    triton: Triton | None = None
    """Options for runtime triton."""
    fastapi: FastApi | None = None
    """Options for runtime fastapi."""

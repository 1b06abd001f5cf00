"""vLLM: `vllm serve` with the options of `spec.vllm`, proved by the agent."""

from __future__ import annotations

from collections.abc import Iterator

from modelport.api.names import PORT_HTTP
from modelport.api.spec import ModelDeploymentSpec, ModelSource, Vllm

from . import arguments, sources
from .base import CACHE, Probe, Problem, ServerFacts, config_file, environment, model_dir
from .budget import budget
from .question import asks

CHAT_TEMPLATE = "chat-template.jinja"
API_KEY_ENV = "VLLM_API_KEY"
SHUTDOWN_SECONDS = 20
DRAIN_SECONDS = 55
BASE_SECONDS = 300
"""Python, CUDA, compilation and graph capture, with room for a cold disk."""

NO_FLAGS = ("api_key", "chat_template", "extra_args")
"""Fields that become something else than the flag of their name."""


def problems(name: str, spec: ModelDeploymentSpec) -> Iterator[Problem]:
    yield from sources.problems("spec.model.uri", _source(spec).uri)


def facts(name: str, spec: ModelDeploymentSpec) -> ServerFacts:
    options, source = spec.vllm or Vllm(), _source(spec)
    names = _served_names(name, source)
    uris = [source.uri]
    return ServerFacts(
        command=("vllm", "serve"),
        args=_arguments(name, names, spec, options),
        ports={"http": PORT_HTTP},
        startup=Probe("/health", period=5, timeout=5),
        liveness=Probe("/health"),
        budget=budget(spec, BASE_SECONDS, sources.downloads(uris)),
        models=names,
        exit_seconds=SHUTDOWN_SECONDS,
        drain_seconds=DRAIN_SECONDS,
        shm_gib=_shared_memory(spec, options),
        asked=asks(spec, built_in=True),
        env=_environment(options),
        files={} if options.chat_template is None else {CHAT_TEMPLATE: options.chat_template},
        steps=() if source.uri is None else (sources.step(source.uri, model_dir(name), "folder"),),
        claims=sources.claims(uris),
        api_key=options.api_key,
    )


def _source(spec: ModelDeploymentSpec) -> ModelSource:
    return spec.model or ModelSource()


def _served_names(name: str, source: ModelSource) -> tuple[str, ...]:
    """Clients written for the resource's name or for the hub's both work, unless the user names the names."""
    if source.names:
        return tuple(dict.fromkeys(source.names))
    repository = sources.repository_id(source.uri)
    return (name,) if repository is None else (name, repository)


def _arguments(name: str, names: tuple[str, ...], spec: ModelDeploymentSpec, options: Vllm) -> tuple[str, ...]:
    tensor = _tensor_parallel(spec, options)
    if tensor is not None and tensor > 1:
        options = options.model_copy(update={"tensor_parallel_size": tensor})
    template = () if options.chat_template is None else (f"--chat-template={config_file(CHAT_TEMPLATE)}",)
    return (
        model_dir(name),
        "--served-model-name",
        *names,
        "--host=0.0.0.0",
        f"--port={PORT_HTTP}",
        f"--shutdown-timeout={SHUTDOWN_SECONDS}",
        *arguments.flags(options, leave_out=NO_FLAGS),
        *template,
        *(options.extra_args or ()),
    )


def _environment(options: Vllm) -> tuple[dict[str, object], ...]:
    plain = environment(
        VLLM_CACHE_ROOT=f"{CACHE}/vllm",
        TORCHINDUCTOR_CACHE_DIR=f"{CACHE}/torchinductor",
        TRITON_CACHE_DIR=f"{CACHE}/triton",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        VLLM_NO_USAGE_STATS="1",
        DO_NOT_TRACK="1",
    )
    key = options.api_key
    if key is None:
        return tuple(dict(item) for item in plain)
    reference = {"name": API_KEY_ENV, "valueFrom": {"secretKeyRef": {"name": key.name, "key": key.key}}}
    return (*(dict(item) for item in plain), reference)


def _split(options: Vllm) -> int:
    """GPUs that one tensor-parallel group does not share: pipeline stages times copies."""
    return (options.pipeline_parallel_size or 1) * (options.data_parallel_size or 1)


def _tensor_parallel(spec: ModelDeploymentSpec, options: Vllm) -> int | None:
    if options.tensor_parallel_size is not None or spec.gpu is None:
        return options.tensor_parallel_size
    return spec.gpu.count // _split(options)


def _shared_memory(spec: ModelDeploymentSpec, options: Vllm) -> int:
    """Worker processes exchange tensors through /dev/shm, and so does NCCL."""
    ranks = (_tensor_parallel(spec, options) or 1) * _split(options)
    return 1 if ranks == 1 else 2 * ranks

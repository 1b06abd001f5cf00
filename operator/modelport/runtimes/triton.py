"""Triton Inference Server: a repository made of `spec.triton.models`, or one that `spec.model.uri` holds whole.

Models are loaded one by one (explicit control), and the agent looks at each: one that fails never hides the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelport.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS
from modelport.api.spec import ModelDeploymentSpec, ModelSource, Triton, TritonModel

from . import sources
from .base import FETCH_CODE_DIR, Probe, Problem, ServerFacts, config_file, model_dir
from .budget import budget
from .modelconfig import ConfigError, ModelConfig, from_json, from_text
from .question import asks

EXIT_SECONDS = 25
"""Triton answers what it has taken, then unloads its models; about 5 s without long requests."""
DRAIN_SECONDS = 55
BASE_SECONDS = 180

ENSEMBLE_FILE = "ensemble.txt"
ENSEMBLE_TEXT = "An ensemble has no files of its own, but Triton loads no model without a version folder.\n"


def problems(name: str, spec: ModelDeploymentSpec) -> Iterator[Problem]:
    models, source = _models(spec), _source(spec)
    yield from sources.problems("spec.model.uri", source.uri)
    yield from _name_problems(models, source)
    for model in models:
        yield from _model_problems(model, models)


def facts(name: str, spec: ModelDeploymentSpec) -> ServerFacts:
    models, source = _models(spec), _source(spec)
    loaded = _loaded(models, source)
    uris = [source.uri, *(model.uri for model in models)]
    return ServerFacts(
        command=("tritonserver",),
        args=_arguments(name, loaded, spec),
        ports={"http": PORT_HTTP, "grpc": PORT_GRPC, "metrics": PORT_METRICS},
        startup=Probe("/v2/health/live", period=2, timeout=5),
        liveness=Probe("/v2/health/live"),
        budget=budget(spec, BASE_SECONDS, sources.downloads(uris)),
        models=loaded,
        exit_seconds=EXIT_SECONDS,
        drain_seconds=DRAIN_SECONDS,
        shm_gib=1,
        asked=asks(spec, built_in=False),
        files=_files(models),
        steps=tuple(_steps(name, models, source)),
        claims=sources.claims(uris),
        fetched_code={model.name: model.code.name for model in models if model.code is not None},
    )


def _source(spec: ModelDeploymentSpec) -> ModelSource:
    return spec.model or ModelSource()


def _models(spec: ModelDeploymentSpec) -> Sequence[TritonModel]:
    return (spec.triton or Triton()).models or ()


def _loaded(models: Sequence[TritonModel], source: ModelSource) -> tuple[str, ...]:
    """The names that clients use come first: the first one is what the status shows."""
    return tuple(dict.fromkeys([*(source.names or ()), *(model.name for model in models)]))


def _arguments(name: str, loaded: Sequence[str], spec: ModelDeploymentSpec) -> tuple[str, ...]:
    return (
        f"--model-repository={model_dir(name)}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in loaded),
        "--exit-on-error=false",
        "--strict-readiness=false",
        f"--exit-timeout-secs={EXIT_SECONDS}",
        f"--http-port={PORT_HTTP}",
        f"--grpc-port={PORT_GRPC}",
        f"--metrics-port={PORT_METRICS}",
        *((spec.triton or Triton()).extra_args or ()),
    )


def _steps(name: str, models: Sequence[TritonModel], source: ModelSource) -> Iterator[Mapping[str, Any]]:
    """Downloads and links first, then what is laid beside them."""
    if source.uri is not None:
        yield sources.step(source.uri, model_dir(name), "folder")
    for model in models:
        if model.uri is not None:
            yield sources.step(model.uri, f"{model_dir(name)}/{model.name}", "triton-model")
    for model in models:
        folder = f"{model_dir(name)}/{model.name}"
        if model.config is not None or model.config_pbtxt is not None:
            yield {"file": config_file(_file(model)), "to": f"{folder}/config.pbtxt"}
        if model.code is not None:
            yield {"folder": f"{FETCH_CODE_DIR}/{model.name}", "to": f"{folder}/1"}
        if _has_no_files(model):
            yield {"file": config_file(ENSEMBLE_FILE), "to": f"{folder}/1/{ENSEMBLE_FILE}"}


def _files(models: Sequence[TritonModel]) -> dict[str, str]:
    """What the fetch container lays beside the models."""
    ensemble = {ENSEMBLE_FILE: ENSEMBLE_TEXT} if any(_has_no_files(model) for model in models) else {}
    return {_file(model): config.text for model in models if (config := _config(model)) is not None} | ensemble


def _has_no_files(model: TritonModel) -> bool:
    return model.uri is None and model.code is None


def _file(model: TritonModel) -> str:
    return f"{model.name}.config.pbtxt"


def _config(model: TritonModel) -> ModelConfig | None:
    """The model's configuration, or None where Triton completes it from the model's files."""
    if model.config_pbtxt is not None:
        return from_text(model.config_pbtxt)
    return None if model.config is None else from_json({"name": model.name, **model.config})


def _name_problems(models: Sequence[TritonModel], source: ModelSource) -> Iterator[Problem]:
    known = {model.name for model in models}
    for unknown in [name for name in source.names or () if models and name not in known]:
        yield Problem("spec.model.names", f"{unknown!r} is none of spec.triton.models: {', '.join(sorted(known))}")


def _model_problems(model: TritonModel, models: Sequence[TritonModel]) -> Iterator[Problem]:
    path = f"spec.triton.models[{model.name}]"
    yield from sources.problems(f"{path}.uri", model.uri)
    field = f"{path}.configPbtxt" if model.config_pbtxt is not None else f"{path}.config"
    try:
        config = _config(model)
    except ConfigError as error:
        yield Problem(f"{field}.{error.path}" if error.path else field, str(error))
        return
    if config is None:
        return
    if config.name not in ("", model.name):
        yield Problem(f"{field}.name", f"{config.name!r} has to be the model's name, {model.name!r}, or left out")
    known = {other.name for other in models}
    for step in dict.fromkeys(config.steps):
        if step not in known:
            advice = f"is none of spec.triton.models: {', '.join(sorted(known))}"
            yield Problem(field, f"the ensemble passes requests to {step!r}, which {advice}")
    if _has_no_files(model) and not config.steps:
        yield Problem(path, "has a configuration but no files: give it a uri or code")

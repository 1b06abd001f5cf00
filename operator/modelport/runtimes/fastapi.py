"""FastAPI, or any other ASGI application: served by `modelport-runtime`, which proves it itself, in process."""

from __future__ import annotations

from collections.abc import Iterator

from modelport.api.names import CODE_DIR, PORT_HTTP, PORT_METRICS
from modelport.api.spec import ModelDeploymentSpec

from . import sources
from .base import Probe, Problem, ServerFacts, config_file, model_dir
from .budget import budget
from .question import asks

RUNTIME_CONFIG = "runtime.json"
EXIT_SECONDS = 10
DRAIN_SECONDS = 25
BASE_SECONDS = 120


def problems(name: str, spec: ModelDeploymentSpec) -> Iterator[Problem]:
    yield from sources.problems("spec.model.uri", spec.model.uri if spec.model is not None else None)


def facts(name: str, spec: ModelDeploymentSpec) -> ServerFacts:
    options = spec.fastapi
    assert options is not None, "a rule of the schema"
    uri = spec.model.uri if spec.model is not None else None
    code = () if options.code is None else ("--app-dir", CODE_DIR)
    return ServerFacts(
        command=("modelport-runtime",),
        args=("serve", options.app, "--config", config_file(RUNTIME_CONFIG), *code),
        ports={"http": PORT_HTTP, "metrics": PORT_METRICS},
        startup=Probe("/startupz", PORT_METRICS, period=2, timeout=5),
        readiness=Probe("/readyz", PORT_METRICS, period=2, timeout=5, failures=2),
        liveness=Probe("/healthz", PORT_METRICS),
        budget=budget(spec, BASE_SECONDS, sources.downloads([uri])),
        models=(spec.model.names[0] if spec.model is not None and spec.model.names else name,),
        exit_seconds=EXIT_SECONDS,
        drain_seconds=DRAIN_SECONDS,
        shm_gib=1,
        agent=False,
        asked=asks(spec, built_in=False),
        steps=() if uri is None else (sources.step(uri, model_dir(name), "folder"),),
        claims=sources.claims([uri]),
        code=None if options.code is None else options.code.config_map_name,
    )

"""The containers of a pod: the server, the agent beside it, and fetch before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from modelport.api.names import CONTAINER_AGENT, CONTAINER_FETCH, CONTAINER_SERVER, MODEL_DIR_ENV, PORT_AGENT
from modelport.api.names import PORT_METRICS as PORT_RUNTIME
from modelport.api.spec import Gpu, ModelDeploymentSpec
from modelport.runtimes.base import CACHE, HOME, Probe, ServerFacts, config_file, environment, model_dir

from .configmap import AGENT_CONFIG, fetch_config

GPU_RESOURCE = "nvidia.com/gpu"
USER = "modelport"
DRAIN_PATH = "/drain"

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
AGENT_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
FETCH_RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}
"""Files that are being written count as memory of the container until the kernel has put them on the disk."""

COMMON_ENV = environment(
    HOME=HOME, USER=USER, LOGNAME=USER, XDG_CACHE_HOME=CACHE, HF_HOME=f"{CACHE}/huggingface", TMPDIR="/tmp"
)

NO_GPU = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
"""For images that ask for all GPUs of the node where nobody gives them one."""

Mounts = Iterable[Mapping[str, Any]]


def gpu_resource(gpu: Gpu) -> str:
    """Name of the GPU among the node's resources."""
    return gpu.resource or GPU_RESOURCE


def server(name: str, spec: ModelDeploymentSpec, facts: ServerFacts, image: str, mounts: Mounts) -> dict[str, Any]:
    budget = ceil(facts.budget.load / facts.startup.period)
    probes = {
        "startupProbe": _probe(facts.startup, failures=budget),
        "livenessProbe": _probe(facts.liveness),
    }
    if facts.readiness is not None:
        probes["readinessProbe"] = _probe(facts.readiness)
    drain = {"path": DRAIN_PATH, "port": PORT_AGENT if facts.agent else PORT_RUNTIME}
    return {
        **_container(CONTAINER_SERVER, image, facts.command, facts.args),
        "env": _server_env(name, spec, facts),
        "ports": [_port(port, number) for port, number in facts.ports.items()],
        "resources": _server_resources(spec),
        **probes,
        "lifecycle": {"preStop": {"httpGet": drain}},
        "volumeMounts": list(mounts),
    }


def agent(image: str, mounts: Mounts) -> dict[str, Any]:
    """A native sidecar: it starts before fetch, stays beside the server and is stopped after it."""
    return {
        **_container(CONTAINER_AGENT, image, ["modelport-agent"], ["prove", "--config", config_file(AGENT_CONFIG)]),
        "restartPolicy": "Always",
        "env": _copied(COMMON_ENV),
        "ports": [_port("agent", PORT_AGENT)],
        "resources": AGENT_RESOURCES,
        "readinessProbe": _probe(Probe("/readyz", PORT_AGENT, period=2, timeout=5, failures=2)),
        "livenessProbe": _probe(Probe("/healthz", PORT_AGENT)),
        "volumeMounts": list(mounts),
    }


def fetch(facts: ServerFacts, image: str, hub_endpoint: str, credentials: str | None, mounts: Mounts) -> dict[str, Any]:
    arguments = ["fetch", "--config", config_file(fetch_config(facts))]
    hub = environment(HF_ENDPOINT=hub_endpoint) if hub_endpoint else ()
    secret = {"envFrom": [{"secretRef": {"name": credentials}}]} if credentials is not None else {}
    return {
        **_container(CONTAINER_FETCH, image, ["modelport-agent"], arguments),
        "env": _copied([*COMMON_ENV, *hub]),
        **secret,
        "resources": FETCH_RESOURCES,
        "volumeMounts": list(mounts),
    }


def _container(name: str, image: str, command: Iterable[str], args: Iterable[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "args": list(args),
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _server_env(name: str, spec: ModelDeploymentSpec, facts: ServerFacts) -> list[dict[str, Any]]:
    """Ours, overridden and followed by the user's."""
    model = environment(**{MODEL_DIR_ENV: model_dir(name)})
    no_gpu = (NO_GPU,) if spec.gpu is None else ()
    variables = {item["name"]: dict(item) for item in (*COMMON_ENV, *model, *no_gpu, *facts.env)}
    for variable in spec.env or ():
        variables[variable.name] = variable.model_dump(by_alias=True, exclude_none=True)
    return list(variables.values())


def _server_resources(spec: ModelDeploymentSpec) -> dict[str, dict[str, str]]:
    """GPUs are requested as they are limited: Kubernetes cannot share them."""
    gpus = {} if spec.gpu is None else {gpu_resource(spec.gpu): str(spec.gpu.count)}
    given = spec.resources
    amounts = {
        "requests": {**((given.requests if given is not None else None) or {}), **gpus},
        "limits": {**((given.limits if given is not None else None) or {}), **gpus},
    }
    return {kind: {name: str(value) for name, value in values.items()} for kind, values in amounts.items() if values}


def _probe(probe: Probe, failures: int | None = None) -> dict[str, Any]:
    return {
        "httpGet": {"path": probe.path, "port": probe.port},
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "failureThreshold": probe.failures if failures is None else failures,
    }


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _copied(variables: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(variable) for variable in variables]

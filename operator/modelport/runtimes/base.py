"""What a runtime has to say about its pod, as data.

Each runtime is one module with two functions, `problems` and `facts`. Must never know about Kubernetes objects: those
are made of these facts by `modelport.render`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelport.api.names import CONFIG_DIR, MODELS_DIR, PORT_HTTP
from modelport.api.spec import ModelDeploymentSpec, SecretKeyReference

HOME = "/home/modelport"
CACHE = f"{HOME}/.cache"
CLAIMS_DIR = "/mnt/claims"
FETCH_CODE_DIR = "/run/modelport/code"
API_KEY_FILE = "/run/modelport/api-key/key"

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a spec cannot be served: the path of the field as the user writes it, and what to do, in words for people."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP probe of kubelet."""

    path: str
    port: int = PORT_HTTP
    period: int = 10
    timeout: int = 10
    failures: int = 6


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds that a replica may take to get its model and to load it; computed from the spec alone."""

    fetch: int
    load: int


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """All that one runtime needs of its pod."""

    command: tuple[str, ...]
    args: tuple[str, ...]
    ports: Mapping[str, int]
    """Port name -> number, in the order in which the Service lists them."""
    startup: Probe
    liveness: Probe
    budget: Budget
    models: tuple[str, ...]
    """Names under which the server must list the models; the first is the one that is asked."""
    exit_seconds: int
    """What the server itself takes at most, after SIGTERM, to finish what it has begun."""
    drain_seconds: int
    """How long requests in progress may take after the pod has left the Service, unless the user gives a longer grace period."""
    shm_gib: int
    """Size of /dev/shm."""
    readiness: Probe | None = None
    """Only of a server that proves itself; elsewhere the agent's readiness is the pod's."""
    agent: bool = True
    """Whether `modelport-agent` proves the model, from a sidecar."""
    asked: bool = True
    """Whether the model is asked at all before the pod counts as ready."""
    env: tuple[Mapping[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """File name in /etc/modelport -> text, besides the agent's own."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """What the fetch container does, in the words of agent.json."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that hold models."""
    code: str | None = None
    """ConfigMap with the application, mounted in the server."""
    fetched_code: Mapping[str, str] = field(default_factory=dict)
    """Model -> ConfigMap whose files fetch puts beside the model."""
    api_key: SecretKeyReference | None = None


class RuntimeModule(Protocol):
    """What a module has to offer to be a runtime."""

    def problems(self, name: str, spec: ModelDeploymentSpec) -> Iterator[Problem]:
        """What the schema cannot say about this spec: yields nothing for a spec that can be served."""

    def facts(self, name: str, spec: ModelDeploymentSpec) -> ServerFacts:
        """The facts of a spec without problems."""


def model_dir(name: str) -> str:
    """Where the model lies in the server container."""
    return f"{MODELS_DIR}/{name}"


def config_file(name: str) -> str:
    """Where a file of the rendered ConfigMap lies in every container."""
    return f"{CONFIG_DIR}/{name}"


def environment(**values: str) -> tuple[Mapping[str, Any], ...]:
    """Environment variables with plain values."""
    return tuple({"name": name, "value": value} for name, value in values.items())

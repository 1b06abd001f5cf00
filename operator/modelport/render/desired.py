"""The result of rendering: the children that should exist, and what the rest of the operator has to know about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from modelport.api.names import Runtime
from modelport.runtimes.base import Problem

from .demand import Demand, demand_of


@dataclass(frozen=True, slots=True)
class Identity:
    """Which ModelDeployment the children belong to."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """A spec that cannot be rendered, with everything that is wrong with it."""

    problems: tuple[Problem, ...]

    @property
    def message(self) -> str:
        """The problems in one line, for the status: as much of them as somebody reads."""
        told = [_line(str(problem)) for problem in self.problems[:_TOLD]]
        rest = len(self.problems) - len(told)
        return "; ".join([*told, f"and {rest} more, which `modelport render -f FILE` shows"] if rest else told)


_TOLD, _LONGEST_LINE = 8, 1000


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


@dataclass(frozen=True, slots=True)
class Child:
    """One object as it should be applied: `manifest` is complete except for the owner reference's uid being filled in already."""

    kind: str
    name: str
    manifest: Mapping[str, Any]
    applied_hash: str
    immutable: bool = False
    """True for a ConfigMap named by its content: created, never changed, deleted once no ReplicaSet references it."""


class Mode(StrEnum):
    """Who says how a roll-out makes room."""

    AUTO = "Auto"
    SURGE = "Surge"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class Strategy:
    """Of a Deployment: pods above, and below, the number that is wanted."""

    surge: int
    unavailable: int


SURGE = Strategy(1, 0)
"""One more, none less."""


class RolloutRules(NamedTuple):
    """What the spec says of roll-outs."""

    mode: Mode
    surge: int
    """Pods beyond the wanted number, where it surges."""
    unavailable: int
    """Pods that may be missing, where it replaces."""
    preflight: bool
    """Whether what needs no device is tried before an old pod gives its own away."""
    surge_timeout: float | None
    """Seconds for which a new pod may wait for a node of an elastic pool; None where there is no such pool."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the operator asks through the Service, once per generation. The pods' own proof is the agent's."""

    runtime: Runtime
    url: str
    """Base URL through the Service, such as http://assistant.default.svc:8000"""
    models: tuple[str, ...]
    task: str | None
    request: Mapping[str, Any] | None
    expect_status: int
    expect_contains: str | None
    timeout: float
    """Seconds."""
    disabled: bool
    has_api_key: bool


@dataclass(frozen=True, slots=True)
class Desired:
    """All that one ModelDeployment should be."""

    children: tuple[Child, ...]
    spec_hash: str
    template_hash: str
    """Of the pod template as it is rendered."""
    rollout: RolloutRules
    question: Question
    replicas: int
    gpus: int
    url: str
    model: str
    """For the MODEL column: the first served name or the source."""
    asked: bool
    """False when pods become ready without the model having been asked (no question known, or check.disabled)."""
    deadline: float
    """Seconds that a roll-out may take: scheduling, fetch and load."""
    tried: bool = False
    """A pod without devices tries it first."""
    held: bool = False
    """The Deployment is left as it is meanwhile."""

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template."""
        deployment = next(child for child in self.children if child.kind == "Deployment")
        template: Mapping[str, Any] = deployment.manifest["spec"]["template"]
        return template

    @property
    def demand(self) -> Demand:
        """What one of its pods needs of a node; worked out anew each time, as it is seldom asked for."""
        return demand_of(self.template["spec"])

"""An operator that is measured, as its YAML file describes it: README.md explains each field. It must never run anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

HERE = Path(__file__).parent / "contenders"
NAMESPACE = "bench"


class ContenderError(Exception):
    """The description cannot be used; says where and why."""


class Part(BaseModel):
    """Nothing that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResourceTemplate(Part):
    """What is applied, once for each name."""

    apiVersion: str  # noqa: N815 - as Kubernetes spells it
    kind: str
    plural: str
    spec: dict[str, Any]


class Done(Part):
    """When a resource is done: a condition is True, or the value at a path is the one that is named."""

    condition: str | None = None
    path: str | None = None
    value: Any = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Done:
        if (self.condition is None) == (self.path is None):
            raise ValueError("give either condition, or path and value")
        return self


class Contender(Part):
    """How an operator is installed and run, and how to see what it does."""

    name: str
    install: str = ""
    user: str
    command: tuple[str, ...]
    resource: ResourceTemplate
    done: Done
    change: dict[str, Any]

    @property
    def path(self) -> str:
        """Of the collection that its resources are in."""
        group = "/api" if "/" not in self.resource.apiVersion else "/apis"
        return f"{group}/{self.resource.apiVersion}/namespaces/{NAMESPACE}/{self.resource.plural}"

    def arguments(self, **values: str) -> list[str]:
        """Its command line, with {python}, {port}, {door} and {kubeconfig} filled in."""
        return [argument.format(**values) for argument in self.command]

    def body(self, name: str) -> dict[str, Any]:
        """The resource of that name."""
        one = self.resource
        return {
            "apiVersion": one.apiVersion,
            "kind": one.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": _named(one.spec, name),
        }

    def is_done(self, resource: Mapping[str, Any], generation: int) -> bool:
        """Whether it is done with that generation; where the operator says which one it means, that has to be it."""
        status = resource.get("status") or {}
        if resource["metadata"]["generation"] < generation:
            return False
        if status.get("observedGeneration", generation) < generation:
            return False
        if self.done.path is not None:
            return bool(_at(resource, self.done.path) == self.done.value)
        return any(
            condition["type"] == self.done.condition
            and condition["status"] == "True"
            and condition.get("observedGeneration", generation) >= generation
            for condition in status.get("conditions") or ()
        )


def load(path: Path) -> Contender:
    """The contender that the file describes."""
    try:
        return Contender.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as problem:
        raise ContenderError(f"{path}: {problem}") from problem
    except ValidationError as problem:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in problem.errors())
        raise ContenderError(f"{path}: {wrong}") from problem


def _named(value: Any, name: str) -> Any:
    """The value with {name} filled in wherever it stands in a text."""
    if isinstance(value, str):
        return value.replace("{name}", name)
    if isinstance(value, dict):
        return {key: _named(one, name) for key, one in value.items()}
    return [_named(one, name) for one in value] if isinstance(value, list) else value


def _at(document: Any, path: str) -> Any:
    """What stands at a path such as status.phase; None where there is nothing."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document

"""What the operator is told: the chart's settings file, and the command line over it. It must never read anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from modelport.render import defaults
from modelport.render.platform import Platform, platform_from

DEFAULT_FILE = Path("/etc/modelport/operator.yaml")


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=AliasGenerator(to_camel), extra="forbid", frozen=True, populate_by_name=True
    )


class Hub(_Part):
    """Where hf:// models come from; empty is the public hub."""

    endpoint: str = ""


class Diagnosis(_Part):
    """What may be looked at to explain a failure."""

    read_logs: bool = True


class Door(_Part):
    """How models are asked through their Services: `service`, `off`, or a URL with {namespace}, {name} and {port}."""

    mode: str = "service"

    @field_validator("mode")
    @classmethod
    def _is_an_address(cls, mode: str) -> str:
        if mode not in ("service", "off"):
            try:
                mode.format(namespace="a", name="b", port=80)
            except (LookupError, ValueError) as problem:
                raise ValueError(
                    f"write service, off, or a URL with {{namespace}}, {{name}} and {{port}}: {problem}"
                ) from None
        return mode


class Lease(_Part):
    """The Lease by which one of several operators leads; without a namespace, in the operator's own."""

    name: str = "modelport"
    namespace: str = ""


class PullSecret(_Part):
    """A Secret for pulling images, by name."""

    name: str


class Settings(_Part):
    """The settings file, key by key."""

    images: dict[str, str] = Field(default_factory=dict)
    image_pull_secrets: tuple[PullSecret, ...] = ()
    hub: Hub = Hub()
    defaults: dict[str, Any] = Field(default_factory=dict)
    namespaces: tuple[str, ...] = ()
    diagnosis: Diagnosis = Diagnosis()
    door: Door = Door()
    lease: Lease = Lease()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    workers: int = Field(default=8, ge=1, le=64)

    def platform(self) -> Platform:
        """What rendering has to know of it."""
        return platform_from(self.model_dump(by_alias=True))


class SettingsError(Exception):
    """The settings file cannot be used; says where and why."""


def load(path: Path | None, given: Mapping[str, Any]) -> Settings:
    """The settings in the file, and what was `given` beside it; without a file, the chart's if it exists."""
    path = path or DEFAULT_FILE
    try:
        written = yaml.safe_load(path.read_text()) or {} if path.is_file() else {}
        settings = Settings.model_validate({**written, **given})
    except (OSError, yaml.YAMLError) as problem:
        raise SettingsError(f"{path}: {problem}") from problem
    except ValidationError as problem:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()]
        raise SettingsError(f"{path}: " + "; ".join(lines)) from problem
    if wrong := defaults.problems(settings.platform()):
        raise SettingsError(f"{path}: " + "; ".join(map(str, wrong)))
    return settings

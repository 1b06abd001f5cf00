"""What the operator is told: the chart's settings file, and the command line over it. It must never read anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from modelport.app.scope import namespaces
from modelport.kube.pace import BURST, PER_SECOND
from modelport.render import defaults
from modelport.render.platform import Part, PlatformSettings, wrong

DEFAULT_FILE = Path("/etc/modelport/operator.yaml")


class Diagnosis(Part):
    """What may be looked at to explain a failure."""

    read_logs: bool = True


class Door(Part):
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


class Writes(Part):
    """How fast writes to the API server may follow each other: `per_second`, after `burst` at once."""

    per_second: float = Field(default=PER_SECOND, gt=0, le=100_000)
    burst: int = Field(default=BURST, ge=1, le=100_000)


class Lease(Part):
    """The Lease by which one of several operators leads; without a namespace, in the operator's own. Without a name it is
    named after what the operator serves."""

    name: str = ""
    namespace: str = ""


class MetricsSettings(Part):
    """What /metrics shows beyond counts; `perResource`: two series with the name of each ModelDeployment."""

    per_resource: bool = False


class Settings(PlatformSettings):
    """The settings file, key by key."""

    namespaces: tuple[str, ...] = ()
    diagnosis: Diagnosis = Diagnosis()
    door: Door = Door()
    lease: Lease = Lease()
    metrics: MetricsSettings = MetricsSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    writes: Writes = Writes()
    workers: int = Field(default=8, ge=1, le=64)

    @field_validator("namespaces")
    @classmethod
    def _are_namespaces(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return namespaces(given)


class SettingsError(Exception):
    """The settings file cannot be used; says where and why."""


def load(path: Path | None, given: Mapping[str, Any]) -> Settings:
    """The settings in the file, and what was `given` beside it; without a file, the chart's if it exists."""
    path = path or DEFAULT_FILE
    try:
        written = yaml.safe_load(path.read_text()) or {} if path.is_file() else {}
        if not isinstance(written, Mapping):
            raise SettingsError(f"{path}: has to be a map of settings, as the chart writes it")
        settings = Settings.model_validate({**written, **given})
    except (OSError, yaml.YAMLError) as problem:
        raise SettingsError(f"{path}: {problem}") from problem
    except ValidationError as problem:
        raise SettingsError(f"{path}: {wrong(problem)}") from problem
    if problems := defaults.problems(settings.platform()):
        raise SettingsError(f"{path}: " + "; ".join(map(str, problems)))
    return settings

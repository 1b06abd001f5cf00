"""What the platform's people set once for all ModelDeployments: images, the hub, and fragments of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .hashing import short_hash

AGENT = "agent"
VERSION = version("modelport")
OFFICIAL_IMAGES: Mapping[str, str] = {
    "vllm": "docker.io/vllm/vllm-openai:v0.32.0",
    "triton": "nvcr.io/nvidia/tritonserver:24.10-py3",
    "fastapi": f"docker.io/modelport/runtime:{VERSION}",
    AGENT: f"docker.io/modelport/agent:{VERSION}",
}


@dataclass(frozen=True, slots=True)
class Platform:
    """Settings of the installation, from the chart's values."""

    images: Mapping[str, str] = field(default_factory=lambda: OFFICIAL_IMAGES)
    """Image by runtime, and `agent`."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets that must exist in the namespaces of the ModelDeployments."""
    hub_endpoint: str = ""
    """Where hf:// is fetched from; empty means huggingface.co."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """A fragment of a spec, merged under each user's spec."""
    version: str = VERSION

    @property
    def renderer_version(self) -> str:
        """The operator's version and what was set with it: the chart's images and defaults count as version, not as input."""
        settings = [dict(self.images), self.image_pull_secrets, self.hub_endpoint, dict(self.defaults)]
        return f"{self.version}+{short_hash(settings, size=4)}"


class Part(BaseModel):
    """A part of the settings file: camelCase, and no key that nobody reads."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(to_camel), extra="forbid", frozen=True, populate_by_name=True
    )


class Hub(Part):
    """Where hf:// models come from; empty is the public hub."""

    endpoint: str = ""


class PullSecret(Part):
    """A Secret for pulling images, by name."""

    name: str


class PlatformSettings(Part):
    """The part of the settings that rendering has to know, each key optional."""

    images: dict[str, str] = Field(default_factory=dict)
    image_pull_secrets: tuple[PullSecret, ...] = ()
    hub: Hub = Hub()
    defaults: dict[str, Any] = Field(default_factory=dict)

    def platform(self) -> Platform:
        """The platform that they describe."""
        return Platform(
            images={**OFFICIAL_IMAGES, **self.images},
            image_pull_secrets=tuple(secret.name for secret in self.image_pull_secrets),
            hub_endpoint=self.hub.endpoint,
            defaults=self.defaults,
        )


def platform_from(values: Mapping[str, Any]) -> Platform:
    """A platform from settings as they are written; raises pydantic's ValidationError."""
    return PlatformSettings.model_validate(values).platform()


def wrong(error: ValidationError) -> str:
    """What is wrong with settings, key by key, in one line."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors())

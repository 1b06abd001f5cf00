"""What the platform's people set once for all ModelDeployments: images, the hub, and fragments of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

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


def platform_from(values: Mapping[str, Any]) -> Platform:
    """A platform from the settings of the chart: {images, imagePullSecrets, hub: {endpoint}, defaults}, each optional."""
    secrets = (item["name"] if isinstance(item, Mapping) else item for item in values.get("imagePullSecrets") or ())
    return Platform(
        images={**OFFICIAL_IMAGES, **(values.get("images") or {})},
        image_pull_secrets=tuple(str(secret) for secret in secrets),
        hub_endpoint=str((values.get("hub") or {}).get("endpoint") or ""),
        defaults=dict(values.get("defaults") or {}),
    )

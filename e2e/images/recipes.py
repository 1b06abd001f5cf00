"""What each image is made of. An image is made anew when one of its inputs changes, and only then."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from e2e.models.build import build as converted_models

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

_WORKSPACE = ("pyproject.toml", "uv.lock", "agent/pyproject.toml", "runtime/pyproject.toml")


@dataclass(frozen=True)
class Image:
    """One image: `files` of `context` (files and folders, by relative path) are all that its build can see."""

    name: str
    reference: str
    dockerfile: Path
    context: Path
    files: tuple[str, ...]
    base: str | None = "base"
    """The image that becomes the build argument BASE."""
    more: Callable[[], dict[str, Path]] = field(default=dict)
    """Folders that are made, not committed: name in the context -> where it is."""


def _ours(name: str, dockerfile: str, *sources: str) -> Image:
    return Image(name, f"docker.io/modelport/{name}:{VERSION}", ROOT / dockerfile, ROOT, (*_WORKSPACE, *sources))


IMAGES = {
    image.name: image
    for image in (
        Image("base", "localhost/base:bookworm", HERE / "base" / "Dockerfile", HERE / "base", (), base=None),
        _ours("operator", "Dockerfile", "operator", "README.md", "LICENSE"),
        _ours("agent", "agent/Dockerfile", "agent/modelport_agent"),
        _ours("runtime", "runtime/Dockerfile", "runtime/modelport_runtime"),
        Image(
            "language",
            f"docker.io/modelport/language:{VERSION}",
            ROOT / "examples" / "language" / "Dockerfile",
            ROOT / "examples" / "language",
            (),
            base="runtime",
        ),
        Image(
            "hub",
            f"localhost/hub-mirror:{VERSION}",
            HERE / "hub" / "Dockerfile",
            ROOT / "e2e" / "models",
            ("hub.py",),
            more=lambda: {"models": converted_models()},
        ),
        Image("triton", "localhost/triton-cpu:24.10", HERE / "triton" / "Dockerfile", HERE / "triton", ("model.py",)),
        Image(
            "vllm",
            "localhost/vllm-cpu:0.32.0",
            HERE / "vllm" / "Dockerfile",
            HERE / "vllm",
            ("requirements.lock", "stubs.py"),
        ),
    )
}

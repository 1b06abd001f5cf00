"""The golden cases: a folder each, with in.yaml, out.yaml and, where it matters, platform.yaml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from modelport.render.desired import Desired, Identity, Invalid
from modelport.render.platform import Platform, platform_from
from modelport.render.render import render

GOLDEN = Path(__file__).parents[1] / "golden"
UID = "5d1b9a0e-7f1c-4a52-9f3e-0c6d2f0f4b11"
IMAGES = {name: f"registry.example.com/{name}:1" for name in ("vllm", "triton", "fastapi", "agent")}


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def id(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((self.folder / "in.yaml").read_text())
        return document

    def platform(self) -> Platform:
        """Versions and images that no release of ours changes."""
        given = self.folder / "platform.yaml"
        values = yaml.safe_load(given.read_text()) if given.exists() else {}
        platform = platform_from({**values, "images": {**IMAGES, **values.get("images", {})}})
        return replace(platform, version="1.2.3")

    def identity(self, namespace: str = "models") -> Identity:
        return Identity(namespace, self.document()["metadata"]["name"], UID)

    def render(self, namespace: str = "models") -> Desired:
        return rendered(self.document()["spec"], self.identity(namespace), self.platform())


CASES = [Case(path.parent) for path in sorted(GOLDEN.glob("*/*/in.yaml"))]


def rendered(spec: dict[str, Any], identity: Identity | None = None, platform: Platform | None = None) -> Desired:
    """The children of a spec that has to be valid."""
    result = render(identity or Identity("models", "example", UID), spec, platform or Platform())
    assert isinstance(result, Desired), result.message
    return result


def problems(spec: dict[str, Any], name: str = "example", platform: Platform | None = None) -> list[str]:
    """What is wrong with a spec, one text per problem."""
    result = render(Identity("models", name, UID), spec, platform or Platform())
    return [str(problem) for problem in result.problems] if isinstance(result, Invalid) else []


def child(desired: Desired, kind: str) -> dict[str, Any]:
    """The manifest of the only child of a kind."""
    (found,) = (child for child in desired.children if child.kind == kind)
    return dict(found.manifest)


def template(desired: Desired) -> dict[str, Any]:
    found: dict[str, Any] = child(desired, "Deployment")["spec"]["template"]
    return found


def container(desired: Desired, name: str = "server") -> dict[str, Any]:
    """A container of the pod, whichever list it is in."""
    spec = template(desired)["spec"]
    (found,) = (item for item in [*spec.get("initContainers", []), *spec["containers"]] if item["name"] == name)
    return dict(found)

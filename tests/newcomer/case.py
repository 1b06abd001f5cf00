"""The format of tests/newcomer/cases/*.yaml.

about: what the newcomer did
runs: the spec that is Ready when the newcomer comes # optional
before: [objects that exist already]              # optional; {config} is the name of the ConfigMap that we render
resource: the ModelDeployment as it was written
pods: what is played of the pods (optional; without it nobody tells anything of them)
  containers: {NAME: parts of its ContainerStatus}  # those that are not named are ready
  unschedulable: the scheduler's message
deployment: parts of the Deployment's status      # optional, as its controller writes them after a long time
door: HTTP status of what answers in the Service's place # optional
expect:
  admission: the exact text that kubectl apply prints, refused or not
  status: {reason: ..., message: ...}             # only where the operator has to say it; the exact words
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One file of the table."""

    path: Path
    about: str
    resource: Mapping[str, Any]
    before: tuple[Mapping[str, Any], ...]
    admission: str
    status: Mapping[str, str] | None
    runs: Mapping[str, Any] | None = None
    pods: Mapping[str, Any] | None = None
    deployment: Mapping[str, Any] | None = None
    door: int = 200

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def refused(self) -> bool:
        """Whether the API server itself refuses the resource."""
        return not self.admission.endswith(" created")

    @property
    def reason(self) -> str:
        """Why, in one word of the status; empty where the table says nothing of it."""
        return (self.status or {}).get("reason", "")

    def write_expected(self, **found: Any) -> None:
        """Replace what is expected by what was found; the rest of the file stays as people wrote it."""
        text = self.path.read_text()
        written = yaml.safe_load(text)["expect"] | found
        expected = yaml.safe_dump({"expect": written}, sort_keys=False, width=200, allow_unicode=True)
        self.path.write_text(text[: text.index("\nexpect:") + 1] + expected)


def cases() -> list[Case]:
    """The whole table, in the order of names."""
    return [_read(path) for path in sorted(CASES.glob("*.yaml"))]


def _read(path: Path) -> Case:
    document = yaml.safe_load(path.read_text())
    expect = document["expect"]
    resource = document["resource"]
    before = tuple(_named(existing, resource) for existing in document.get("before", ()))
    played = {key: document[key] for key in ("runs", "pods", "deployment", "door") if key in document}
    return Case(path, document["about"], resource, before, expect["admission"], expect.get("status"), **played)


def _named(existing: Mapping[str, Any], resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object, with the name of the ConfigMap that is rendered for the resource in place of {config}."""
    if existing["metadata"]["name"] != "{config}":
        return existing
    desired = render(Identity("default", resource["metadata"]["name"], ""), resource["spec"], Platform())
    assert isinstance(desired, Desired)
    (name,) = (child.name for child in desired.children if child.kind == "ConfigMap")
    return {**existing, "metadata": {**existing["metadata"], "name": name}}

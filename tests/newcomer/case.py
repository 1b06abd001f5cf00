"""The format of tests/newcomer/cases/*.yaml.

about: what the newcomer did
before: [objects that exist already]              # optional
resource: the ModelDeployment as it was written
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

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def refused(self) -> bool:
        """Whether the API server itself refuses the resource."""
        return not self.admission.endswith(" created")

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
    before = tuple(document.get("before", ()))
    return Case(path, document["about"], document["resource"], before, expect["admission"], expect.get("status"))

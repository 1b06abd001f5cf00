"""The cases of causes.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CAUSES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("causes.yaml").read_text(encoding="utf-8"))


def message(case: Mapping[str, Any]) -> tuple[str, Any]:
    """What is said, and where."""
    ((kind, said),) = ((name, value) for name, value in case.items() if name not in ("cause", "origin", "says"))
    return kind, said

"""Writes everything that is made from the API: `python -m modelport.api.generate [ROOT]`; `make generate` calls it.

It must never read a cluster or anything else than the code beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from . import crd, reference


def files() -> Mapping[str, str]:
    """Each generated file, by its path in the repository."""
    return {
        "crds/modeldeployments.yaml": crd.text(),
        "docs/reference.md": reference.reference(),
        "docs/reasons.md": reference.reasons(),
    }


def main(root: Path) -> None:
    for path, text in files().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main(Path(*sys.argv[1:]))

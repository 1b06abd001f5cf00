"""Writes docs/metrics.md: `python -m modelport.app.generate [ROOT]`; `make generate` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

from modelport.app import metrics_table

PAGE = Path("docs", "metrics.md")


def main(root: Path) -> None:
    (root / PAGE).write_text(metrics_table.page())


if __name__ == "__main__":
    main(Path(*sys.argv[1:]))

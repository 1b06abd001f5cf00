"""The tests drive the agent's program against servers that really run; `e2e` at the repository's root holds the hub."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

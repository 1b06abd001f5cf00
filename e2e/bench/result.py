"""What was measured, as data that is written to JSON and read back. It must never hold a judgement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Phase:
    """What one phase cost."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds: operator, asking (its child processes), kube-apiserver, etcd, bench (driver, player, door)."""
    foreign: float = 0.0
    """CPU seconds of everything else on the machine."""
    requests: dict[str, int] = field(default_factory=dict)
    """The operator's: writes, gets, lists (with watches), dry_runs, refused; Leases and Events apart."""
    figures: dict[str, float | None] = field(default_factory=dict)
    """What only this phase has, such as `all_children` and `all_ready`; all times are in seconds."""


@dataclass
class Result:
    """All phases of a contender with so many resources."""

    contender: str
    size: int
    phases: dict[str, Phase] = field(default_factory=dict)
    peak_mib: float = 0.0
    """Of the operator's process, after the creation."""
    asking_peak_mib: float = 0.0
    broke_off: str = ""
    """Why later phases are missing."""

    @property
    def foreign_share(self) -> float:
        """How much of one core others took, in the phase in which they took most."""
        return max((phase.foreign / phase.seconds for phase in self.phases.values() if phase.seconds), default=0.0)


def dump(results: Iterable[Result], path: Path) -> None:
    """Write them."""
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def load(path: Path) -> list[Result]:
    """Read them back."""
    return [
        Result(**{**one, "phases": {name: Phase(**phase) for name, phase in one["phases"].items()}})
        for one in json.loads(path.read_text())
    ]

"""What the last status says, as far as the next one depends on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.api.names import ConditionType, Reason

Status = Mapping[str, Any]
Condition = Mapping[str, Any]


def condition(status: Status, kind: ConditionType) -> Condition:
    """The condition of that type, or an empty one."""
    return next((item for item in status.get("conditions") or () if item.get("type") == kind), {})


@dataclass(frozen=True, slots=True)
class Past:
    """The last verdict: about which generation, and with which words."""

    known: bool
    """There is one, in words that this version knows."""
    same_generation: bool
    ready: bool
    reason: Reason
    message: str
    reconciling: bool
    wanted: int | None
    """Replicas that were wanted."""
    proved_hash: str | None
    """Spec hash of the template whose model has answered last."""

    @classmethod
    def of(cls, status: Status, generation: int) -> Past:
        """Read it from a status."""
        told = next((c for c in (condition(status, kind) for kind in _TELLING) if c), {})
        known = told.get("reason") in _REASONS
        wanted = str(status.get("ready") or "").rpartition("/")[2]
        return cls(
            known=known,
            same_generation=status.get("observedGeneration") == generation,
            ready=condition(status, ConditionType.READY).get("status") == "True",
            reason=Reason(told["reason"]) if known else Reason.CREATING,
            message=told.get("message", ""),
            reconciling=condition(status, ConditionType.RECONCILING).get("status") == "True",
            wanted=int(wanted) if wanted.isdigit() else None,
            proved_hash=status.get("provedHash"),
        )

    @property
    def ready_now(self) -> bool:
        """Ready was said of this very generation."""
        return self.ready and self.same_generation and self.known


_TELLING = (ConditionType.READY, ConditionType.AVAILABLE)
_REASONS = frozenset(str(reason) for reason in Reason)
NO_PAST = Past.of({}, 0)
"""Nothing was said yet."""

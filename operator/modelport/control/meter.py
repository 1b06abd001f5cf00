"""What the loop tells about itself, for whoever counts. It must never carry the name of a resource."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts."""

    def reconciled(self, result: str, reason: str, seconds: float) -> None:
        """One reconcile ended."""

    def retried(self) -> None:
        """A key goes back into the queue because its reconcile failed."""

    def drift_repaired(self, kind: str) -> None:
        """A child that others had changed was put right."""

    def ghost(self) -> None:
        """A ModelDeployment whose deletion no watch had told was found."""

    def asked(self, result: str) -> None:
        """A question through a Service was answered, or not."""

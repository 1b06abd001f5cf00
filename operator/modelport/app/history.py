"""How the last reconcile of each resource ended, and which are under way: for people who ask, and for nobody else.

It must never be an input of a decision, and never keep more than a few words for each resource.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from modelport.control.reconcile import Outcome
from modelport.kube.errors import ApiError
from modelport.state.observed import Key

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one reconcile."""

    result: str
    reason: str
    """The status word that it found, where it came so far."""
    problem: str | None
    """What it failed of."""
    at: float
    """When it ended, in seconds since 1970."""
    seconds: float
    """How long it took."""


class History:
    """Stands around `reconcile` and remembers how it ended."""

    def __init__(self, reconcile: Callable[[Key], Awaitable[Outcome]]) -> None:
        self._reconcile = reconcile
        self._began: dict[Key, float] = {}
        self._ended: dict[Key, Ended] = {}

    async def reconcile(self, key: Key) -> Outcome:
        """Reconcile, and remember."""
        began = self._began[key] = time.monotonic()
        problem: str | None = "it was broken off"
        outcome = Outcome(FAILED)
        try:
            outcome, problem = await self._reconcile(key), None
        except ApiError as refusal:
            problem = str(refusal)
            raise
        except Exception as error:
            problem = f"{type(error).__name__}; the log has the traceback"
            raise
        finally:
            del self._began[key]
            seconds = time.monotonic() - began
            self._ended[key] = Ended(outcome.result, outcome.reason, problem, time.time(), seconds)
            if outcome.result == "gone":
                del self._ended[key]
        return outcome

    def ended(self, key: Key) -> Ended | None:
        """How the last one ended, since the process started."""
        return self._ended.get(key)

    @property
    def under_way(self) -> Mapping[Key, float]:
        """For how many seconds each has been worked on."""
        now = time.monotonic()
        return {key: now - began for key, began in self._began.items()}

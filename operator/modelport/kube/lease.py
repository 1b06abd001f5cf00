"""One of several operators leads: the holder of a Lease, who renews it every 5 seconds and may write for 15.

The deadline is counted on the monotonic clock from before the renewal was sent, so that no other can have taken over
while `check` still lets a write pass. It must never trust a wall clock, its own or another's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from modelport.kube.errors import ApiError, Conflict, NotFound
from modelport.kube.kinds import LEASE
from modelport.kube.transport import Transport

logger = logging.getLogger(__name__)

DURATION = 15.0
RENEW_EVERY = 5.0
RETRY_EVERY = 1.0
LONGEST_TRY = 4.0
"""Seconds for an answer: one that never comes must not cost the Lease, so that another try fits in before the deadline."""
MARGIN = 2.0  # a write is sent and answered within this, as a rule


class NotLeader(Exception):  # noqa: N818 - a state, not a mistake
    """This process may not write now."""


class Leases(Protocol):
    """Where one Lease is kept."""

    async def read(self) -> dict[str, Any] | None:
        """The Lease, or None."""

    async def write(self, lease: dict[str, Any]) -> dict[str, Any]:
        """Create it, or update the version that it carries. Raises Conflict when another was faster."""


class ApiLeases:
    """A Lease in the API server. No retries: the elector has its own pace."""

    def __init__(self, transport: Transport, namespace: str, name: str) -> None:
        self._transport, self.namespace, self.name = transport, namespace, name

    async def read(self) -> dict[str, Any] | None:
        try:
            lease: dict[str, Any] = await self._transport.request(
                "GET", LEASE.path(self.namespace, self.name), verb="get", resource=LEASE.plural, attempts=1
            )
        except NotFound:
            return None
        return lease

    async def write(self, lease: dict[str, Any]) -> dict[str, Any]:
        exists = "resourceVersion" in lease["metadata"]
        written: dict[str, Any] = await self._transport.request(
            "PUT" if exists else "POST",
            LEASE.path(self.namespace, self.name if exists else None),
            verb="update" if exists else "create",
            resource=LEASE.plural,
            body={**lease, "metadata": {**lease["metadata"], "namespace": self.namespace, "name": self.name}},
            attempts=1,
        )
        return written


class Elector:
    """Takes the Lease when it is free or expired, and keeps it."""

    def __init__(self, leases: Leases, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases = leases
        self._identity = identity
        self._clock = clock
        self._lease: dict[str, Any] | None = None
        self._deadline = float("-inf")
        self._seen = ""
        self._free_at = float("-inf")
        """When the last promise of another holder ends: if the Lease is deleted meanwhile, that one may still write."""
        self.leading = asyncio.Event()

    def check(self) -> float:
        """The gate of every write: seconds until the deadline; raises NotLeader after it."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise NotLeader("the Lease is not held")
        return left

    async def run(self) -> None:
        """Wait for the Lease, then keep it; returns only when it is lost."""
        while True:
            held = await self.step()
            if held:
                self.leading.set()
            elif self.leading.is_set() and (self._clock() >= self._deadline or self._taken()):
                logger.error("the Lease is lost: %s", self._holder() if self._taken() else "no renewal came through")
                return
            await asyncio.sleep(RENEW_EVERY if held else RETRY_EVERY)

    async def release(self) -> None:
        """Give the Lease up at a clean exit, so that the next one need not wait for it to expire."""
        if not self.leading.is_set():
            return
        self._deadline = float("-inf")
        try:
            async with asyncio.timeout(LONGEST_TRY):
                self._lease = await self._leases.read()  # the last renewal may have been broken off
                if self._ours():
                    await self._leases.write(self._record(self._lease, holder="", duration=1))
        except (ApiError, TimeoutError) as problem:
            logger.warning("the Lease could not be released: %s", str(problem) or f"no answer within {LONGEST_TRY:g} s")

    async def step(self) -> bool:
        """One try to take or renew; whether the Lease is ours for certain."""
        started = self._clock()
        try:
            async with asyncio.timeout(LONGEST_TRY):
                if self._lease is None or not self._ours():
                    self._lease = await self._leases.read()
                if not self._may_take(started):
                    return False
                written = await self._leases.write(self._record(self._lease, self._identity, int(DURATION)))
        except (Conflict, NotFound):
            self._lease = None  # somebody wrote or deleted it; what is there now is read at the next step
            return False
        except (ApiError, TimeoutError) as problem:
            logger.warning("the Lease could not be renewed: %s", str(problem) or f"no answer within {LONGEST_TRY:g} s")
            return False
        self._lease = written
        self._deadline = started + DURATION - MARGIN
        return True

    def _may_take(self, now: float) -> bool:
        """Free, ours, or not renewed for as long as its holder promised, by our own clock."""
        if self._lease is not None:
            if not self._holder() or self._ours():
                self._free_at = now
            elif self._seen != (version := self._lease["metadata"]["resourceVersion"]):
                self._seen = version
                self._free_at = now + float(self._lease["spec"].get("leaseDurationSeconds") or DURATION)
        return now >= self._free_at

    def _record(self, lease: dict[str, Any] | None, holder: str, duration: int) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (lease or {}).get("spec", {})
        changed = before.get("holderIdentity") != holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "acquireTime": now if changed else before.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (1 if changed and holder else 0),
        }
        base = lease or {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": {}}
        return {**base, "spec": spec}

    def _holder(self) -> str:
        return str((self._lease or {}).get("spec", {}).get("holderIdentity") or "")

    def _ours(self) -> bool:
        return self._holder() == self._identity

    def _taken(self) -> bool:
        return self._lease is not None and not self._ours()

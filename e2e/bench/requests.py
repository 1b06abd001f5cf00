"""What a contender asked of the API server, by the audit log. Pure but for reading the file.

It must never count what was asked before the moment that it is told to begin at, or by anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

PLAYER = "bench-player"
_READS = ("get", "list", "watch")
_APART = ("leases", "events", "")
"""Leases and Events are counted apart; what is no resource (health, discovery) not at all."""
_SEEN_EARLY = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request."""

    user: str
    verb: str
    resource: str
    """With the subresource, as in modeldeployments/status."""
    name: str
    code: int
    at: float
    """When it was answered, in seconds since 1970."""
    dry_run: bool

    @property
    def writes(self) -> bool:
        return self.verb not in _READS and not self.dry_run


class AuditLog:
    """A log that grows; each look gives what is new."""

    def __init__(self, path: Path, users: Iterable[str]) -> None:
        self._path, self._users, self._offset = path, frozenset(users), 0

    def news(self) -> list[Request]:
        """What these users asked for since the last look, Leases and Events apart."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            content = log.read()
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        return list(parse(complete.splitlines(), self._users))


def parse(lines: Iterable[bytes], users: frozenset[str]) -> Iterator[Request]:
    """Of these users, Leases and Events apart."""
    for line in lines:
        event = orjson.loads(line)
        target = event.get("objectRef") or {}
        resource, sub = target.get("resource", ""), target.get("subresource")
        user = event["user"].get("username", "")
        if user in users and resource not in _APART:
            yield Request(
                user=user,
                verb=event["verb"],
                resource=f"{resource}/{sub}" if sub else resource,
                name=target.get("name", ""),
                code=event.get("responseStatus", {}).get("code", 0),
                at=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
                dry_run="dryRun=" in event["requestURI"],
            )


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of each kind."""

    writes: int = 0
    gets: int = 0
    lists: int = 0
    """LISTs and watches: shared by all resources."""
    dry_runs: int = 0
    refused: int = 0


def tally(requests: Iterable[Request], user: str) -> Tally:
    """Of one user. A refused write is a write."""
    own = [one for one in requests if one.user == user]
    return Tally(
        writes=sum(one.writes for one in own),
        gets=sum(one.verb == "get" for one in own),
        lists=sum(one.verb in ("list", "watch") for one in own),
        dry_runs=sum(one.dry_run for one in own),
        refused=sum(one.code >= 400 for one in own),
    )


def children_written(requests: Iterable[Request], user: str, plural: str, *, created: bool) -> list[float]:
    """When each child was written, or created."""
    return [
        one.at
        for one in requests
        if one.user == user
        and one.writes
        and one.code in ((201,) if created else (200, 201))
        and one.resource.partition("/")[0] != plural
    ]


def latencies(requests: list[Request], user: str, plural: str, done: dict[str, float]) -> dict[str, float]:
    """By resource, the seconds from the answer to the last status of its Deployment that the player wrote, to the answer to
    the operator's status that said it was done: its last one until the driver saw that. The driver may see it a little before
    the operator has its answer."""
    ready = {one.name: one.at for one in requests if one.user == PLAYER and one.resource == "deployments/status"}
    told: dict[str, float] = {}
    for one in requests:
        its = one.user == user and one.resource.partition("/")[0] == plural and one.code < 300
        if its and one.at <= done.get(one.name, 0.0) + _SEEN_EARLY:
            told[one.name] = max(told.get(one.name, 0.0), one.at)
    return {name: max(0.0, told[name] - at) for name, at in ready.items() if name in told}


def quantile(values: Iterable[float], share: float) -> float | None:
    """The value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None

"""Which namespaces a process serves: all, those that it is given, or its share of them by their hash.

Two processes with the same shards never serve the same namespace, whatever their versions: the hash must never change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

LEASE = "modelport"
_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHARD = re.compile("([0-9]+)/([0-9]+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares of all namespaces, counted from 0."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From i/n; ValueError says what to write instead."""
        found = _SHARD.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no shard: write i/n, such as 0/3 for the first of three")
        number, of = map(int, found.groups())
        if of == 0:
            raise ValueError(f"{text!r}: there is no shard of none; write 0/1 or leave it out to serve everything")
        if number >= of:
            raise ValueError(f"{text!r}: shards are counted from 0, so the last one of {of} is {of - 1}/{of}")
        return cls(number, of)

    def covers(self, namespace: str) -> bool:
        """Whether the namespace falls to this share."""
        return share(namespace, self.of) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@lru_cache(maxsize=65536)
def share(namespace: str, of: int) -> int:
    """The number of the share that a namespace falls to."""
    return int.from_bytes(blake2b(namespace.encode(), digest_size=8).digest()) % of


@dataclass(frozen=True, slots=True)
class Scope:
    """What one process serves."""

    namespaces: tuple[str, ...] = ()
    """Empty: all."""
    shard: Shard | None = None

    @property
    def watched(self) -> tuple[str | None, ...]:
        """The namespaces to watch one by one; None: all at once."""
        return self.namespaces or (None,)

    def covers(self, namespace: str) -> bool:
        """Whether its ModelDeployments and their children are this process's."""
        if self.namespaces and namespace not in self.namespaces:
            return False
        return self.shard is None or self.shard.covers(namespace)

    def lease_name(self, given: str) -> str:
        """The Lease by which replicas with this scope agree on one: others must not have the same. A name that is `given`
        stands for the namespaces, and never for the shard."""
        name = given or (f"{LEASE}-{_digest(self.namespaces)}" if self.namespaces else LEASE)
        return name if self.shard is None else f"{name}-shard-{self.shard.number}-of-{self.shard.of}"

    def __str__(self) -> str:
        served = f"namespaces {', '.join(self.namespaces)}" if self.namespaces else "all namespaces"
        return served if self.shard is None else f"shard {self.shard} of {served}"


def namespaces(texts: Iterable[str]) -> tuple[str, ...]:
    """Namespaces from lists such as a,b, each once; ValueError says what to write instead."""
    names = tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",")))
    for name in names:
        if _NAMESPACE.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no namespace: write names with commas between them, such as models,team-a")
    return names


def _digest(names: tuple[str, ...]) -> str:
    return blake2b(",".join(sorted(names)).encode(), digest_size=4).hexdigest()

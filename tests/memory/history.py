"""What happened to the objects, in order, and the watches that are told of it when the test says so.

A watch may be held back, broken off, struck dumb, told things twice, or come too late for what it has missed. What it is
told is what the API server tells: by the label selector, with bookmarks, and 410 where the history does not reach back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from modelport.kube.kinds import Kind
from tests.memory.requests import Json, status

_BOOKMARK_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Selector:
    """`label`, or `label=value`; an empty one takes everything."""

    text: str

    def takes(self, document: Json | None) -> bool:
        """Whether the object is there and carries the label."""
        if document is None:
            return False
        name, equals, value = self.text.partition("=")
        found = (document["metadata"].get("labels") or {}).get(name)
        return not name or (found == value if equals else found is not None)


@dataclass(frozen=True, slots=True)
class Change:
    """One write: how the object looked before (None: it was created) and after (None: it was deleted)."""

    version: int
    at: float
    kind: Kind
    namespace: str
    before: Json | None
    after: Json | None

    def told(self, selector: Selector) -> Json | None:
        """The watch event for those who look through this selector. What is deleted, or not selected any more, is told
        as it looked before, with the version of the change."""
        was, is_ = selector.takes(self.before), selector.takes(self.after)
        if self.after is not None and is_:
            return {"type": "MODIFIED" if was else "ADDED", "object": self.after}
        if self.before is None or not was:
            return None
        metadata = {**self.before["metadata"], "resourceVersion": str(self.version)}
        return {"type": "DELETED", "object": {**self.before, "metadata": metadata}}


class History:
    """All changes since the last `expire`, and who is watching."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.lags: dict[str, float] = {}
        """Seconds after which watches of a kind (by its plural) learn of a change."""
        self.version = 100
        self._oldest = self.version
        self._changes: list[Change] = []
        self._held: dict[str, int] = {}
        self._watches: list[Watch] = []

    def tell(self, change: Change) -> None:
        """It has just happened."""
        self.version = change.version
        self._changes.append(change)
        self._wake()

    def hold(self, plural: str) -> None:
        """No watch of that kind learns of what happens from now on."""
        self._held.setdefault(plural, self.version)

    def release(self, plural: str) -> None:
        """Watches of that kind learn of everything that was held back."""
        if self._held.pop(plural, None) is not None:
            self._wake()

    def expire(self) -> None:
        """Forget what happened: who has not been told of it has to list anew."""
        self._oldest = self.version
        self._changes.clear()
        self._held.clear()
        self._wake()

    def break_off(self, plural: str) -> None:
        """The connections of that kind's watches are lost."""
        for watch in self._of(plural):
            watch.lost = True
        self._wake()

    def strike_dumb(self, plural: str) -> None:
        """The watches that are open now stay open, and are never told anything again."""
        for watch in self._of(plural):
            watch.dumb = True

    def repeat(self, plural: str, changes: int = 5) -> None:
        """Watches of that kind are told once more what so many changes, of whatever kind, have told them."""
        for watch in self._of(plural):
            watch.told = max(watch.since, self._oldest, watch.told - changes)
        self._wake()

    def all_of(self, kind: Kind, since: int) -> list[Change]:
        """Every change of that kind after a version."""
        return [change for change in self._changes[self._position(since) :] if change.kind == kind]

    def open(self, watch: Watch) -> None:
        """Somebody begins to watch."""
        self._watches.append(watch)

    def close(self, watch: Watch) -> None:
        """Nobody reads it any more."""
        if watch in self._watches:
            self._watches.remove(watch)

    def next(self, watch: Watch) -> Json | None:
        """The next event for this watch, if there is one that it may know of by now."""
        if watch.told < self._oldest:
            message = f"too old resource version: {watch.told} ({self._oldest})"
            return {"type": "ERROR", "object": status(410, "Expired", message)}
        held = self._held.get(watch.kind.plural, self.version)
        lag = self.lags.get(watch.kind.plural, 0.0)
        for change in self._changes[self._position(watch.told) :]:
            if change.version > held:
                break
            if change.at + lag > self._clock():
                watch.news_at = change.at + lag
                break
            watch.told = change.version
            if change.kind == watch.kind and watch.namespace in (None, change.namespace):
                event = change.told(watch.selector)
                if event is not None:
                    return event
        return None

    def bookmark(self, watch: Watch) -> Json | None:
        """That nothing has happened up to now, if that may be known."""
        if watch.kind.plural in self._held or watch.told < self.version:
            return None
        kind = {"kind": watch.kind.name, "apiVersion": watch.kind.api_version}
        return {"type": "BOOKMARK", "object": {**kind, "metadata": {"resourceVersion": str(self.version)}}}

    def _position(self, version: int) -> int:
        """Of the first change after that version; they are numbered one by one."""
        return max(0, version + 1 - self._changes[0].version) if self._changes else 0

    def _of(self, plural: str) -> list[Watch]:
        return [watch for watch in self._watches if watch.kind.plural == plural]

    def _wake(self) -> None:
        for watch in self._watches:
            watch.wake()


class Watch:
    """One open watch, read event by event. It ends after `seconds`."""

    def __init__(
        self, history: History, kind: Kind, namespace: str | None, selector: Selector, since: int, seconds: float
    ) -> None:
        self.kind, self.namespace, self.selector, self.since = kind, namespace, selector, since
        self.told = since
        self.news_at = inf
        """When it may be told what it may not be told yet."""
        self.lost = self.dumb = False
        self._history, self._news, self._ended = history, asyncio.Event(), False
        self._end = asyncio.get_running_loop().time() + seconds
        history.open(self)

    def wake(self) -> None:
        """Something may have happened."""
        self._news.set()

    def close(self) -> None:
        """Nobody reads on."""
        self._history.close(self)

    async def next(self) -> Json | None:
        """The next event; None at the end. Raises ConnectionResetError when the connection is lost."""
        loop = asyncio.get_running_loop()
        marked = loop.time() + _BOOKMARK_EVERY
        while not self._ended:
            if self.lost:
                raise ConnectionResetError("the watch was broken off")
            self.news_at = inf
            event = None if self.dumb else self._history.next(self)
            if event is None and loop.time() >= marked and not self.dumb:
                event = self._history.bookmark(self)
                marked = loop.time() + _BOOKMARK_EVERY
            if event is not None:
                self._ended = event["type"] == "ERROR"
                return event
            if loop.time() >= self._end and not self.dumb:
                break
            self._news.clear()
            try:
                async with asyncio.timeout_at(None if self.dumb else min(marked, self._end, self.news_at)):
                    await self._news.wait()
            except TimeoutError:
                continue
        return None

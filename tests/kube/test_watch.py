"""LIST and WATCH against an API server in memory that breaks off as real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modelport.control.cache import Cache
from modelport.kube import watch as module
from modelport.kube.client import Page
from modelport.kube.errors import Gone, Unavailable
from modelport.kube.kinds import SERVICE, Kind
from modelport.kube.watch import Project, Watch
from modelport.state.observed import Child
from modelport.state.project import project_child

KEY = ("ns", "a")


class Server:
    """Services in memory, a version that counts, and streams that a test can break."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self.breaks: list[Exception | None] = []
        self.lists = 0

    def put(self, name: str) -> None:
        self._tell("MODIFIED" if name in self.objects else "ADDED", name)

    def remove(self, name: str, *, unseen: bool = False) -> None:
        self._tell("DELETED", name)
        if unseen:
            self.history.pop()

    def bookmark(self) -> None:
        self.version += 1
        self._append("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def end(self, how: Exception | None) -> None:
        """Break the stream that is open."""
        self.breaks.append(how)
        self.changed.set()

    def _tell(self, what: str, name: str) -> None:
        self.version += 1
        metadata = {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "resourceVersion": str(self.version),
            "labels": {"modelport.io/name": "a"},
        }
        self.objects[name] = {"metadata": metadata, "spec": {}}
        self._append(what, {"kind": "Service", **self.objects[name]})
        if what == "DELETED":
            del self.objects[name]

    def _append(self, what: str, item: dict[str, Any]) -> None:
        self.history.append({"type": what, "object": item})
        self.changed.set()

    async def pages(self, kind: Kind, namespace: str | None, selector: str) -> AsyncGenerator[Page, None]:
        self.lists += 1
        for item in list(self.objects.values()):
            yield Page([dict(item)], str(self.version))
        yield Page([], str(self.version))

    async def events(
        self, kind: Kind, namespace: str | None, selector: str, since: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        position = next(
            (n for n, e in enumerate(self.history) if int(e["object"]["metadata"]["resourceVersion"]) > int(since)),
            len(self.history),
        )
        while True:
            while position < len(self.history):
                yield self.history[position]
                position += 1
            if self.breaks:
                how = self.breaks.pop(0)
                if how is None:
                    return
                raise how
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def watching(
    server: Server, cache: Cache, noted: list[str], project: Project = project_child
) -> AsyncGenerator[Watch, None]:
    watch = Watch(server, SERVICE, None, project, cache, lambda kind, why: noted.append(why))  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    await watch.synced.wait()
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    """Let the tasks go on until it is so."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - each look lets the other tasks go one step on
            await asyncio.sleep(0)


def names(cache: Cache) -> set[str]:
    return {child.name for child in cache.children(KEY)}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.0)


async def test_what_is_there_and_what_comes_and_goes() -> None:
    server, cache = Server(), Cache()
    server.put("one")
    async with watching(server, cache, []):
        assert names(cache) == {"one"}
        server.put("two")
        await until(lambda: names(cache) == {"one", "two"})
        server.remove("one")
        await until(lambda: names(cache) == {"two"})
    assert server.lists == 1


@pytest.mark.parametrize(
    "how", [None, TimeoutError(), Unavailable(0, "reset"), ConnectionResetError(), ValueError("cut")]
)
async def test_a_stream_that_breaks_off_goes_on_where_it_was(how: Exception | None) -> None:
    server, cache = Server(), Cache()
    server.put("one")
    async with watching(server, cache, []):
        server.put("two")
        await until(lambda: names(cache) == {"one", "two"})
        server.end(how)
        server.put("three")
        await until(lambda: names(cache) == {"one", "two", "three"})
    assert server.lists == 1


async def test_a_deletion_that_no_stream_told_is_found_after_410() -> None:
    server, cache = Server(), Cache()
    noted: list[str] = []
    server.put("one")
    server.put("two")
    async with watching(server, cache, noted):
        server.remove("one", unseen=True)
        server.bookmark()
        server.end(Gone(410, "too old"))
        await until(lambda: names(cache) == {"two"})
    assert noted == ["gone"]
    assert server.lists == 2


class Hasty(Server):
    """Every stream breaks off at once."""

    def __init__(self, how: Exception | None, told: int = 0) -> None:
        super().__init__()
        self.how, self.told, self.streams = how, told, 0

    async def events(
        self, kind: Kind, namespace: str | None, selector: str, since: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        self.streams += 1
        await asyncio.sleep(0)  # as long as it takes to be answered
        for _ in range(self.told):
            self.bookmark()
            yield self.history[-1]
        if self.how is not None:
            raise self.how


@pytest.mark.parametrize("how", [None, Gone(410, "too old"), TimeoutError(), Unavailable(0, "reset")])
async def test_streams_that_break_off_at_once_are_not_opened_in_a_hurry(
    how: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.02)
    server = Hasty(how)
    async with watching(server, Cache(), []):
        await asyncio.sleep(0.3)
    assert 1 <= server.streams <= 8  # the pause doubles


async def test_streams_that_end_after_they_told_something_are_opened_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 60.0)
    server = Hasty(None, told=1)
    async with watching(server, Cache(), []):
        await until(lambda: server.streams >= 20)


async def test_a_bookmark_moves_the_point_from_which_the_stream_goes_on() -> None:
    server, cache = Server(), Cache()
    async with watching(server, cache, []) as watch:
        server.bookmark()
        await until(lambda: watch.version == str(server.version))


def odd(raw: dict[str, Any]) -> Child:
    """A projection that fails on one object."""
    if raw["metadata"]["name"] == "odd":
        raise KeyError("ours")
    return project_child(raw)


async def test_an_object_that_cannot_be_read_counts_as_missing_and_disturbs_no_other() -> None:
    server, cache, noted = Server(), Cache(), list[str]()
    server.put("odd")
    server.put("one")
    async with watching(server, cache, noted, odd):
        assert names(cache) == {"one"}
        server.put("odd")
        server.put("two")
        await until(lambda: names(cache) == {"one", "two"})
        server.remove("odd")
        server.remove("one")
        await until(lambda: names(cache) == {"two"})
    assert (noted, server.lists) == ([], 1)


async def test_what_was_known_of_an_object_goes_when_it_cannot_be_read_any_more() -> None:
    server, cache, fails = Server(), Cache(), set[str]()

    def project(raw: dict[str, Any]) -> Child:
        return odd({**raw, "metadata": {**raw["metadata"], "name": "odd"}}) if fails else project_child(raw)

    server.put("one")
    async with watching(server, cache, [], project):
        assert names(cache) == {"one"}
        fails.add("now")
        server.put("one")
        await until(lambda: names(cache) == set())
        fails.clear()
        server.put("one")
        await until(lambda: names(cache) == {"one"})


async def test_events_that_make_no_sense_are_followed_by_a_look_at_all() -> None:
    server, cache, noted = Server(), Cache(), list[str]()
    server.put("one")
    async with watching(server, cache, noted):
        server.history.append({"type": "ADDED", "object": {"metadata": {"resourceVersion": "11"}}})
        server.put("two")
        await until(lambda: names(cache) == {"one", "two"} and server.lists == 2)
    assert noted == ["failed"]

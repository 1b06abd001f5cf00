"""When the model is asked through its Service: once per generation, soon again without a good answer, slowly after one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from modelport.api.names import Runtime
from modelport.control import questions as module
from modelport.control.memory import Memory
from modelport.control.questions import AGAIN_EVERY, SETTLES_WITHIN, Questions, door_url
from modelport.render.desired import Identity, Question
from modelport.state.observed import DoorResult, Key, Observed, Resource
from tests.render.cases import rendered

KEY = ("ns", "a")
QUESTION = Question(Runtime.VLLM, "http://a.ns.svc:8000", ("a",), None, None, 200, None, 30.0, False, False)
DESIRED = replace(
    rendered({"runtime": "vllm", "model": {"uri": "hf://a/b"}}, Identity("ns", "a", "uid")), question=QUESTION
)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class Asker:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[DoorResult] = asyncio.Queue()
        self.urls: list[str] = []

    def prepare(self, runtime: str) -> None:
        """Nothing to prepare."""

    async def ask(self, url: str, question: Question) -> tuple[DoorResult, str]:
        self.urls.append(url)
        return await self.answers.get(), "as the test said"


class Meter:
    def asked(self, result: str) -> None:
        """Not counted here."""


class Play:
    """One resource and its questions."""

    def __init__(self, mode: str = "service") -> None:
        self.clock, self.asker, self.memory = Clock(), Asker(), Memory("uid")
        self.woken: list[Key] = []
        self.questions = Questions(self.asker, mode, self.woken.append, Meter(), self.clock)  # type: ignore[arg-type]

    def look(self, generation: int = 1) -> float | None:
        return self.questions.consider(Observed(self.resource(generation), datetime.now(UTC)), DESIRED, self.memory)

    def resource(self, generation: int = 1) -> Resource:
        return Resource("ns", "a", "uid", generation, "1", False, False, {}, {})

    async def answer(self, result: DoorResult) -> None:
        self.asker.answers.put_nowait(result)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(module, "question_due", lambda observed, desired: True)
    return Play()


async def test_asked_once_per_generation_and_slowly_again(play: Play) -> None:
    play.look()
    play.look()
    await play.answer(DoorResult.ANSWERED)
    assert play.asker.urls == ["http://a.ns.svc:8000"]
    assert play.woken == [KEY]
    assert play.look() == AGAIN_EVERY
    play.look(generation=2)
    await play.answer(DoorResult.ANSWERED)
    assert len(play.asker.urls) == 2
    play.clock.now += AGAIN_EVERY
    play.look(generation=2)
    await play.answer(DoorResult.ANSWERED)
    assert len(play.asker.urls) == 3


@pytest.mark.parametrize("result", [DoorResult.UNREACHABLE, DoorResult.WRONG])
async def test_without_a_good_answer_it_is_asked_again_at_growing_intervals(play: Play, result: DoorResult) -> None:
    pauses = []
    for _ in range(4):
        play.look()
        await play.answer(result)
        pauses.append(play.memory.ask_again_at - play.clock.now)
        play.clock.now = play.memory.ask_again_at
    assert pauses == [2.0, 4.0, 8.0, 16.0]


async def test_a_late_answer_about_the_last_generation_does_not_hold_up_the_next(play: Play) -> None:
    play.look(generation=1)
    await asyncio.sleep(0)
    play.look(generation=2)
    await play.answer(DoorResult.ANSWERED)
    assert play.memory.door is None, "it is about pods that are not there any more"
    play.look(generation=2)
    await play.answer(DoorResult.ANSWERED)
    assert play.memory.door is not None
    assert play.memory.door.generation == 2


async def test_pods_that_were_made_anew_are_asked_anew(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be ready before the nodes route to them: what the last ones answered says nothing of that."""
    play.look()
    await play.answer(DoorResult.ANSWERED)
    assert play.memory.door is not None
    monkeypatch.setattr(module, "question_due", lambda observed, desired: False)
    play.look()
    assert play.memory.door is None
    monkeypatch.setattr(module, "question_due", lambda observed, desired: True)
    play.clock.now += 1
    play.look()
    await play.answer(DoorResult.ANSWERED)
    assert len(play.asker.urls) == 2
    assert play.memory.door is not None


async def test_a_fast_answer_leaves_no_trace_and_a_slow_one_is_told(play: Play) -> None:
    play.look()
    assert play.questions.settling(play.resource(), play.memory) == SETTLES_WITHIN
    play.clock.now += SETTLES_WITHIN
    assert play.questions.settling(play.resource(), play.memory) == 0.0
    await play.answer(DoorResult.ANSWERED)
    assert play.questions.settling(play.resource(), play.memory) == 0.0


async def test_off_is_never_asked_and_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "question_due", lambda observed, desired: True)
    play = Play("off")
    assert play.look() is None
    assert play.questions.waited(play.resource(), play.memory) == float("inf")
    assert play.asker.urls == []


@pytest.mark.parametrize(
    ("mode", "url"),
    [
        ("service", "http://a.ns.svc:8000"),
        ("http://127.0.0.1:9/{namespace}/{name}/{port}", "http://127.0.0.1:9/ns/a/8000"),
    ],
)
def test_where_to_ask(mode: str, url: str) -> None:
    assert door_url(mode, KEY, QUESTION.url) == url

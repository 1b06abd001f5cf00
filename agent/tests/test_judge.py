"""Readiness as a table: a story of observations, and the verdict after each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from modelport_agent.prove.judge import judge, worth_telling
from modelport_agent.prove.model import (
    Answer,
    Contact,
    Listing,
    ModelState,
    Observation,
    Reason,
    Terms,
    Verdict,
    Work,
)

HERE = Listing(Contact.ANSWERED, 200, {"m": ModelState(True, "READY")})
REFUSED = Observation(Listing(Contact.REFUSED, message="refused"))
RIGHT = Observation(HERE, Answer(Contact.ANSWERED, 0.1, 200))
SLOW = Observation(HERE, Answer(Contact.ANSWERED, 8.0, 200))
WRONG = Observation(HERE, Answer(Contact.ANSWERED, 0.1, 500, "the server answered 500"))
RESET = Observation(HERE, Answer(Contact.BROKEN, 0.1, fault="the connection broke"))
LOADING = Observation(Listing(Contact.ANSWERED, 200, {"m": ModelState(False, "LOADING")}))
FAILED = Observation(Listing(Contact.ANSWERED, 200, {"m": ModelState(False, "UNAVAILABLE", "no such file")}))
KEYLESS = Observation(Listing(Contact.ANSWERED, 401))
EMPTY = Observation(Listing(Contact.ANSWERED, 500, message="/v1/models answered 500"))
DEAF = Observation(Listing(Contact.SILENT, message="no answer"), deaf=True)
DEAF_WAITING = Observation(HERE, Answer(Contact.PENDING, 10.0), deaf=True)
FIRST_LOOK = Observation(HERE, Answer(Contact.PENDING, 5.0), Work(0, 5))
IDLE_WAITING = Observation(HERE, Answer(Contact.PENDING, 10.0), Work(0, 5))
UNKNOWN_WAITING = Observation(HERE, Answer(Contact.PENDING, 10.0))
IDLE_LATE = Observation(HERE, Answer(Contact.SILENT, 30.0, fault="no answer within 30 s"), Work(0, 5))
UNKNOWN_LATE = Observation(HERE, Answer(Contact.SILENT, 30.0, fault="no answer within 30 s"))


def waiting(others: float, progress: float) -> Observation:
    return Observation(HERE, Answer(Contact.PENDING, 10.0), Work(others, progress))


def late(others: float, progress: float) -> Observation:
    return Observation(HERE, Answer(Contact.SILENT, 30.0, fault="no answer within 30 s"), Work(others, progress))


def full(others: float) -> Observation:
    return Observation(HERE, Answer(Contact.ANSWERED, 0.1, 503, "queue is full"), Work(others, 5))


@dataclass(frozen=True)
class Story:
    name: str
    seen: tuple[Observation, ...]
    told: str  # + or - for ready, then the reason, for each observation


STORIES = [
    Story("first answer", (REFUSED, LOADING, RIGHT), "-Starting -Starting +Answered"),
    Story("silent while it starts", (DEAF, RIGHT), "-Starting +Answered"),
    Story("reset while it starts", (RESET, RIGHT), "-Starting +Answered"),
    Story("killed", (RIGHT, REFUSED, REFUSED, RIGHT), "+Answered -NotAnswering -NotAnswering +Answered"),
    Story("dies on the question", (RIGHT, RESET), "+Answered -NotAnswering"),
    Story("stopped process", (RIGHT, DEAF), "+Answered -NotAnswering"),
    Story("deaf in the middle of a question", (RIGHT, DEAF_WAITING), "+Answered -NotAnswering"),
    Story(
        "quick model stuck with nothing else to do",
        (RIGHT, FIRST_LOOK, IDLE_WAITING, RIGHT),
        "+Answered +Answered -NotAnswering +Answered",
    ),
    Story(
        "slow model is given its time",
        (SLOW, FIRST_LOOK, IDLE_WAITING, SLOW),
        "+Answered +Answered +Answered +Answered",
    ),
    Story(
        "slow model is not given more",
        (SLOW, FIRST_LOOK, IDLE_WAITING, IDLE_LATE),
        "+Answered +Answered +Answered -NotAnswering",
    ),
    Story(
        "no metrics: waits for the timeout", (RIGHT, UNKNOWN_WAITING, UNKNOWN_LATE), "+Answered +Answered -NotAnswering"
    ),
    Story("busy", (RIGHT, waiting(4, 10), waiting(4, 20), late(4, 30), RIGHT), "+Answered +Busy +Busy +Busy +Answered"),
    Story("one look shows nothing", (RIGHT, IDLE_WAITING), "+Answered +Answered"),
    Story("counts that lag behind", (RIGHT, FIRST_LOOK, waiting(0, 6), RIGHT), "+Answered +Answered +Busy +Answered"),
    Story("work finished since the last look", (RIGHT, waiting(2, 10), waiting(0, 11)), "+Answered +Busy +Busy"),
    Story(
        "hung with work in progress",
        (RIGHT, waiting(4, 10), waiting(4, 10), late(4, 10), waiting(4, 10), RIGHT),
        "+Answered +Busy +Busy +Busy -NotAnswering +Answered",
    ),
    Story(
        "moves again before the third interval",
        (RIGHT, waiting(4, 10), waiting(4, 10), waiting(4, 10), waiting(4, 11), waiting(4, 11), waiting(4, 11)),
        "+Answered +Busy +Busy +Busy +Busy +Busy +Busy",
    ),
    Story("busy never makes ready", (REFUSED, late(4, 10)), "-Starting -Starting"),
    Story("busy does not heal", (RIGHT, REFUSED, late(4, 10)), "+Answered -NotAnswering -NotAnswering"),
    Story("overloaded is busy", (RIGHT, full(4)), "+Answered +Busy"),
    Story("503 with nothing to do is wrong", (RIGHT, full(0)), "+Answered -WrongAnswer"),
    Story("500", (RIGHT, WRONG, RIGHT), "+Answered -WrongAnswer +Answered"),
    Story("model unloaded", (RIGHT, FAILED), "+Answered -ModelMissing"),
    Story("model never there", (FAILED, RIGHT), "-ModelMissing +Answered"),
    Story("reloads", (RIGHT, LOADING, RIGHT), "+Answered -Starting +Answered"),
    Story("wants a key", (KEYLESS, RIGHT), "-Unauthorized +Answered"),
    Story("listing fails", (RIGHT, EMPTY), "+Answered -NotAnswering"),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story) -> None:
    verdict, told = Verdict(), []
    for seen in story.seen:
        verdict = judge(verdict, seen, Terms(interval=10.0))
        told.append(f"{'+' if verdict.ready else '-'}{verdict.reason}")
        assert verdict.message
    assert " ".join(told) == story.told


DOUBT = Verdict(False, Reason.NOT_ANSWERING, "no answer for 10 s")
PROVED = Verdict(True, Reason.ANSWERED, "in 0.1 s")


@pytest.mark.parametrize(
    ("told", "now", "seconds", "again"),
    [
        (DOUBT, replace(DOUBT, reason=Reason.WRONG_ANSWER), 0.0, True),
        (PROVED, replace(PROVED, ready=False), 0.0, True),
        (DOUBT, DOUBT, 19.0, False),
        (DOUBT, DOUBT, 20.0, True),
        (DOUBT, replace(DOUBT, message="no answer for 14 s"), 4.0, False),
        (DOUBT, replace(DOUBT, message="no answer for 15 s"), 5.0, True),
        (PROVED, replace(PROVED, message="in 0.2 s"), 3600.0, False),
    ],
)
def test_what_is_told_again(told: Verdict, now: Verdict, seconds: float, again: bool) -> None:
    assert worth_telling(told, now, seconds) is again


def test_without_a_question() -> None:
    listed = Observation(HERE)
    assert judge(Verdict(), listed, Terms(asks=False)).reason == Reason.ANSWERED
    assert judge(Verdict(), listed, Terms(asks=False, disabled=True)).reason == Reason.DISABLED
    assert judge(Verdict(), listed, Terms(asks=False)).ready
    assert not judge(Verdict(), FAILED, Terms(asks=False, disabled=True)).ready
    assert not judge(Verdict(), listed, Terms()).ready


def test_keys_are_told_apart() -> None:
    assert "none is given" in judge(Verdict(), KEYLESS, Terms()).message
    assert "refuses the mounted key" in judge(Verdict(), KEYLESS, Terms(has_key=True)).message
    asked = Observation(HERE, Answer(Contact.ANSWERED, 0.1, 403, "the server answered 403"))
    assert judge(Verdict(), asked, Terms(has_key=True)).reason == Reason.UNAUTHORIZED


def test_models_are_told_by_name() -> None:
    verdict = judge(Verdict(), FAILED, Terms())
    assert verdict.message == "m: no such file"
    assert verdict.models["m"] == ModelState(False, "UNAVAILABLE", "no such file")

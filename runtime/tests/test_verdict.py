"""The rules of readiness, one by one, without a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelport_runtime.settings import Expect, Request, Settings
from modelport_runtime.verdict import (
    STARTING,
    Answer,
    Reason,
    Silence,
    Traffic,
    Verdict,
    judge,
    proved_by_traffic,
    when_started,
    worth_telling,
)

QUESTION = Request("POST", "/predict")
PROVED = Verdict(True, Reason.ANSWERED, "")
WRONG = Verdict(False, Reason.WRONG_ANSWER, "")


def asked(expect: Expect | None = None) -> Settings:
    return Settings(request=QUESTION, expect=expect or Expect(), timeout=30)


@pytest.mark.parametrize(
    ("settings", "ready", "reason"),
    [
        (Settings(), True, Reason.HTTP_ONLY),
        (Settings(disabled=True), True, Reason.DISABLED),
        (Settings(disabled=True, request=QUESTION), True, Reason.DISABLED),
        (asked(), False, Reason.STARTING),
    ],
)
def test_what_a_started_application_is(settings: Settings, ready: bool, reason: Reason) -> None:
    verdict = when_started(settings)
    assert (verdict.ready, verdict.reason) == (ready, reason)


@pytest.mark.parametrize(
    ("expect", "status", "body", "ready"),
    [
        (Expect(), 200, b"", True),
        (Expect(), 204, b"", True),
        (Expect(), 302, b"", False),
        (Expect(status=200), 201, b"", False),
        (Expect(status=401), 401, b"", True),
        (Expect(contains="Paris"), 200, b"It is Paris.", True),
        (Expect(contains="Paris"), 200, b"It is Rome.", False),
        (Expect(contains="Paris"), 500, b"Paris", False),
        (Expect(contains="é"), 200, "é".encode(), True),
        (Expect(contains="x"), 200, b"\xff\xfe", False),
    ],
)
@pytest.mark.parametrize("last", [STARTING, PROVED, WRONG])
def test_an_answer_alone_decides(expect: Expect, status: int, body: bytes, ready: bool, last: Verdict) -> None:
    verdict = judge(Answer(status, body, 0.1), last, asked(expect))
    assert verdict.ready is ready
    assert verdict.reason is (Reason.ANSWERED if ready else Reason.WRONG_ANSWER)
    assert "POST /predict" in verdict.message


def test_a_wrong_answer_is_shown_in_short_and_its_cause_first() -> None:
    assert judge(Answer(500, b"oops", 0.1, "app.py:3: KeyError: 'x'"), PROVED, asked()).message.endswith(
        "answered 500, expected a 2xx status: app.py:3: KeyError: 'x'"
    )
    long = judge(Answer(200, b"la\n" * 1000, 0.1), PROVED, asked(Expect(contains="Paris"))).message
    assert len(long) < 250
    assert "\n" not in long
    assert judge(Answer(500, b"", 0.1), PROVED, asked()).message.endswith("an empty body")


@pytest.mark.parametrize("last", [STARTING, PROVED, WRONG])
@pytest.mark.parametrize(
    ("in_flight", "still", "reason"),
    [
        (0, 0.0, Reason.NOT_ANSWERING),
        (1, 0.0, Reason.BUSY),
        (1, 300.0, Reason.BUSY),
        (1, 301.0, Reason.NOT_ANSWERING),
        (0, 301.0, Reason.NOT_ANSWERING),
    ],
)
def test_silence_is_busy_while_other_work_moves(last: Verdict, in_flight: int, still: float, reason: Reason) -> None:
    verdict = judge(Silence(30, in_flight, still), last, asked())
    assert verdict.reason is reason
    assert verdict.ready is (reason is Reason.BUSY and last.ready), "busy keeps the last proof and makes none"


@pytest.mark.parametrize(
    ("last", "now", "proved"),
    [
        (PROVED, Traffic(4, 1), True),
        (PROVED, Traffic(3, 1), False),
        (PROVED, Traffic(9, 2), False),
        (WRONG, Traffic(9, 1), False),
        (STARTING, Traffic(9, 1), False),
        (Verdict(True, Reason.BUSY, ""), Traffic(4, 1), True),
    ],
)
def test_traffic_upholds_a_proof_and_makes_none(last: Verdict, now: Traffic, proved: bool) -> None:
    assert proved_by_traffic(Traffic(3, 1), now, last, Expect()) is proved
    assert not proved_by_traffic(Traffic(3, 1), now, last, Expect(contains="x")), "users' answers are not read"


@pytest.mark.parametrize(
    ("told", "now", "seconds", "again"),
    [
        (WRONG, replace(WRONG, reason=Reason.NOT_ANSWERING), 0.0, True),
        (PROVED, replace(PROVED, ready=False), 0.0, True),
        (WRONG, WRONG, 19.0, False),
        (WRONG, WRONG, 20.0, True),
        (WRONG, replace(WRONG, message="for 6 s"), 4.0, False),
        (WRONG, replace(WRONG, message="for 6 s"), 5.0, True),
        (PROVED, replace(PROVED, message="in 0.2 s"), 3600.0, False),
    ],
)
def test_what_is_told_again(told: Verdict, now: Verdict, seconds: float, again: bool) -> None:
    assert worth_telling(told, now, seconds) is again


def test_other_routes_do_not_keep_a_proof_for_ever() -> None:
    moving = Silence(1.0, in_flight=3, still=0.1, unproved=asked().patience + 1)
    verdict = judge(moving, PROVED, asked())
    assert (verdict.ready, verdict.reason) == (False, Reason.NOT_ANSWERING)
    assert "the last proof is" in verdict.message


def test_an_answer_that_breaks_off_is_no_proof() -> None:
    verdict = judge(Answer(200, b"half", 0.1, "RuntimeError: the model died"), PROVED, asked())
    assert (verdict.ready, verdict.reason) == (False, Reason.WRONG_ANSWER)
    assert verdict.message.endswith("answered 200 and then failed: RuntimeError: the model died")

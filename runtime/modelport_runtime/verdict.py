"""Decides from what was seen whether the application is ready, and why. Pure: no clock, no I/O, no state.

The rules in one place:

- ready only after the user's question was answered as expected (without a question: once the application started);
- silence while other work is in flight is Busy, not dead: the last proof is kept, as long as anything moves, and for no
  longer than the loop may be blocked (some other route may move for ever);
- answers to real requests on the question's own route count as proof, but only while the proof holds, no request
  failed, and nothing is expected of an answer's body: what was found wrong is put right by the question alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelport_runtime.settings import Expect, Settings

EXCERPT = 160
AGAIN, NEWS = 20.0, 5.0  # seconds after which a pod that is not ready says so again; with other words, sooner


class Reason(StrEnum):
    STARTING = "Starting"
    ANSWERED = "Answered"
    HTTP_ONLY = "HttpOnly"
    DISABLED = "Disabled"
    BUSY = "Busy"
    NOT_ANSWERING = "NotAnswering"
    WRONG_ANSWER = "WrongAnswer"
    DRAINING = "Draining"


CONCLUSIVE = frozenset({Reason.ANSWERED, Reason.HTTP_ONLY, Reason.DISABLED, Reason.WRONG_ANSWER})
"""A start ends with one of these: the first answer, right or wrong. A wrong one is not mended by another start."""


@dataclass(frozen=True)
class Verdict:
    ready: bool
    reason: Reason
    message: str


@dataclass(frozen=True)
class Answer:
    """What the application answered; `error` is the exception behind it, where it raised one."""

    status: int
    body: bytes
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Silence:
    """No answer within `seconds`; `in_flight` other requests were being worked on, the last sign of life was
    `still` seconds ago, and the last proof `unproved` seconds ago."""

    seconds: float
    in_flight: int
    still: float
    unproved: float = 0.0


@dataclass(frozen=True)
class Traffic:
    """Totals of real requests: on the question's route answered as expected, and failed with a 5xx anywhere."""

    proofs: int = 0
    failures: int = 0


STARTING = Verdict(False, Reason.STARTING, "the application is being imported and started")
DRAINING = Verdict(
    False, Reason.DRAINING, "the pod is going away: requests in flight are finished, new ones go elsewhere"
)


def when_started(settings: Settings) -> Verdict:
    """The application's lifespan started: ready at once only where nobody asked for more."""
    if settings.disabled:
        return Verdict(True, Reason.DISABLED, "the check is disabled: the application started, the model was not asked")
    if settings.request is None:
        return Verdict(
            True,
            Reason.HTTP_ONLY,
            "HTTP only: the application started, the model was not asked; set check.request to prove that it answers",
        )
    return Verdict(False, Reason.STARTING, f"the application started; {settings.request} was not answered yet")


def judge(outcome: Answer | Silence, last: Verdict, settings: Settings) -> Verdict:
    if isinstance(outcome, Silence):
        return _judge_silence(outcome, last, settings)
    wrong = _what_is_wrong(outcome, settings.expect)
    if wrong is None:
        return Verdict(
            True, Reason.ANSWERED, f"{settings.request} answered {outcome.status} in {outcome.seconds:.2f} s"
        )
    return Verdict(False, Reason.WRONG_ANSWER, f"{settings.request} {wrong}")


def proved_by_traffic(before: Traffic, now: Traffic, last: Verdict, expect: Expect) -> bool:
    silent = expect.contains is None  # bodies of users' answers are not looked at
    return silent and last.ready and now.proofs > before.proofs and now.failures == before.failures


def worth_telling(told: Verdict, now: Verdict, seconds: float) -> bool:
    """Whether the log should say it, `seconds` after it said `told`. Who looks for the reason reads only the end of the log,
    so it is repeated while the pod is not ready: the application writes there, too."""
    if (told.ready, told.reason) != (now.ready, now.reason):
        return True
    return not now.ready and seconds >= (AGAIN if told.message == now.message else NEWS)


def _judge_silence(silence: Silence, last: Verdict, settings: Settings) -> Verdict:
    asked = f"{settings.request} was not answered within {silence.seconds:g} s"
    if silence.in_flight and max(silence.still, silence.unproved) <= settings.patience:
        return Verdict(last.ready, Reason.BUSY, f"{asked}; {silence.in_flight} other requests are being worked on")
    if silence.in_flight:
        stuck = (
            f"{silence.in_flight} other requests made no progress for {silence.still:.0f} s"
            if silence.still > settings.patience
            else f"other requests are worked on, but the last proof is {silence.unproved:.0f} s old"
        )
        return Verdict(False, Reason.NOT_ANSWERING, f"{asked}; {stuck}")
    return Verdict(
        False, Reason.NOT_ANSWERING, f"{asked}, with nothing else to do: is the handler waiting for something?"
    )


def _what_is_wrong(answer: Answer, expect: Expect) -> str | None:
    if answer.error is not None and expect.accepts_status(answer.status):
        return f"answered {answer.status} and then failed: {answer.error}"
    if not expect.accepts_status(answer.status):
        wanted = "a 2xx status" if expect.status is None else str(expect.status)
        cause = answer.error or _excerpt(answer.body)
        return f"answered {answer.status}, expected {wanted}: {cause}"
    if expect.contains is not None and expect.contains not in answer.body.decode("utf-8", "replace"):
        return f"answered without {expect.contains!r}: {_excerpt(answer.body)}"
    return None


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: EXCERPT * 4].decode("utf-8", "replace").split())
    return (text[: EXCERPT - 1] + "…" if len(text) > EXCERPT else text) or "an empty body"

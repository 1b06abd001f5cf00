"""What the prover saw and what it concludes: the words that question, judge and loop share. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a pod is ready or not, as the operator reads it."""

    STARTING = "Starting"
    ANSWERED = "Answered"
    BUSY = "Busy"
    NOT_ANSWERING = "NotAnswering"
    WRONG_ANSWER = "WrongAnswer"
    MODEL_MISSING = "ModelMissing"
    UNAUTHORIZED = "Unauthorized"
    DRAINING = "Draining"
    DISABLED = "Disabled"


class Contact(StrEnum):
    """How far a request came."""

    ANSWERED = "answered"
    REFUSED = "refused"  # nobody listens
    SILENT = "silent"  # nothing within the time
    BROKEN = "broken"  # the connection ended, or what came is not HTTP
    PENDING = "pending"  # still waiting for the answer


@dataclass(frozen=True)
class Response:
    """A whole HTTP answer."""

    status: int
    body: bytes


@dataclass(frozen=True)
class ModelState:
    """One named model as the server lists it."""

    ready: bool
    state: str = ""
    message: str = ""


@dataclass(frozen=True)
class Listing:
    """What came of asking which models there are."""

    contact: Contact
    status: int = 0
    models: Mapping[str, ModelState] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of the question. `fault` says in words why an answer is not the expected one; empty when it is."""

    contact: Contact
    seconds: float
    status: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Work:
    """What else the server has to do. `others` leaves out our own question; `progress` only ever rises.

    `unseen` is how many seconds an answer takes of which the counts tell nothing until it is finished; 0 where they do.
    """

    others: float
    progress: float
    unseen: float = 0.0


@dataclass(frozen=True)
class Observation:
    """Everything seen in one interval. `answer` is None when nothing was asked, `work` when it is not known."""

    listing: Listing
    answer: Answer | None = None
    work: Work | None = None
    deaf: bool = False  # not even the metrics are answered
    traffic: bool = False  # others' requests have been answered since the last look


@dataclass(frozen=True)
class Terms:
    """What of the configuration a verdict depends on."""

    interval: float = 10.0
    asks: bool = True  # a question belongs to the proof
    disabled: bool = False
    has_key: bool = False


@dataclass(frozen=True)
class Verdict:
    """The conclusion, and what the next one needs to remember."""

    ready: bool = False
    reason: Reason = Reason.STARTING
    message: str = "the server does not listen yet"
    models: Mapping[str, ModelState] = field(default_factory=dict)
    proved: bool = False  # it has answered once since the server started
    usual: float = 0.0  # seconds the last right answer took
    progress: float | None = None  # the server's own count when last read
    stalled: int = 0  # intervals in a row with work in progress and nothing done

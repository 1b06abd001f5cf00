"""Observation in, verdict out: the whole of what "ready" means in a pod. Pure.

Busy is not dead: a question that is late while the server does other work keeps the last proof, for three
intervals without anything done at most. A server that is silent with nothing else to do is dead. Only a right
answer makes a pod ready; nothing else may. As long as the proof holds, right answers to others renew it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelport_agent.prove.model import Answer, Contact, ModelState, Observation, Reason, Terms, Verdict

STALL_LIMIT = 3
OVERLOADED = frozenset({429, 503})
AGAIN, NEWS = 20.0, 5.0  # seconds after which a pod that is not ready says so again; with other words, sooner


def judge(previous: Verdict, seen: Observation, terms: Terms) -> Verdict:
    """The verdict after one more observation."""
    working = at_work(previous, seen)
    known = remember(previous, seen)
    listing = seen.listing
    if seen.traffic and listing.contact == Contact.SILENT:
        return by_traffic(known)
    if listing.contact != Contact.ANSWERED:
        return unanswered(known, listing.contact, listing.message, working=working)
    if listing.status in (401, 403):
        return unauthorized(known, listing.status, terms)
    if not listing.models:
        return not_ready(known, Reason.NOT_ANSWERING, f"the server does not list its models: {listing.message}")
    known = replace(known, models=dict(listing.models))
    if missing := {name: state for name, state in listing.models.items() if not state.ready}:
        return incomplete(known, missing)
    if not terms.asks:
        return unasked(known, terms)
    if seen.traffic:
        return by_traffic(known)
    idle = seen.deaf or (seen.work is not None and previous.progress is not None and not working)
    return by_answer(known, seen, terms, working=working, idle=idle)


def at_work(previous: Verdict, seen: Observation) -> bool:
    """Whether the server does something for others than us."""
    if seen.work is None:
        return False
    return seen.work.others > 0 or (previous.progress is not None and seen.work.progress > previous.progress)


def remember(previous: Verdict, seen: Observation) -> Verdict:
    """The previous verdict with the server's own counts of this interval."""
    if seen.work is None:
        return previous
    stands = previous.progress is not None and seen.work.progress == previous.progress
    stalled = previous.stalled + 1 if seen.work.others > 0 and stands else 0
    return replace(previous, progress=seen.work.progress, stalled=stalled)


def by_answer(known: Verdict, seen: Observation, terms: Terms, *, working: bool, idle: bool) -> Verdict:
    """`idle` is more than not `working`: two looks at the server's own counts have shown it, or it is deaf."""
    answer = seen.answer
    if answer is None:
        return known
    if answer.contact == Contact.PENDING:
        return pending(known, answer, terms, working=working, idle=idle)
    if answer.contact != Contact.ANSWERED:
        return unanswered(known, answer.contact, answer.fault, working=working)
    if not answer.fault:
        text = f"the model answered in {answer.seconds:.2f} s"
        right = replace(known, ready=True, reason=Reason.ANSWERED, message=text, proved=True)
        return replace(right, usual=answer.seconds, progress=None, stalled=0)
    if answer.status in (401, 403):
        return unauthorized(known, answer.status, terms)
    if answer.status in OVERLOADED and working:
        return late(known, answer.fault)
    return not_ready(known, Reason.WRONG_ANSWER, answer.fault)


def by_traffic(known: Verdict) -> Verdict:
    """A proof that holds goes on holding; one that does not is put right by the question alone."""
    if not known.ready:
        return known
    text = "requests are being answered, so it is not asked itself"
    return replace(known, reason=Reason.ANSWERED, message=text, progress=None, stalled=0)


def pending(known: Verdict, answer: Answer, terms: Terms, *, working: bool, idle: bool) -> Verdict:
    """The answer is not there yet. A model that used to be quick and has nothing else to do is stuck."""
    if working:
        return late(known, f"the question waits for {answer.seconds:.0f} s")
    if known.ready and idle and answer.seconds >= terms.interval > 2 * known.usual:
        text = f"no answer for {answer.seconds:.0f} s with nothing else to do; the last one took {known.usual:.2f} s"
        return not_ready(known, Reason.NOT_ANSWERING, text)
    return known


def unanswered(known: Verdict, contact: Contact, text: str, *, working: bool) -> Verdict:
    """No answer to a request, in one of the ways that can happen."""
    if not known.proved:
        waiting = "the server does not listen yet" if contact == Contact.REFUSED else f"no answer yet: {text}"
        return not_ready(known, Reason.STARTING, waiting)
    if contact == Contact.REFUSED:
        return not_ready(known, Reason.NOT_ANSWERING, "the server no longer listens: it has ended or was killed")
    if contact == Contact.SILENT and working:
        return late(known, text)
    return not_ready(known, Reason.NOT_ANSWERING, text)


def late(known: Verdict, text: str) -> Verdict:
    """No answer while there is other work: the last proof is kept as long as the work goes on."""
    if known.stalled >= STALL_LIMIT:
        stuck = f"{text}; requests are in progress, but none has moved for {known.stalled} intervals"
        return not_ready(known, Reason.NOT_ANSWERING, stuck)
    if not known.ready:
        return not_ready(known, Reason.NOT_ANSWERING, f"{text}; the server has other work")
    return replace(known, reason=Reason.BUSY, message=f"{text}; the server has other work and its last proof is kept")


def incomplete(known: Verdict, missing: Mapping[str, ModelState]) -> Verdict:
    """Some named models are not there: on the way, or not to be had."""
    told = "; ".join(f"{name}: {state.message or state.state or 'not listed'}" for name, state in missing.items())
    loading = all(state.state == "LOADING" for state in missing.values())
    if loading:
        return not_ready(known, Reason.STARTING, f"loading {', '.join(missing)}")
    return not_ready(known, Reason.MODEL_MISSING, told)


def unasked(known: Verdict, terms: Terms) -> Verdict:
    """Nothing to ask: what the server says of its models has to do."""
    reason = Reason.DISABLED if terms.disabled else Reason.ANSWERED
    text = "the server lists every model as ready; " + (
        "asking is disabled" if terms.disabled else "no request is given"
    )
    return replace(known, ready=True, reason=reason, message=text, proved=True, stalled=0)


def unauthorized(known: Verdict, status: int, terms: Terms) -> Verdict:
    text = (
        f"the server refuses the mounted key ({status}); is it the one it was started with?"
        if terms.has_key
        else f"the server wants a key ({status}) and none is given; set vllm.apiKey rather than an argument"
    )
    return not_ready(known, Reason.UNAUTHORIZED, text)


def not_ready(known: Verdict, reason: Reason, message: str) -> Verdict:
    return replace(known, ready=False, reason=reason, message=message)


def worth_telling(told: Verdict, now: Verdict, seconds: float) -> bool:
    """Whether the log should say it, `seconds` after it said `told`. The operator reads the end of the log from time to time:
    it is to find the reason there as it is now, and not a line for every second that a message counts."""
    if (told.ready, told.reason) != (now.ready, now.reason):
        return True
    return not now.ready and seconds >= (AGAIN if told.message == now.message else NEWS)

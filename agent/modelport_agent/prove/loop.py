"""Asks, again and again, and keeps the verdict: every second until the model has answered, then at the interval, unless
others' requests have been answered meanwhile.

Between two questions it holds an idle connection to the server, so that a server that ends is noticed at once. It
must never have more than one question in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from modelport_agent.config import ProveConfig, Request
from modelport_agent.prove import client
from modelport_agent.prove.client import NoAnswerError
from modelport_agent.prove.judge import judge, worth_telling
from modelport_agent.prove.listing import list_models
from modelport_agent.prove.model import (
    Answer,
    Contact,
    Listing,
    Observation,
    Reason,
    Response,
    Terms,
    Verdict,
    Work,
)
from modelport_agent.prove.question import fault, question
from modelport_agent.prove.traffic import Counts, asked_of, counts, proves
from modelport_agent.prove.work import work

UNTIL_READY = 1.0
METRICS_SECONDS = 5.0
RECONNECT = 0.5
STOPS_WITHIN = 30.0
TRITON_METRICS_PORT = 8002


class Prover:
    """The verdict on one server, kept up to date by `run`."""

    def __init__(self, config: ProveConfig) -> None:
        self.config = config
        self.question = question(config)
        self.terms = Terms(
            interval=config.interval,
            asks=self.question is not None,
            disabled=config.disabled,
            has_key=config.api_key_file is not None,
        )
        self.verdict = self.told = Verdict()
        self.since = self.told_at = time.monotonic()
        self.usual = 0.0  # seconds of an answer, remembered for the drain
        self.questions: Counter[str] = Counter()
        self.asked = asked_of(config, self.question)
        self.counted: Counts | None = None  # after our last answer, or in the last round
        self.proofs = 0  # by traffic
        self.tried: str | None = None
        self.accepted: str | None = None
        self.draining = asyncio.Event()
        self.in_flight: asyncio.Task[Response] | None = None
        host = config.server.removeprefix("http://").rpartition(":")[0]
        triton = config.runtime == "triton"
        self.metrics_url = f"http://{host}:{TRITON_METRICS_PORT}" if triton else config.server

    async def run(self) -> None:
        while True:
            if self.draining.is_set():
                await self.until_gone()
            await self.round()
            await self.pause(self.config.interval if self.verdict.ready else UNTIL_READY)

    async def round(self) -> None:
        """One look at the models, and one question where the look was good and nobody else's answers are proof."""
        listing = await list_models(self.config, self.look)
        complete = listing.models and all(state.ready for state in listing.models.values())
        if await self.traffic():
            self.conclude(Observation(listing, traffic=True))
            self.proofs += self.verdict.reason == Reason.ANSWERED
        elif listing.contact == Contact.SILENT and self.verdict.ready:
            seen, deaf = await self.work()
            self.conclude(Observation(listing, work=seen, deaf=deaf))
        elif self.question is None or not complete:
            self.conclude(Observation(listing))
        elif not self.draining.is_set():
            await self.put(self.question, listing)

    async def put(self, request: Request, listing: Listing) -> None:
        """Put the question; while the answer is awaited, look whether the server has other work.

        The first look, after half an interval, is what later ones are compared with.
        """
        began, timeout, self.counted = time.monotonic(), self.config.timeout, None
        task = asyncio.create_task(client.ask(self.config.server, request, timeout + METRICS_SECONDS, self.key()))
        self.in_flight = task
        half = self.config.interval / 2
        try:
            for pause in chain((half, half), repeat(self.config.interval)):
                left = timeout - (time.monotonic() - began)
                done, _ = await asyncio.wait({task}, timeout=min(pause, max(left, 0.0)))
                seconds = time.monotonic() - began
                if done:
                    break
                seen, deaf = await self.work(own=1)
                over = seconds >= timeout
                text = f"the question had no answer within {timeout:g} s" if over else ""
                answer = Answer(Contact.SILENT if over else Contact.PENDING, seconds, fault=text)
                self.conclude(Observation(listing, answer, seen, deaf))
                if over:
                    self.questions["silent"] += 1
                    return
        finally:
            task.cancel()
        if not task.cancelled():
            await self.take(task, seconds, listing)

    async def take(self, task: asyncio.Task[Response], seconds: float, listing: Listing) -> None:
        """Conclude from the answer that came, or from how the request ended."""
        try:
            response = task.result()
        except NoAnswerError as error:
            self.questions[error.contact] += 1
            return self.conclude(Observation(listing, Answer(error.contact, seconds, fault=str(error))))
        wrong = fault(self.config, response)
        self.counted = await self.counts()  # our own answer is in it
        self.questions["wrong" if wrong else "right"] += 1
        seen, deaf = await self.work() if wrong else (None, False)
        answer = Answer(Contact.ANSWERED, seconds, response.status, wrong)
        return self.conclude(Observation(listing, answer, seen, deaf))

    def conclude(self, seen: Observation) -> None:
        """Take the new verdict, and tell when it is another one."""
        old, new = self.verdict, judge(self.verdict, seen, self.terms)
        if self.draining.is_set():
            return
        self.verdict = new
        if new.reason == Reason.UNAUTHORIZED:
            self.accepted = None
        elif new.reason == Reason.ANSWERED:
            self.accepted = self.tried
        if (old.ready, old.reason) != (new.ready, new.reason):
            self.since = time.monotonic()
        self.tell()

    def tell(self) -> None:
        """Say the verdict where the operator reads it, unless it has been said."""
        now, new = time.monotonic(), self.verdict
        if worth_telling(self.told, new, now - self.told_at):
            self.told, self.told_at = new, now
            print(f"prove: {'ready' if new.ready else 'not ready'}: {new.reason}: {new.message}", flush=True)

    async def look(self, request: Request) -> Response:
        """A request that a living server answers at once."""
        deadline = min(self.config.timeout, self.config.interval)
        return await client.ask(self.config.server, request, deadline, self.key())

    async def work(self, own: int = 0) -> tuple[Work | None, bool]:
        """What the server has to do, and whether it is deaf even to that question."""
        try:
            return work(self.config.runtime, await self.metrics(), own), False
        except NoAnswerError as error:
            return None, error.contact != Contact.REFUSED

    async def traffic(self) -> bool:
        """Whether others' requests have renewed the proof since our last answer, or since they did so last."""
        if self.counted is None or not self.verdict.ready:
            return False
        before, self.counted = self.counted, await self.counts()
        return proves(before, self.counted)

    async def counts(self) -> Counts | None:
        """What the server has answered until now."""
        try:
            return counts(self.config.runtime, await self.metrics(), self.asked) if self.asked is not None else None
        except NoAnswerError:
            return None

    async def metrics(self) -> str:
        """The server's own, as text."""
        deadline = min(METRICS_SECONDS, self.config.interval)
        response = await client.ask(self.metrics_url, client.get("/metrics"), deadline)
        return response.body.decode(errors="replace")

    async def remaining(self) -> Work | None:
        """What a drain has to wait for; a server that is gone has nothing left to do."""
        seen, _ = await self.work()
        if seen is not None:
            return replace(seen, unseen=max(seen.unseen, self.usual)) if self.config.runtime == "triton" else seen
        try:
            await self.look(client.get("/"))
        except NoAnswerError as error:
            return Work(0.0, 0.0) if error.contact == Contact.REFUSED else None
        return None

    def key(self) -> str | None:
        """The key that the server has taken before, else the mounted one as it is now: a Secret may change while pods run,
        and the server keeps the key that it was started with."""
        if self.config.api_key_file is None:
            return None
        if self.accepted is None:
            try:
                self.tried = Path(self.config.api_key_file).read_text().strip() or None
            except OSError:
                self.tried = None
        return self.accepted or self.tried

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than the server lives and no drain begins."""
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(self.draining.wait())}
        if self.verdict.ready:
            waits.add(asyncio.create_task(connected(self.config.server)))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def start_draining(self) -> None:
        """Not ready from now on; nothing is asked any more."""
        if not self.draining.is_set():
            self.since = time.monotonic()
            self.usual = self.verdict.usual
            self.verdict = Verdict(
                reason=Reason.DRAINING, message="the server is about to stop", models=self.verdict.models
            )
            self.tell()
            self.draining.set()
            if self.in_flight is not None:
                self.in_flight.cancel()

    async def until_gone(self) -> None:
        """After a drain the server stops, and where only its container restarts, this sidecar begins anew.

        One that was drained and did not stop was not meant to: after a while it is asked again.
        """
        limit = time.monotonic() + self.config.drain.deadline + STOPS_WITHIN
        while time.monotonic() < limit:
            try:
                await self.look(client.get("/"))
            except NoAnswerError as error:
                if error.contact == Contact.REFUSED:
                    break
            await asyncio.sleep(RECONNECT)
        self.verdict, self.since = Verdict(), time.monotonic()
        self.draining.clear()


async def connected(server: str) -> None:
    """Returns when nobody listens any more. A server may close an idle connection; then a new one is tried."""
    host, _, port = server.removeprefix("http://").rpartition(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return
        try:
            await reader.read(1)
        except OSError:
            pass
        finally:
            writer.close()
        await asyncio.sleep(RECONNECT)

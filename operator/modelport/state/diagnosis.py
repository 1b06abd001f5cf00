"""Why pods are not ready: the first entry of the catalogue that matches what is known about them.

Pure. It must never show a raw log line or message: only what an entry captures, redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from modelport.api.names import CONTAINER_AGENT, CONTAINER_SERVER, Reason
from modelport.state.catalogue import Entry, Explanation, Source, Symptom, entries, last_words
from modelport.state.observed import ContainerFacts, EvidenceKey, Observed
from modelport.state.preflight import passed
from modelport.state.rollout import Pod, Rollout, rollout

_PREFIX = re.compile(
    r"^(?:(?:\x1b\[[0-9;]*m)*\([^)\n]*pid=\d+\)\s?)*(?:\x1b\[[0-9;]*m)*"
    r"(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d[\d-]* [\d:.,]+ (?:\[[^\]]*\] ?)?)?",
    re.MULTILINE,
)
"""What vLLM puts before a line: its process, then level, time and place."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PROOF = re.compile(r"^(?:\w+: +)?prove: (?P<not>not )?ready: (?P<verdict>.+)$", re.MULTILINE)
"""What agent and FastAPI runtime log when they come to another verdict about the model."""
_EXPLAINED = re.compile(r"^(?:fetch|app): [A-Za-z]+: ")
"""A termination message that our own programs wrote: no log can say more."""
_REST = re.compile(r"\. (?:preemption|no new claims|still not schedulable)|\.\Z")
"""What the scheduler adds to the reasons."""
_LONGEST_LINE = 4096
_MOUNTING = frozenset({"ContainerCreating", "PodInitializing"})
AT_ONCE = 20.0
"""Seconds within which a step that failed fails again. As long as it may, the status stays with what is known."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause, and what to do about it."""

    cause: str
    """The entry of the catalogue."""
    reason: Reason
    terminal: bool
    wrong: str
    """What is wrong."""
    advice: str
    """What the user can do."""
    words: str
    """What says so: the line of a message or a log, redacted."""
    container: str = ""
    pod: str = ""

    @property
    def message(self) -> str:
        """One sentence for the status."""
        return f"{self.wrong}; {self.advice}"


def diagnose(observed: Observed, spec_hash: str | None) -> Diagnosis | None:
    """The cause that keeps pods of the template with that spec hash from being ready, the youngest pod's first; None where
    nothing is wrong or nothing is known."""
    view = rollout(observed, spec_hash)
    for pod, symptoms in _symptoms(observed, view):
        for entry in entries():
            for symptom in symptoms:
                found = _explained(entry, symptom)
                if found is not None:
                    cause, told = found
                    place = {"pod": pod, "container": symptom.facts.get("container", "")}
                    return Diagnosis(
                        cause.id, cause.reason, cause.terminal, told.wrong, told.advice, told.words, **place
                    )
    return None


def _explained(entry: Entry, symptom: Symptom) -> tuple[Entry, Explanation] | None:
    """Of a log, all entries that know it are asked when the first one's turn comes."""
    if symptom.source is Source.LOG and Source.LOG in entry.sources and not entry.fallback:
        last = last_words(symptom.text)
        return None if last is None else (last[0], last[0].told(last[1], symptom))
    told = entry.explain(symptom)
    return None if told is None else (entry, told)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What would explain more: the log of one run of a container, or with no container the pod's failures to mount."""

    pod: str
    uid: str
    container: str
    run: int
    previous: bool = False
    """The run has been followed by another one."""
    goes_on: bool = True
    """More may come: it is worth another look after a while."""

    @property
    def key(self) -> EvidenceKey:
        return (self.uid, self.container, self.run)


def evidence_wanted(observed: Observed) -> Wanted | None:
    """At most one, of the youngest pod that fails, as pods of the same template fail alike."""
    view = rollout(observed, None)
    for pod in (*view.pods, *(trial for trial in view.trials if not passed(trial))):
        if not pod.facts.ready and (found := _wanted(pod, observed.now)) is not None:
            return found
    return None


def _wanted(pod: Pod, now: datetime) -> Wanted | None:
    for container in pod.facts.containers:
        run = _run(pod, container, now)
        if run is not None:
            present = run == container.restarts
            return Wanted(pod.name, pod.uid, container.name, run, not present, present and container.running)
    return Wanted(pod.name, pod.uid, "", 0) if _mounting(pod) else None


def _mounting(pod: Pod) -> bool:
    """Whether its node has not got as far as the first container, for no reason that the pod's status tells."""
    return bool(pod.facts.containers) and all(
        not container.running and container.exit_code is None and container.waiting_reason in _MOUNTING
        for container in pod.facts.containers
    )


def changes_in(observed: Observed) -> float | None:
    """Seconds until time alone changes the diagnosis: a step that failed, and was begun anew, then counts as going well."""
    ages = [
        _age(container, observed.now)
        for pod in rollout(observed, None).pods
        for container in pod.facts.containers
        if container.init and failed(container, observed.now)
    ]
    return min((AT_ONCE - age for age in ages if age is not None), default=None)


def _symptoms(observed: Observed, view: Rollout) -> Iterator[tuple[str, list[Symptom]]]:
    """What is known about each of them, by name, first about those that try a revision; last, why there is no pod. Pods of older
    templates are on their way out."""
    for trial in view.trials:
        if trial.current and not passed(trial):
            yield trial.name, list(_of_pod(trial, observed))
    for pod in view.pods:
        if pod.current and not pod.facts.ready:
            yield pod.name, list(_of_pod(pod, observed))
    if not any(pod.current for pod in view.pods):
        for pod in view.ended:
            if pod.current:
                yield pod.name, [Symptom(Source.POD, pod.facts.rejected or "", {})]
    if view.facts is not None and view.facts.replica_failure is not None:
        yield "", [Symptom(Source.REPLICAS, view.facts.replica_failure, {})]


def _of_pod(pod: Pod, observed: Observed) -> Iterator[Symptom]:
    if pod.facts.unschedulable is not None:
        yield Symptom(Source.UNSCHEDULABLE, _REST.split(pod.facts.unschedulable)[0], {})
    if failures := observed.evidence.get((pod.uid, "", 0)):
        yield Symptom(Source.MOUNT, failures, {})
    for container in pod.facts.containers:
        yield from _of_container(pod, container, observed)


def _of_container(pod: Pod, container: ContainerFacts, observed: Observed) -> Iterator[Symptom]:
    facts = {
        "container": container.name,
        "image": container.image or "",
        "limit": f"its memory limit of {container.memory_limit}" if container.memory_limit else "the node could give",
        "exit_code": str(container.exit_code),
    }
    if container.waiting_reason is not None:
        yield Symptom(Source.WAITING, container.waiting_message or "", facts, container.waiting_reason)
    run = _run(pod, container, observed.now)
    log = observed.evidence.get((pod.uid, container.name, run), "") if run is not None else ""
    if failed(container, observed.now):
        yield Symptom(Source.TERMINATED, container.terminated_message or "", facts, container.terminated_reason or "")
        if container.exit_code:
            yield Symptom(Source.LOG, _plain(log), facts)
    if (verdict := _doubt(log)) is not None:
        yield Symptom(Source.PROOF, verdict, facts)


def failed(container: ContainerFacts, now: datetime) -> bool:
    """Whether its last run ended badly (a server should not end at all), and the present one has not got further yet."""
    if container.exit_code is None or container.ready or (container.init and container.exit_code == 0):
        return False
    if not container.running:
        return True
    age = _age(container, now)
    return age is not None and age < AT_ONCE if container.init else not container.started


def _age(container: ContainerFacts, now: datetime) -> float | None:
    """Seconds since its present run began, None where it does not run."""
    if not container.running or container.running_since is None:
        return None
    return max(0.0, (now - datetime.fromisoformat(container.running_since)).total_seconds())


def _run(pod: Pod, container: ContainerFacts, now: datetime) -> int | None:
    """The number of the run whose log is worth reading, counted from 0; the same while the failure is the same."""
    if failed(container, now):
        explained = container.terminated_reason == "OOMKilled" or _EXPLAINED.match(container.terminated_message or "")
        return None if explained else container.restarts - container.running
    return container.restarts if container.running and container.name == _prover(pod) else None


def _prover(pod: Pod) -> str | None:
    """The container that knows why a server which has started is not ready."""
    names = {container.name for container in pod.facts.containers}
    up = any(c.name == CONTAINER_SERVER and c.running and c.started for c in pod.facts.containers)
    if not up:
        return None
    return CONTAINER_AGENT if CONTAINER_AGENT in names else CONTAINER_SERVER


def _doubt(log: str) -> str | None:
    """The last verdict about the model in a log, unless it was a good one."""
    verdicts = list(_PROOF.finditer(log))
    return verdicts[-1]["verdict"] if verdicts and verdicts[-1]["not"] else None


def _plain(log: str) -> str:
    """Without colours and vLLM's prefixes, no line longer than people write them: what is looked for in it takes time."""
    return "\n".join(line[:_LONGEST_LINE] for line in _PREFIX.sub("", _ANSI.sub("", log)).split("\n"))

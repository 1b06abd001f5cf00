"""From what is known about a pod to the sentence that a user reads."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.state.catalogue import entries, last_words
from modelport.state.diagnosis import AT_ONCE, Diagnosis, Wanted, changes_in, diagnose, evidence_wanted
from modelport.state.observed import ContainerFacts, Observed
from modelport.state.redact import HIDDEN, redact, sentence
from modelport.state.status import summarise

from .failing import CREATING, VLLM, ended, shown
from .world import (
    AGENT,
    DESIRED,
    LOADING,
    NOW,
    OLD_SET,
    STARTED,
    container,
    counts,
    observe,
    pod,
    resource,
    told,
    words,
)


def server(**changes: Any) -> tuple[ContainerFacts, ...]:
    return (AGENT, container(**changes))


def diagnosed(*containers: ContainerFacts, **changes: Any) -> Diagnosis | None:
    return diagnose(observe(counts(0), (pod(*containers, **changes),)), DESIRED.spec_hash)


def crashed(log: str, *containers: ContainerFacts) -> Observed:
    """A server that exited with 1, and its log."""
    observed = observe(counts(0), (pod(*(containers or (AGENT, ended()))),))
    return shown(observed, log)


def test_a_server_that_starts_again_after_a_crash_is_still_explained() -> None:
    found = diagnosed(AGENT, container(running=True, restarts=1, exit_code=3, terminated_reason="Error"))
    assert found is not None
    assert found.cause == "crash"


HEALTHY: dict[str, Diagnosis | None] = {
    "loading": diagnosed(*LOADING),
    "started again, and past its start": diagnosed(*STARTED[:-1], replace(STARTED[-1], exit_code=1, restarts=1)),
    "ready after a crash": diagnosed(*STARTED[:-1], replace(STARTED[-1], exit_code=1, restarts=1), ready=True),
    "creating containers": diagnosed(*server(waiting_reason="ContainerCreating")),
    "of an old template": diagnosed(AGENT, ended(), spec_hash="old", owner=OLD_SET),
}


@pytest.mark.parametrize("what", HEALTHY)
def test_nothing_is_wrong_with_a_pod_that_is(what: str) -> None:
    assert HEALTHY[what] is None


@pytest.mark.parametrize(
    "log",
    ["", "prove: not ready: WrongAnswer: x\nprove: ready: Answered: y\n", "prove: not ready: Starting: loading det\n"],
)
def test_a_last_verdict_that_is_good_or_about_the_start_is_no_cause(log: str) -> None:
    observed = observe(counts(0), (pod(*STARTED),))
    assert diagnose(shown(observed, log), DESIRED.spec_hash) is None


def test_a_runtime_that_proves_itself_is_read_itself() -> None:
    alone = observe(counts(0), (pod(container(running=True, started=True)),))
    assert evidence_wanted(alone) == Wanted("pod-1", "uid-pod-1", "server", 0)


def test_what_is_read_is_where_the_cause_can_be_told() -> None:
    assert evidence_wanted(observe(counts(0), (pod(*STARTED),))) == Wanted("pod-1", "uid-pod-1", "agent", 0)
    assert evidence_wanted(observe(counts(0), (pod(*CREATING),))) == Wanted("pod-1", "uid-pod-1", "", 0)


def test_a_pod_that_its_node_rejects_is_explained_while_no_other_is_there() -> None:
    why = "UnexpectedAdmissionError: Allocate failed due to requested number of devices unavailable for nvidia.com/gpu."
    rejected = pod(AGENT, container(), phase="Failed", rejected=why)
    found = diagnose(observe(counts(0), (rejected,)), DESIRED.spec_hash)
    assert found is not None
    assert found.message.startswith("the node rejected the pod: UnexpectedAdmissionError: Allocate failed due to")
    assert found.message.endswith(
        "nvidia.com/gpu; see whether the node has what the pod asks for, and its device plugin runs"
    )
    successor = pod(*LOADING, name="pod-2")
    assert diagnose(observe(counts(0), (rejected, successor)), DESIRED.spec_hash) is None
    evicted = diagnose(
        observe(counts(0), (pod(phase="Failed", rejected="Evicted: The node was low on memory. "),)), DESIRED.spec_hash
    )
    assert evicted is not None
    assert evicted.message.startswith("the node put the pod out: The node was low on memory; give the node more")


def fetching_again(seconds: float) -> Observed:
    """The container that fetches failed, and has been running again for so long."""
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    again = container(
        "fetch", running=True, started=True, running_since=since, restarts=1, exit_code=1,
        terminated_reason="Error", terminated_message="fetch: NotFound: hf://a/b",
    )  # fmt: skip
    return observe(counts(0), (pod(AGENT, again),))


def test_a_step_that_is_tried_again_stays_failed_until_it_gets_further() -> None:
    soon, later = fetching_again(3), fetching_again(AT_ONCE + 1)
    assert summarise(soon, DESIRED)["phase"] == "FetchFailed"
    assert changes_in(soon) == AT_ONCE - 3
    assert told(later)["phase"] == "Fetching"
    assert changes_in(later) is None


def test_one_log_is_read_per_failure() -> None:
    running = observe(counts(0), (pod(AGENT, container(running=True, restarts=3, exit_code=1)),))
    waiting = observe(counts(0), (pod(AGENT, ended(restarts=2)),))
    before, present = evidence_wanted(running), evidence_wanted(waiting)
    assert before == Wanted("pod-1", "uid-pod-1", "server", 2, previous=True, goes_on=False)
    assert present == replace(before, previous=False)
    two = observe(counts(0), (pod(AGENT, ended(), name="pod-1"), pod(AGENT, ended(), name="pod-2")))
    assert evidence_wanted(two) is not None


@pytest.mark.parametrize(
    "containers",
    [
        LOADING,
        (AGENT, ended("fetch: NotFound: x", container="fetch")),
        (AGENT, ended("app: IMPORT: x")),
        (AGENT, ended(reason="OOMKilled")),
    ],
)
def test_no_log_is_read_that_explains_nothing_more(containers: tuple[ContainerFacts, ...]) -> None:
    assert evidence_wanted(observe(counts(0), (pod(*containers),))) is None


def test_terminal_causes_stall_and_others_wait() -> None:
    typo = observe(counts(0), (pod(AGENT, ended("fetch: NotFound: hf://a/b", container="fetch")),))
    assert words(told(typo)) == {
        "Ready": "False FetchFailed",
        "Available": "False FetchFailed",
        "Stalled": "True FetchFailed",
    }
    assert words(told(observe(counts(0), (pod(AGENT, ended(code=137)),))))["Reconciling"] == "True Crashed"


def test_after_the_deadline_the_cause_is_told() -> None:
    status = told(observe(counts(0, deadline_exceeded=True), (pod(AGENT, ended(code=137)),)))
    assert words(status)["Stalled"] == "True DeadlineExceeded"
    assert "container server was killed from outside" in status["message"]


def test_numbers_that_change_with_each_restart_are_no_news() -> None:
    def after(restarts: int, gib: str) -> Observed:
        log = VLLM["engine"].format(f"ValueError: Free memory on device ({gib}/80 GiB) is less than desired x.")
        return crashed(log, AGENT, ended(restarts=restarts))

    first = told(after(0, "3.11"))
    second = after(1, "3.12")
    assert told(replace(second, resource=resource(1, first))) == first


def test_every_entry_can_be_written() -> None:
    for entry in entries():
        names = {"container", "image", "limit", "exit_code", *entry.pattern.groupindex, *entry.computed}
        text = entry.message.format_map(dict.fromkeys(names, "x")) + entry.advice.format_map(dict.fromkeys(names, "x"))
        assert "{" not in text
        assert entry.advice or entry.id == "image-name"
    assert len({entry.id for entry in entries()}) == len(entries())


alphabet = st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
secret = st.text(alphabet, min_size=16, max_size=40)
SHAPES = (
    "hf_{}",
    "Authorization: Bearer {}",
    "https://user:{}@hub.example.com/model",
    "https://{}@hub.example.com/model",
    "https://s3.example.com/x?X-Amz-Signature={}&y=1",
    "https://s3.example.com/x?X-Amz-Credential={}&X-Amz-Date=1",
    "HF_TOKEN={}",
    "AWS_SECRET_ACCESS_KEY: '{}'",
    '{{"api_key": "{}"}}',
    "--api-key={}",
    "password={}",
)
plain = st.text(st.sampled_from("abc: /.\n'"), max_size=20)


@settings(deadline=None)
@given(secret=secret, shape=st.sampled_from(SHAPES), before=plain, after=plain)
def test_no_secret_passes(secret: str, shape: str, before: str, after: str) -> None:
    text = f"{before} {shape.format(secret)} {after}"
    assert secret not in redact(text)
    for line in (f"fetch: Network: {text}", f"ValueError: {text}"):
        found = diagnose(crashed(line.replace("\n", " ")), DESIRED.spec_hash)
        assert found is not None
        assert secret not in found.message


@given(st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), min_size=16, max_size=16))
def test_no_access_key_passes(key: str) -> None:
    assert f"AKIA{key}" not in redact(f"InvalidAccessKeyId: AKIA{key}.")


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
    assert len(sentence(text)) <= 300


def test_ordinary_words_are_kept() -> None:
    text = "hf://HuggingFaceTB/SmolLM2-135M-Instruct@main: the hub knows no such repository, https://example.com/a/b.onnx 404"
    assert redact(text) == text
    assert HIDDEN not in sentence("token limit of 8192 exceeded")


def seconds(log: str) -> float:
    """Of CPU time that a diagnosis takes of a log that it has not seen before."""
    last_words.cache_clear()
    observed = crashed(log)
    began = time.process_time()
    diagnose(observed, DESIRED.spec_hash)
    return time.process_time() - began


ORDINARY = "INFO 11-23 10:00:00 [utils.py:325] something happens here and there, for 0.3 s, with 17 of them\n" * 680
HOSTILE = (
    "f", "a-", "ey-", "a://", "x_token", "--key ", "NCCL error", "OSError: ", "OutOfMemoryError: ", "Error: ", "a.Error: x\n",
    "invalid tool call parser: ", "No space left on device", "Total number of attention heads (", "failed to load 'a': ",
    "ValidationError: 1 validation error for x\n", "unable to find ", "\n",
)  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_no_log_takes_much_longer_than_an_ordinary_one_of_its_size(part: str) -> None:
    """It is looked for in the loop that keeps the Lease."""
    seconds(ORDINARY)
    assert seconds(part * (len(ORDINARY) // len(part))) < 50 * max(seconds(ORDINARY), 0.005)


def test_a_number_beyond_all_measure_is_no_cause() -> None:
    log = f"ValueError: Total number of attention heads ({'9' * 5000}) must be divisible by tensor parallel size (4)."
    found = diagnose(crashed(log), DESIRED.spec_hash)
    assert found is not None
    assert found.cause == "exception"
    assert len(found.message) < 1000


def test_the_cause_that_stands_last_counts() -> None:
    """What is a warning, or is logged and mended, stands before it."""
    warned = "WARNING: OSError: [Errno 28] No space left on device\n"
    fatal = "torch.OutOfMemoryError: CUDA out of memory. Tried something.\n"
    for log, cause in ((warned + fatal, "gpu-out-of-memory"), (fatal + warned, "disk-full")):
        found = diagnose(crashed(log), DESIRED.spec_hash)
        assert found is not None
        assert found.cause == cause


def test_a_server_that_ended_well_has_not_crashed() -> None:
    found = diagnose(observe(counts(0), (pod(AGENT, ended("ConnectionResetError: x", code=0)),)), DESIRED.spec_hash)
    assert found is not None
    assert found.cause == "stopped"


def test_nothing_writes_into_the_terminal_of_who_reads_it() -> None:
    assert sentence("\x1b[2J\x1b]0;title\x07hi\u202e") == "[2J]0;titlehi"


def test_what_a_hint_takes_from_a_log_is_short_and_an_image_names_no_password() -> None:
    long = f"KeyError: 'invalid tool call parser: {'a' * 3000} (chose from {{ {'a' * 3001} }})'"
    found = diagnose(crashed(long), DESIRED.spec_hash)
    assert found is not None
    assert len(found.message) < 1000
    named = diagnosed(
        AGENT, container(waiting_reason="InvalidImageName", image="https://user:hunter2@reg.example.com/x")
    )
    assert named is not None
    assert "hunter2" not in named.message

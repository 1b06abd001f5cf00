"""From what is known about a pod to the sentence that a user reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.api.names import Reason
from modelport.state.catalogue import entries
from modelport.state.diagnosis import AT_ONCE, Diagnosis, Wanted, changes_in, diagnose, evidence_wanted
from modelport.state.observed import ContainerFacts, Observed
from modelport.state.redact import HIDDEN, redact, sentence
from modelport.state.status import summarise

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

LOGS = Path(__file__).parent / "logs"
IMAGE = "registry.example.com/server:1"


def server(**changes: Any) -> tuple[ContainerFacts, ...]:
    return (AGENT, container(**changes))


def ended(
    message: str | None = None, code: int = 1, reason: str = "Error", name: str = "server", **changes: Any
) -> tuple[ContainerFacts, ...]:
    backoff = {"waiting_reason": "CrashLoopBackOff", "waiting_message": "back-off 10s restarting failed container"}
    return (
        AGENT,
        container(name, terminated_reason=reason, exit_code=code, terminated_message=message, **{**backoff, **changes}),
    )


def diagnosed(*containers: ContainerFacts, **changes: Any) -> Diagnosis | None:
    return diagnose(observe(counts(0), (pod(*containers, **changes),)), DESIRED)


def crashed(log: str, *containers: ContainerFacts) -> Observed:
    """A server that exited with 1, and its log."""
    observed = observe(counts(0), (pod(*(containers or ended())),))
    return shown(observed, log)


def shown(observed: Observed, text: str) -> Observed:
    """With what the diagnosis asks for."""
    wanted = evidence_wanted(observed)
    assert wanted is not None
    return replace(observed, evidence={wanted.key: text})


PODS: dict[str, tuple[Diagnosis | None, Reason, str]] = {
    "an image that cannot be pulled": (
        diagnosed(*server(waiting_reason="ErrImagePull", waiting_message="not found")),
        Reason.IMAGE_PULL,
        f"image {IMAGE} of container server cannot be pulled; check its name and tag, and whether the node reaches the"
        " registry; a private one needs spec.imagePullSecrets",
    ),
    "an image that is waited for": (
        diagnosed(*server(waiting_reason="ImagePullBackOff", waiting_message="Back-off pulling image")),
        Reason.IMAGE_PULL,
        f"image {IMAGE} of container server cannot be pulled; check its name and tag, and whether the node reaches the"
        " registry; a private one needs spec.imagePullSecrets",
    ),
    "an image without a valid name": (
        diagnosed(*server(waiting_reason="InvalidImageName", waiting_message="x")),
        Reason.IMAGE_PULL,
        f"{IMAGE} is not the name of an image; correct spec.image",
    ),
    "an image that must not be pulled": (
        diagnosed(*server(waiting_reason="ErrImageNeverPull", waiting_message="x")),
        Reason.IMAGE_PULL,
        f"image {IMAGE} is not on the node, and the pod forbids to pull it; load it on the node, or remove"
        " imagePullPolicy Never from the podTemplate",
    ),
    "no GPU left": (
        diagnosed(unschedulable="0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: 2 No preemption victims found."),
        Reason.UNSCHEDULABLE,
        "none of 3 nodes takes the pod: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu; free or add what they"
        " lack, or compare the pod's node selectors, tolerations and volumes with the nodes",
    ),
    "no GPU left on any node": (
        diagnosed(unschedulable="0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: 2 Insufficient memory."),
        Reason.UNSCHEDULABLE,
        "no node has room for the pod: 2 of 2 nodes lack nvidia.com/gpu; free some or add a node, or ask for less in"
        " spec.resources or spec.gpu",
    ),
    "a driver that is older than the image's CUDA": (
        diagnosed(*ended("failed to create task: OCI runtime create failed: nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver", 128, "StartError")),
        Reason.CRASHED,
        f"the driver of the node's GPU is too old for image {IMAGE}: it has to satisfy cuda>=12.8; update the driver, or"
        " take an older image in spec.image",
    ),
    "a container that cannot be created": (
        diagnosed(*server(waiting_reason="CreateContainerError", waiting_message="no space left on device")),
        Reason.CRASHED,
        "container server cannot be set up: no space left on device; check image and podTemplate",
    ),
    "a taint nobody tolerates": (
        diagnosed(unschedulable="0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes are available."),
        Reason.UNSCHEDULABLE,
        "none of 1 nodes takes the pod: 1 node(s) had untolerated taint(s); free or add what they lack, or compare the pod's node selectors, tolerations"
        " and volumes with the nodes",
    ),
    "a claim that does not exist": (
        diagnosed(unschedulable='0/1 nodes are available: persistentvolumeclaim "weights" not found. preemption: 0/1 nodes are available'),
        Reason.MISSING_REFERENCE,
        "PersistentVolumeClaim weights does not exist; create it in this namespace, or correct the name in the spec",
    ),
    "a Secret that does not exist": (
        diagnosed(*server(waiting_reason="CreateContainerConfigError", waiting_message='secret "hf" not found')),
        Reason.MISSING_REFERENCE,
        "Secret hf, which container server refers to, does not exist; create it in this namespace, or correct the name"
        " in the spec",
    ),
    "a Secret without the key": (
        diagnosed(*server(waiting_reason="CreateContainerConfigError", waiting_message="couldn't find key token in Secret models/hf")),
        Reason.MISSING_REFERENCE,
        "Secret hf has no key token; add the key, or correct its name in the spec",
    ),
    "a server that needs more memory than its limit": (
        diagnosed(*ended(code=137, reason="OOMKilled", memory_limit="2Gi")),
        Reason.OUT_OF_MEMORY,
        "container server was killed: it needed more than its memory limit of 2Gi; raise spec.resources.limits.memory"
        " (of another container, in the podTemplate), or take a smaller model",
    ),
    "a model that is not there": (
        diagnosed(*ended("fetch: NotFound: hf://owner/repo@main: the hub knows no such repository\n", name="fetch"), container(waiting_reason="PodInitializing")),
        Reason.FETCH_FAILED,
        "the model was not found: hf://owner/repo@main: the hub knows no such repository; correct the URI; a private"
        " repository needs a token in spec.model.credentials",
    ),
    "an app that does not import": (
        diagnosed(*ended("app: IMPORT: app.py:3: ModuleNotFoundError: No module named 'x'\n")),
        Reason.CRASHED,
        "the application cannot be loaded: app.py:3: ModuleNotFoundError: No module named 'x'; correct the code or"
        " spec.fastapi.app",
    ),
    "a program that the image lacks": (
        diagnosed(*ended('failed to create containerd task: runc create failed: exec: "vllm": executable file not found in $PATH: unknown', code=128, reason="StartError")),
        Reason.CRASHED,
        f"image {IMAGE} has no program vllm that container server could start; take the image that belongs to the runtime,"
        " or set the command in the podTemplate",
    ),
    "a server that was killed": (
        diagnosed(*ended(code=137)),
        Reason.CRASHED,
        "container server was killed from outside (exit code 137); it is started again; if it goes on, look for a failed"
        " liveness probe and for memory pressure on the node",
    ),
    "a server that starts again after a crash": (
        diagnosed(AGENT, container(running=True, restarts=1, exit_code=3, terminated_reason="Error")),
        Reason.CRASHED,
        "container server ended with exit code 3; see its log: `kubectl logs --previous -c server` of the pod",
    ),
    "a server that was stopped because it was never ready": (
        diagnosed(AGENT, container(running=True, restarts=1, exit_code=0, terminated_reason="Completed")),
        Reason.CRASHED,
        "container server ended, or was stopped because it was not ready in time; see its log: `kubectl logs --previous"
        " -c server` of the pod; a larger model.size gives it more time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PODS)
def test_the_cause_and_what_to_do(what: str) -> None:
    found, reason, message = PODS[what]
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


HEALTHY: dict[str, Diagnosis | None] = {
    "loading": diagnosed(*LOADING),
    "started again, and past its start": diagnosed(*STARTED[:-1], replace(STARTED[-1], exit_code=1, restarts=1)),
    "ready after a crash": diagnosed(*STARTED[:-1], replace(STARTED[-1], exit_code=1, restarts=1), ready=True),
    "creating containers": diagnosed(*server(waiting_reason="ContainerCreating")),
    "of an old template": diagnosed(*ended(), spec_hash="old", owner=OLD_SET),
}


@pytest.mark.parametrize("what", HEALTHY)
def test_nothing_is_wrong_with_a_pod_that_is(what: str) -> None:
    assert HEALTHY[what] is None


VLLM_ROOT = """\
(APIServer pid=1) INFO 11-23 10:00:00 [utils.py:325] vLLM
(EngineCore_DP0 pid=77) ERROR 11-23 10:00:21 [core.py:866] EngineCore failed to start.
(EngineCore_DP0 pid=77) ERROR 11-23 10:00:21 [core.py:866] Traceback (most recent call last):
(EngineCore_DP0 pid=77) ERROR 11-23 10:00:21 [core.py:866]   File "/x/kv_cache_utils.py", line 1, in check
{line}
(EngineCore_DP0 pid=77) Process EngineCore_DP0:
(EngineCore_DP0 pid=77) Traceback (most recent call last):
(APIServer pid=1) Traceback (most recent call last):
(APIServer pid=1)   File "/x/core_client.py", line 9, in launch
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
CORE = "(EngineCore_DP0 pid=77) ERROR 11-23 10:00:21 [core.py:866] "

CRASHES: dict[str, tuple[str, Reason, str]] = {
    "a context longer than the KV cache": (
        VLLM_ROOT.format(line=CORE + "ValueError: To serve at least one request with the models's max seq len (8192), "
        "(0.19 GiB KV cache is needed, which is larger than the available KV cache memory (0.06 GiB)."),
        Reason.CRASHED,
        "To serve at least one request with the models's max seq len (8192), (0.19 GiB KV cache is needed, which is larger"
        " than the available KV cache memory (0.06 GiB); lower spec.vllm.maxModelLen",
    ),
    "memory that the engine wants and does not get": (
        VLLM_ROOT.format(line=CORE + "ValueError: Available memory on node 0 (15.51/17.46 GiB) on startup "
        "is less than desired CPU memory utilization (0.92, 16.06 GiB). Decrease --gpu-memory-utilization"),
        Reason.CRASHED,
        "Available memory on node 0 (15.51/17.46 GiB) on startup is less than desired CPU memory utilization (0.92, 16.06"
        " GiB); lower spec.vllm.gpuMemoryUtilization",
    ),
    "a GPU that is too small": (
        VLLM_ROOT.format(line=CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
        Reason.OUT_OF_MEMORY,
        "the GPU's memory does not suffice: CUDA out of memory; take more GPUs",
    ),
    "an error that the catalogue does not know": (
        VLLM_ROOT.format(line=CORE + "mypackage.StrangeError: something odd"),
        Reason.CRASHED,
        "container server crashed: mypackage.StrangeError: something odd; the whole log",
    ),
    "a configuration that pydantic refuses": (
        "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "(APIServer pid=1)   Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=8192)."
        " To allow [type=value_error, input_value=ArgsKwargs((), {'token': 'x'}), input_type=ArgsKwargs]\n",
        Reason.CRASHED,
        "User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=8192);"
        " lower spec.vllm.maxModelLen",
    ),
    "an argument that vLLM does not know": (
        "usage: vllm serve [model_tag] [options]\nvllm: error: unrecognized arguments: --nonsense\n",
        Reason.CRASHED,
        "vLLM refuses its arguments: unrecognized arguments: --nonsense; correct spec.vllm",
    ),
    "a question that the app did not answer in time": (
        "WARNING:     prove: not ready: NotAnswering: POST /predict was not answered within 30 s\n",
        Reason.NOT_ANSWERING,
        "the model does not answer: POST /predict was not answered within 30 s; give it more time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CRASHES)
def test_the_root_cause_is_read_from_the_log(what: str) -> None:
    log, reason, message = CRASHES[what]
    found = diagnose(crashed(log), DESIRED)
    assert found is not None
    assert found.reason == reason
    assert found.message.startswith(message)


REAL = {
    "vllm-context-too-long": "User-specified max_model_len (99999) is greater than the derived max_model_len"
    " (max_position_embeddings=8192.0 or model_max_length=None in model's config.json); lower spec.vllm.maxModelLen",
    "vllm-no-cache-blocks": "No available memory for the cache blocks; raise spec.vllm.gpuMemoryUtilization",
    "vllm-unknown-argument": "vLLM refuses its arguments: unrecognized arguments: --nonsense 1; correct spec.vllm",
    "vllm-no-such-folder": "container server crashed: huggingface_hub.errors.HFValidationError: Repo id must be in the form",
}


@pytest.mark.parametrize("name", REAL)
def test_logs_of_the_real_server_are_understood(name: str) -> None:
    """Written by vLLM 0.32.0 on a CPU, as they are but for the paths."""
    found = diagnose(crashed((LOGS / f"{name}.log").read_text()), DESIRED)
    assert found is not None
    assert found.message.startswith(REAL[name])


PROOFS = {
    "a model that Triton cannot load": (
        "prove: listening on 8003\nprove: not ready: ModelMissing: det: Internal: ValueError: no weights\n",
        Reason.MODEL_MISSING,
        "the server runs without its model: det: Internal: ValueError: no weights; correct the model's files",
    ),
    "an answer that is not the expected one": (
        "prove: not ready: Starting: x\nprove: not ready: WrongAnswer: POST /predict answered 500\n",
        Reason.WRONG_ANSWER,
        "the model does not answer as it should: POST /predict answered 500; correct the model, or what spec.check asks",
    ),
    "what a FastAPI runtime logs among the application's own words": (
        "INFO:     prove: ready: Answered: x\nINFO:  GET / 500\nWARNING:     prove: not ready: WrongAnswer: 500\nINFO:  GET /\n",
        Reason.WRONG_ANSWER,
        "the model does not answer as it should: 500; correct",
    ),
    "a key that the server refuses": (
        "prove: not ready: Unauthorized: the server refuses the mounted key (401)\n",
        Reason.WRONG_ANSWER,
        "the model cannot be asked: the server refuses the mounted key (401); name the Secret",
    ),
}


@pytest.mark.parametrize("what", PROOFS)
def test_why_a_running_server_is_not_ready_is_read_from_whoever_proves_it(what: str) -> None:
    log, reason, message = PROOFS[what]
    observed = observe(counts(0), (pod(*STARTED),))
    assert evidence_wanted(observed) == Wanted("pod-1", "uid-pod-1", "agent", 0)
    found = diagnose(shown(observed, log), DESIRED)
    assert found is not None
    assert found.reason is reason
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    "log",
    ["", "prove: not ready: WrongAnswer: x\nprove: ready: Answered: y\n", "prove: not ready: Starting: loading det\n"],
)
def test_a_last_verdict_that_is_good_or_about_the_start_is_no_cause(log: str) -> None:
    observed = observe(counts(0), (pod(*STARTED),))
    assert diagnose(shown(observed, log), DESIRED) is None


def test_a_runtime_that_proves_itself_is_read_itself() -> None:
    alone = observe(counts(0), (pod(container(running=True, started=True)),))
    assert evidence_wanted(alone) == Wanted("pod-1", "uid-pod-1", "server", 0)


MOUNTS = {
    "a ConfigMap with code that is not there": (
        'MountVolume.SetUp failed for volume "code" : configmap "no-such-code" not found',
        Reason.MISSING_REFERENCE,
        "ConfigMap no-such-code, which the pod mounts, does not exist; create it in this namespace",
    ),
    "a key that a Secret lacks": (
        'MountVolume.SetUp failed for volume "api-key" : references non-existent secret key: token',
        Reason.MISSING_REFERENCE,
        "a Secret that the pod mounts has no key token; add the key",
    ),
    "a server for files that does not answer": (
        'MountVolume.SetUp failed for volume "claim-0" : mount failed: exit status 32',
        Reason.PENDING,
        "a volume cannot be mounted yet: MountVolume.SetUp failed",
    ),
}


@pytest.mark.parametrize("what", MOUNTS)
def test_why_volumes_are_not_mounted_is_read_from_the_kubelets_events(what: str) -> None:
    note, reason, message = MOUNTS[what]
    mounting = observe(counts(0), (pod(*(replace(c, waiting_reason="PodInitializing") for c in (AGENT_WAITS, WAITS))),))
    found = diagnose(shown(mounting, note), DESIRED)
    assert evidence_wanted(mounting) == Wanted("pod-1", "uid-pod-1", "", 0)
    assert found is not None
    assert found.reason is reason
    assert found.message.startswith(message)
    assert not found.terminal


AGENT_WAITS, WAITS = container("agent"), container()


def test_a_pod_that_its_node_rejects_is_explained_while_no_other_is_there() -> None:
    why = "UnexpectedAdmissionError: Allocate failed due to requested number of devices unavailable for nvidia.com/gpu."
    rejected = pod(AGENT, container(), phase="Failed", rejected=why)
    found = diagnose(observe(counts(0), (rejected,)), DESIRED)
    assert found is not None
    assert found.message.startswith("the node rejected the pod: UnexpectedAdmissionError: Allocate failed due to")
    assert found.message.endswith(
        "nvidia.com/gpu; see whether the node has what the pod asks for, and its device plugin runs"
    )
    successor = pod(*LOADING, name="pod-2")
    assert diagnose(observe(counts(0), (rejected, successor)), DESIRED) is None
    evicted = diagnose(
        observe(counts(0), (pod(phase="Failed", rejected="Evicted: The node was low on memory. "),)), DESIRED
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
    waiting = observe(counts(0), (pod(*ended(restarts=2)),))
    before, present = evidence_wanted(running), evidence_wanted(waiting)
    assert before == Wanted("pod-1", "uid-pod-1", "server", 2, previous=True, goes_on=False)
    assert present == replace(before, previous=False)
    two = observe(counts(0), (pod(*ended(), name="pod-1"), pod(*ended(), name="pod-2")))
    assert evidence_wanted(two) is not None


@pytest.mark.parametrize(
    "containers",
    [
        LOADING,
        ended("fetch: NotFound: x", name="fetch"),
        ended("app: IMPORT: x"),
        ended(reason="OOMKilled"),
    ],
)
def test_no_log_is_read_that_explains_nothing_more(containers: tuple[ContainerFacts, ...]) -> None:
    assert evidence_wanted(observe(counts(0), (pod(*containers),))) is None


def test_terminal_causes_stall_and_others_wait() -> None:
    typo = observe(counts(0), (pod(*ended("fetch: NotFound: hf://a/b", name="fetch")),))
    assert words(told(typo)) == {
        "Ready": "False FetchFailed",
        "Available": "False FetchFailed",
        "Stalled": "True FetchFailed",
    }
    assert words(told(observe(counts(0), (pod(*ended(code=137)),))))["Reconciling"] == "True Crashed"


def test_after_the_deadline_the_cause_is_told() -> None:
    status = told(observe(counts(0, deadline_exceeded=True), (pod(*ended(code=137)),)))
    assert words(status)["Stalled"] == "True DeadlineExceeded"
    assert "container server was killed from outside" in status["message"]


def test_numbers_that_change_with_each_restart_are_no_news() -> None:
    def after(restarts: int, gib: str) -> Observed:
        log = VLLM_ROOT.format(line=f"{CORE}ValueError: Free memory on device ({gib}/80 GiB) is less than desired x.")
        return crashed(log, *ended(restarts=restarts))

    first = told(after(0, "3.11"))
    second = after(1, "3.12")
    assert told(replace(second, resource=resource(1, first))) == first


def test_every_entry_can_be_written() -> None:
    for entry in entries():
        names = {"container", "image", "limit", "exit_code", *entry.pattern.groupindex}
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
        found = diagnose(crashed(line.replace("\n", " ")), DESIRED)
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

"""From a resource down to the container that fails: what `modelport why` shows."""

from __future__ import annotations

from dataclasses import replace

from modelport.state.chain import SHOWN, Link, why
from modelport.state.observed import Child, Observed

from .failing import VLLM, ended, failing, shown
from .world import (
    AGENT,
    DESIRED,
    LOADING,
    OLD_SET,
    STARTED,
    container,
    counts,
    made,
    observe,
    pod,
    replica_set,
    resource,
    told,
    up,
)

TOO_LONG = (
    "ValueError: To serve at least one request with the model's max seq len (8192), (1.5 GiB KV cache is needed, which is "
    "larger than the available KV cache memory (1.0 GiB). Based on the available memory, the estimated maximum model length is 4096."
)


def read(observed: Observed) -> Observed:
    """With the status that the operator would have written."""
    return replace(observed, resource=resource(status=told(observed)))


def deployment(chain: Link) -> Link:
    return next(link for link in chain.links if link.kind == "Deployment")


def test_from_the_resource_to_the_last_words() -> None:
    crashed = shown(
        observe(
            counts(0),
            (pod(AGENT, ended(restarts=4)),),
        ),
        VLLM["engine"].format(TOO_LONG),
    )
    answer = why(read(crashed))
    assert answer.chain == Link(
        "ModelDeployment",
        "assistant",
        "Crashed, generation 1",
        links=(
            Link("ConfigMap", next(c.name for c in DESIRED.children if c.kind == "ConfigMap"), "is there"),
            Link("Service", "assistant", "is there"),
            Link(
                "Deployment",
                "assistant",
                "0 of 1 ready, 1 of the current template",
                links=(
                    Link(
                        "Pod",
                        "pod-1",
                        "Running on node-1, not ready",
                        links=(
                            Link("Container", "agent", "running, started, not ready"),
                            Link(
                                "Container",
                                "server",
                                "waiting: CrashLoopBackOff, ended with exit code 1, restarted 4 times",
                                TOO_LONG.removeprefix("Value").removesuffix("."),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )
    assert answer.cause is not None
    assert (answer.cause.cause, answer.cause.pod, answer.cause.container) == (
        "vllm-context-too-long",
        "pod-1",
        "server",
    )
    assert answer.cause.advice.startswith("set spec.vllm.maxModelLen to 4096 or less")
    assert answer.message == answer.cause.message


def test_a_pod_that_nobody_places_says_so_itself() -> None:
    answer = why(read(failing("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", "unschedulable")))
    (waiting,) = deployment(answer.chain).links
    assert waiting.state == "Pending, on no node yet, not ready"
    assert waiting.words == "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"


def test_what_keeps_kubernetes_from_making_pods_stands_at_the_deployment() -> None:
    answer = why(read(failing('pods "a" is forbidden: exceeded quota: q, requested: pods=1', "replicas")))
    assert deployment(answer.chain).state.endswith("Kubernetes makes no further pod")
    assert deployment(answer.chain).words == "exceeded quota: q, requested: pods=1"


def test_of_many_pods_that_fail_alike_a_few_are_shown_and_the_ready_ones_named() -> None:
    pods = (*(pod(AGENT, ended(), name=f"pod-{n}") for n in range(9)), pod(*STARTED, ready=True, name="pod-up"))
    links = deployment(why(read(observe(counts(1, wanted=10), pods))).chain).links
    assert [link.kind for link in links] == ["Pod"] * (SHOWN + 2)
    assert links[SHOWN] == Link("Pod", f"and {9 - SHOWN} more", "not ready either")
    assert links[-1] == Link("Pod", "pod-up", "ready on node-1")


def test_a_roll_out_shows_which_pods_are_of_the_older_template() -> None:
    old = replica_set("old", OLD_SET)
    newer = replace(replica_set(), facts=replace(replica_set().facts, revision=2))  # type: ignore[type-var]
    serving = pod(*STARTED, ready=True, name="pod-old", spec_hash="old", owner=OLD_SET)
    answer = why(read(observe(counts(1, replicas=2), (pod(*LOADING), serving), sets=(old, newer))))
    assert [link.state for link in deployment(answer.chain).links] == [
        "Running on node-1, not ready",
        "ready on node-1, of an older template",
    ]


def test_a_resource_that_nobody_has_looked_at_yet() -> None:
    answer = why(observe(counts(0), of=resource(generation=2)))
    assert answer.chain.state == "Unknown, generation 2, which the operator has not seen yet"
    assert not answer.current


def test_one_that_is_ready() -> None:
    answer = why(read(up()))
    assert answer.chain.state == "Ready, generation 1"
    assert answer.cause is None
    assert [link.state for link in deployment(answer.chain).links] == ["ready on node-1"]


def test_what_is_being_deleted_says_who_holds_it() -> None:
    children: tuple[Child, ...] = made(deployment=counts(0))
    held = tuple(replace(c, deleting=True, held_by=("x.io/hold",)) if c.kind == "Service" else c for c in children)
    states = {link.kind: link.state for link in why(observe(children=held)).chain.links}
    assert states["Service"] == "is being deleted, held by its finalizer x.io/hold"


def test_what_tries_a_revision_comes_first_with_its_own_cause() -> None:
    """The Deployment, and so the newest ReplicaSet, is still of the older template."""
    why_not = {"waiting_reason": "ErrImageNeverPull", "waiting_message": "x"}
    trial = pod(
        container("agent", exit_code=0), container(**why_not), name="assistant-preflight-1", owner="uid-resource"
    )
    serving = pod(*STARTED, ready=True, name="pod-old", spec_hash="old", owner=OLD_SET)
    answer = why(read(observe(counts(1), (trial, serving), sets=(replica_set("old", OLD_SET),))))
    assert answer.cause is not None
    assert (answer.cause.cause, answer.cause.pod) == ("image-never-pulled", "assistant-preflight-1")
    assert [link.state for link in deployment(answer.chain).links] == [
        "Running on node-1, tries the new revision, not ready",
        "ready on node-1, of an older template",
    ]

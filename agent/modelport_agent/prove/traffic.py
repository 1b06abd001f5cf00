"""Whether real requests have proved the model, so that it need not be asked. Pure.

Only success counts, of the model that the question is about; where anything has failed, and where the user expects
something of an answer's content, the question alone is proof.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from modelport_agent.config import Expect, ProveConfig, Request
from modelport_agent.prove.work import parsed

VLLM_FINISHED = "vllm:request_success_total"
TRITON_RIGHT, TRITON_FAILED = "nv_inference_request_success", "nv_inference_request_failure"
TRITON_PATH = re.compile(r"/v2/models/(?P<model>[^/?]+)(?:/versions/(?P<version>[^/?]+))?/infer")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
RIGHT, FAILED = ("stop", "length"), ("error",)  # of vLLM's reasons to finish; clients that went away are neither
NOT_THE_MODELS = ("REJECTED", "CANCELED")  # of Triton's reasons to fail: a full queue, a client that went away
# tasks of whose right answers nothing more is looked at than vLLM does itself
BY_SUCCESS_ALONE = (None, "completion", "chat")


@dataclass(frozen=True)
class Counts:
    """Requests that the server has answered, and that it failed to answer, since it started."""

    right: float
    failed: float


@dataclass(frozen=True)
class Asked:
    """Whose requests are proof: labels that a count has to carry; none for vLLM, which serves one model."""

    labels: tuple[tuple[str, str], ...] = ()


def asked_of(config: ProveConfig, question: Request | None) -> Asked | None:
    """None where requests of others prove nothing."""
    if question is None or config.expect != Expect():
        return None
    if config.runtime == "vllm":
        return Asked() if config.request is not None or config.task in BY_SUCCESS_ALONE else None
    path = TRITON_PATH.match(question.path)
    return Asked(tuple((name, unquote(value)) for name, value in path.groupdict().items() if value)) if path else None


def counts(runtime: str, metrics: str, asked: Asked) -> Counts | None:
    """What the server has counted; None where it does not, or where one engine of several may hang behind the others."""
    names = (VLLM_FINISHED,) if runtime == "vllm" else (TRITON_RIGHT, TRITON_FAILED)
    right = failed = 0.0
    engines: set[str] = set()
    for name, text, value in parsed(metrics, names):
        labels = dict(LABEL.findall(text))
        if any(labels.get(label) != wanted for label, wanted in asked.labels):
            continue
        engines.add(labels.get("engine", ""))
        if name == TRITON_RIGHT or labels.get("finished_reason") in RIGHT:
            right += value
        elif (name == TRITON_FAILED and labels.get("reason") not in NOT_THE_MODELS) or labels.get(
            "finished_reason"
        ) in FAILED:
            failed += value
    return Counts(right, failed) if len(engines) == 1 else None


def proves(before: Counts | None, now: Counts | None) -> bool:
    """Whether requests were answered in between."""
    return before is not None and now is not None and now.right > before.right and now.failed == before.failed

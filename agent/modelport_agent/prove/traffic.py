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
TRITON_PATH = re.compile(r"/v2/models/([^/?]+)(?:/versions/[^/?]+)?/infer")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
RIGHT, FAILED = ("stop", "length"), ("error",)  # of vLLM's reasons to finish; clients that went away are neither
OURS = ("REJECTED", "CANCELED")  # of Triton's reasons to fail: those that say nothing of the model


@dataclass(frozen=True)
class Counts:
    """Requests that the server has answered, and that it failed to answer, since it started."""

    right: float
    failed: float


def model_of(config: ProveConfig, question: Request | None) -> str | None:
    """The model whose requests are proof, an empty text for all of the server's; None where none is."""
    if question is None or config.expect != Expect():
        return None
    if config.runtime == "vllm":
        return ""
    path = TRITON_PATH.match(question.path)
    return unquote(path[1]) if path else None


def counts(runtime: str, metrics: str, model: str) -> Counts | None:
    """What the server has counted; None where it does not."""
    names = (VLLM_FINISHED,) if runtime == "vllm" else (TRITON_RIGHT, TRITON_FAILED)
    right = failed = 0.0
    known = False
    for name, text, value in parsed(metrics, names):
        labels = dict(LABEL.findall(text))
        if runtime == "triton" and labels.get("model") != model:
            continue
        known = True
        if name == TRITON_RIGHT or labels.get("finished_reason") in RIGHT:
            right += value
        elif (name == TRITON_FAILED and labels.get("reason") not in OURS) or labels.get("finished_reason") in FAILED:
            failed += value
    return Counts(right, failed) if known else None


def proves(before: Counts | None, now: Counts | None, own: int) -> bool:
    """Whether others' requests were answered in between, of which `own` are our question's."""
    return before is not None and now is not None and now.right > before.right + own and now.failed == before.failed

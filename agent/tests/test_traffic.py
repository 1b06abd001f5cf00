"""Real requests as proof: what the servers' counts say, and when they do not suffice."""

from __future__ import annotations

from typing import Any

import pytest

from modelport_agent.config import Expect, ProveConfig, Request
from modelport_agent.prove.question import question
from modelport_agent.prove.traffic import Asked, Counts, asked_of, counts, proves

VLLM = """\
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 3.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 40.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 7.0
vllm:request_success_total{engine="0",finished_reason="error",model_name="m"} 1.0
vllm:request_success_created{engine="0",finished_reason="stop",model_name="m"} 1.7e9
"""
TRITON = """\
nv_inference_request_success{model="det",version="1"} 5
nv_inference_request_success{model="ocr",version="1"} 2
nv_inference_request_success{model="ocr",version="2"} 2
nv_inference_request_failure{model="ocr",reason="REJECTED",version="1"} 9
nv_inference_request_failure{model="ocr",reason="CANCELED",version="1"} 9
nv_inference_request_failure{model="ocr",reason="BACKEND",version="1"} 1
nv_inference_request_failure{model="ocr",reason="OTHER",version="2"} 1
nv_inference_request_failure{model="det",reason="OTHER",version="1"} 8
"""


def test_answers_and_failures_of_vllm() -> None:
    """Whoever went away proves nothing, and accuses nobody."""
    assert counts("vllm", VLLM, Asked()) == Counts(43, 1)
    assert counts("vllm", "vllm:num_requests_running 1\n", Asked()) is None


def test_of_several_engines_one_may_hang_behind_the_others() -> None:
    assert counts("vllm", VLLM + VLLM.replace('engine="0"', 'engine="1"'), Asked()) is None


def test_answers_and_failures_of_one_model_of_triton() -> None:
    """A full queue and a client that went away are not the model's failures."""
    assert counts("triton", TRITON, asked("ocr")) == Counts(4, 2)
    assert counts("triton", TRITON, asked("ocr", "2")) == Counts(2, 1)
    assert counts("triton", TRITON, asked("other")) is None


def asked(model: str, version: str | None = None) -> Asked:
    return Asked((("model", model), *([("version", version)] if version else [])))


def infer(path: str) -> Request:
    return Request("POST", path, "application/json", b"{}")


@pytest.mark.parametrize(
    ("config", "whose"),
    [
        ({"runtime": "vllm"}, Asked()),
        ({"runtime": "vllm", "task": "chat"}, Asked()),
        ({"runtime": "vllm", "task": "embedding"}, None),
        ({"runtime": "vllm", "request": infer("/v1/embeddings")}, Asked()),
        ({"runtime": "vllm", "disabled": True}, None),
        ({"runtime": "vllm", "expect": Expect(contains="Paris")}, None),
        ({"runtime": "vllm", "expect": Expect(status=400)}, None),
        ({"runtime": "triton"}, None),
        ({"runtime": "triton", "request": infer("/v2/models/ocr/infer")}, asked("ocr")),
        ({"runtime": "triton", "request": infer("/v2/models/a%20b/versions/2/infer")}, asked("a b", "2")),
        ({"runtime": "triton", "request": infer("/v2/models/ocr/generate")}, None),
    ],
)
def test_whose_requests_count(config: dict[str, Any], whose: Asked | None) -> None:
    """What is looked at in an answer, others' answers do not show: what the user expects, and the numbers of an embedding."""
    proving = ProveConfig(server="http://127.0.0.1:8000", models=("m",), **config)
    assert asked_of(proving, question(proving)) == whose


@pytest.mark.parametrize(
    ("before", "now", "proof"),
    [
        (Counts(10, 0), Counts(11, 0), True),
        (Counts(10, 0), Counts(10, 0), False),
        (Counts(10, 2), Counts(20, 2), True),
        (Counts(10, 2), Counts(20, 3), False),
        (Counts(10, 0), Counts(2, 0), False),
        (Counts(10, 1), Counts(20, 0), False),
        (None, Counts(10, 0), False),
        (Counts(10, 0), None, False),
    ],
)
def test_when_they_are_proof(before: Counts | None, now: Counts | None, proof: bool) -> None:
    assert proves(before, now) is proof

"""Which question is put, what counts as an answer, and what a server's metrics say of its work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from modelport_agent.config import Drain, Expect, ProveConfig, Request
from modelport_agent.drain import drain, idle, over
from modelport_agent.prove.model import Response, Work
from modelport_agent.prove.question import fault, question
from modelport_agent.prove.work import work

VLLM = ProveConfig("vllm", "http://127.0.0.1:8000", ("assistant", "o/r"))
TRITON = ProveConfig("triton", "http://127.0.0.1:8000", ("ocr",))
OWN = Request("POST", "/v2/models/ocr/infer", "application/json", b"{}")


@pytest.mark.parametrize(
    ("task", "path", "key"),
    [
        (None, "/v1/completions", "prompt"),
        ("completion", "/v1/completions", "prompt"),
        ("chat", "/v1/chat/completions", "messages"),
        ("embedding", "/v1/embeddings", "input"),
    ],
)
def test_built_in_questions(task: str | None, path: str, key: str) -> None:
    asked = question(replace(VLLM, task=task))
    assert asked is not None
    assert (asked.method, asked.path) == ("POST", path)
    body = json.loads(asked.body)
    assert body["model"] == "assistant"
    assert body[key]
    assert body.get("max_tokens", 1) == 1


def test_the_users_own_question_and_none() -> None:
    assert question(replace(VLLM, request=OWN)) is OWN
    assert question(replace(TRITON, request=OWN)) is OWN
    assert question(TRITON) is None
    assert question(replace(VLLM, disabled=True)) is None


CHAT: dict[str, Any] = {"choices": [{"message": {"content": None}}], "usage": {"completion_tokens": 1}}


@pytest.mark.parametrize(
    ("task", "body", "expected"),
    [
        ("completion", {"choices": [{"text": ""}]}, ""),
        ("completion", {"choices": [{"text": "x"}], "usage": {"completion_tokens": 1}}, ""),
        ("completion", {"choices": []}, "the answer has no choices"),
        ("completion", {"choices": [{"text": None}]}, "the answer's first choice has no text"),
        ("completion", {"choices": [{"text": ""}], "usage": {"completion_tokens": 0}}, "no token was generated"),
        ("completion", {"error": {"message": "boom"}}, "its answer has not the form of the API: boom"),
        ("completion", [], "its answer has not the form of the API"),
        ("chat", CHAT, ""),
        ("chat", CHAT | {"choices": [{"message": None}]}, "the answer's first choice has no message"),
        ("chat", CHAT | {"usage": {"completion_tokens": 0}}, "no token was generated"),
        ("embedding", {"data": [{"embedding": [0.1, -2]}]}, ""),
        ("embedding", {"data": [{"embedding": []}]}, "the answer has no embedding"),
        ("embedding", {"data": [{"embedding": [0.1, float("nan")]}]}, "the embedding holds values that are not finite"),
        ("embedding", {"data": [{"embedding": [None]}]}, "the embedding holds values that are not finite numbers"),
    ],
)
def test_answers_count_by_their_content(task: str, body: Any, expected: str) -> None:
    found = fault(replace(VLLM, task=task), Response(200, json.dumps(body).encode()))
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_what_the_user_expects() -> None:
    assert fault(VLLM, Response(200, b"<html>")) == "its answer has not the form of the API: <html>"
    refused = fault(VLLM, Response(500, b'{"error": {"message": "EngineCore died"}}'))
    assert refused == "the server answered 500 where 200 is expected: EngineCore died"
    own = replace(TRITON, request=OWN, expect=Expect(200, "Paris"))
    assert fault(own, Response(200, b"In Paris.")) == ""
    assert fault(own, Response(200, b"In Rome.")) == "the answer does not contain 'Paris': In Rome."
    assert fault(replace(own, expect=Expect(404)), Response(404, b"")) == ""
    assert len(fault(own, Response(200, b"x" * 9999))) < 300


VLLM_METRICS = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a"} 3.0
vllm:num_requests_waiting{engine="0",model_name="a"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 9.0
vllm:generation_tokens_total{engine="0",model_name="a"} 100.0
vllm:generation_tokens_created{engine="0",model_name="a"} 1.7e+09
vllm:request_success_total{engine="0",finished_reason="stop",model_name="a"} 5.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="a"} 2.0
"""
TRITON_METRICS = """nv_inference_request_success{model="ocr",version="1"} 7
nv_inference_request_failure{model="ocr",reason="OTHER",version="1"} 1
nv_inference_pending_request_count{model="ocr",version="1"} 2
"""


def test_work_from_metrics() -> None:
    assert work("vllm", VLLM_METRICS, 0) == Work(4, 107)
    assert work("vllm", VLLM_METRICS, 1) == Work(3, 107)
    assert work("triton", TRITON_METRICS, 1) == Work(2, 8)
    assert work("vllm", "up 1\n", 0) is None
    assert work("vllm", "vllm:num_requests_running\n", 0) is None


def test_triton_counts_no_running_request_but_tells_how_long_they_take() -> None:
    quick = 'nv_inference_request_success{model="a",version="1"} 100\nnv_inference_request_duration_us{model="a",version="1"} 1000\n'
    slow = 'nv_inference_request_success{model="b",version="1"} 2\nnv_inference_request_duration_us{model="b",version="1"} 5000000\n'
    unused = 'nv_inference_request_success{model="c",version="1"} 0\nnv_inference_request_duration_us{model="c",version="1"} 0\n'
    waiting = 'nv_inference_pending_request_count{model="a",version="1"} 0\n'
    assert work("triton", quick + slow + unused + waiting, 0) == Work(0, 102, unseen=2.5)
    assert work("triton", waiting, 0) == Work(0, 0)
    assert over(Work(0, 5), 0.0)
    assert not over(Work(0, 5, unseen=2.5), 4.9)
    assert over(Work(0, 5, unseen=2.5), 5.0)
    assert not over(None, 99.0)


@pytest.mark.parametrize(
    ("finishes", "deadline", "idle_at"),
    [
        (0.0, 55.0, 7.0),  # nothing runs: two seconds of delay, then five that stand still
        (4.0, 55.0, 9.0),  # finished after the delay, unseen until then
        (6.5, 55.0, 11.5),
        (6.5, 10.0, None),
    ],
)
async def test_a_drain_waits_for_what_the_counts_do_not_show(
    finishes: float, deadline: float, idle_at: float | None
) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def look() -> Work:
        return Work(0, 6 if now >= finishes else 5, unseen=2.5)

    became_idle = await drain(Drain(2.0, deadline), look, lambda: now, sleep)
    assert (now if became_idle else None) == idle_at


def test_idle_is_seen_twice() -> None:
    assert idle(Work(0, 5), Work(0, 5))
    assert not idle(None, Work(0, 5))
    assert not idle(Work(0, 4), Work(0, 5))
    assert not idle(Work(1, 5), Work(0, 5))
    assert not idle(Work(0, 5), None)

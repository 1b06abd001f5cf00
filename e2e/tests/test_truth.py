"""Ready means answered: creation, a spec change, scale to 2 and back, and a deleted pod break no promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from e2e import asking, stack
from e2e.kube import Json, get, is_ready, kubectl, pods, reach, until, wait_ready
from e2e.pictures import reference
from e2e.sampler import Sampler
from e2e.tests.conftest import EXAMPLES, START

Ask = Callable[[], None]


def right(found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"answered {found!r}, not {expected!r}")


def language(open_: ExitStack) -> Ask:
    address = open_.enter_context(reach("language", stack.MODELS))
    text = {"text": "Où est la bibliothèque, s'il vous plaît ?"}
    return lambda: right(asking.curl(f"http://{address}/predict", text)["result"], "fr")


def assistant(open_: ExitStack) -> Ask:
    address = open_.enter_context(reach("assistant", stack.MODELS))
    return lambda: right("Paris" in asking.chat(address, "smollm2", "What is the capital of France?"), True)


def ocr(open_: ExitStack) -> Ask:
    address = open_.enter_context(reach("ocr", stack.MODELS))
    picture, lines = reference()["sign"]
    return lambda: right(asking.text_in_picture(address, picture), lines)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("question", "pause"), [(language, 0.1), (ocr, 0.0), (assistant, 0.0)])
def test_no_promised_answer_is_missing(question: Callable[[ExitStack], Ask], pause: float) -> None:
    name = question.__name__
    start = START[name]
    manifest = str(EXAMPLES / f"{name}.yaml")
    kubectl("delete", "-n", stack.MODELS, "--ignore-not-found", "-f", manifest, timeout=300)
    kubectl("apply", "-n", stack.MODELS, "-f", manifest)
    until("its Service exists", lambda: service_exists(name), 60)
    with ExitStack() as open_, Sampler(name, stack.MODELS, question(open_), pause) as sampler:

        def answered(what: str) -> None:
            """The phase counts only when promised answers came in it."""
            seen = sampler.promised
            until(f"{name} answers after {what}", lambda: sampler.promised >= seen + 3, 120)
            assert sampler.broken == [], what

        wait_ready(name, stack.MODELS, start)
        answered("creation")
        patch(name, {"spec": {"env": [{"name": "CHANGED", "value": "yes"}]}})
        wait_ready(name, stack.MODELS, start)
        assert env_of_pods(name) == ["yes"]
        answered("a spec change")
        kubectl("scale", "mdep", name, "-n", stack.MODELS, "--replicas=2")
        wait_ready(name, stack.MODELS, start)
        assert len(pods(name, stack.MODELS)) == 2
        answered("scaling to 2")
        kubectl("scale", "mdep", name, "-n", stack.MODELS, "--replicas=1")
        wait_ready(name, stack.MODELS, start)
        answered("scaling to 1")
        (pod,) = pods(name, stack.MODELS)
        kubectl("delete", "pod", pod["metadata"]["name"], "-n", stack.MODELS, "--wait=false")
        until("the status knows that the pod is gone", lambda: not is_ready(get("mdep", name, stack.MODELS)), 60, 0.1)
        wait_ready(name, stack.MODELS, start)
        answered("a deleted pod")
    print(f"\n{name}: {sampler.promised} promised answers came, {sampler.unready} questions while not Ready")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("question", "pause", "rounds"), [(language, 0.1, 20), (ocr, 0.0, 8)])
def test_no_promise_is_broken_over_many_changes(
    serving: Callable[[str], Json], question: Callable[[ExitStack], Ask], pause: float, rounds: int
) -> None:
    name = question.__name__
    serving(name)
    with ExitStack() as open_, Sampler(name, stack.MODELS, question(open_), pause) as sampler:
        for number in range(rounds):
            seen = sampler.promised
            patch(name, {"spec": {"env": [{"name": "CHANGED", "value": str(number)}]}})
            wait_ready(name, stack.MODELS, START[name])
            (pod,) = pods(name, stack.MODELS)
            kubectl("delete", "pod", pod["metadata"]["name"], "-n", stack.MODELS, "--wait=false")
            until(
                "the status knows that the pod is gone", lambda: not is_ready(get("mdep", name, stack.MODELS)), 60, 0.1
            )
            wait_ready(name, stack.MODELS, START[name])
            until(f"{name} answers in round {number}", more_than(sampler, seen + 2), 120)
            assert sampler.broken == [], f"round {number}"
    print(f"\n{name}: {sampler.promised} promised answers came in {rounds} rounds")


def more_than(sampler: Sampler, answers: int) -> Callable[[], bool]:
    return lambda: sampler.promised > answers


def service_exists(name: str) -> bool:
    return bool(kubectl("get", "service", name, "-n", stack.MODELS, "--ignore-not-found", "-o", "name"))


def patch(name: str, change: Json) -> None:
    kubectl("patch", "mdep", name, "-n", stack.MODELS, "--type=merge", "-p", json.dumps(change))


def env_of_pods(name: str) -> list[str | None]:
    return [
        next((entry.get("value") for entry in container["env"] if entry["name"] == "CHANGED"), None)
        for pod in pods(name, stack.MODELS)
        for container in pod["spec"]["containers"]
        if container["name"] == "server"
    ]

"""Every file below examples/ on the real cluster, answered through the clients that people use."""

from __future__ import annotations

import json
from collections.abc import Callable

import openai
import pytest

from e2e import asking, stack
from e2e.kube import CommandError, Json, condition, get, kubectl, pods, reach, until
from e2e.pictures import reference
from e2e.tests.conftest import EXAMPLES, START

Serving = Callable[[str], Json]


def test_every_example_is_tried_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*START, "typo"}


def test_language_names_the_language_of_a_text(serving: Serving) -> None:
    serving("language")
    with reach("language", stack.MODELS) as address:
        for text, language in (
            ("Où est la bibliothèque, s'il vous plaît ?", "fr"),
            ("The library is next to the station.", "en"),
            ("Die Bibliothek ist neben dem Bahnhof.", "de"),
        ):
            answer = asking.curl(f"http://{address}/predict", {"text": text})
            assert answer["result"] == language
            assert 0 < answer["confidence"] <= 1


def test_assistant_chats_streams_and_lists_both_names(serving: Serving) -> None:
    serving("assistant")
    question = "What is the capital of France?"
    with reach("assistant", stack.MODELS) as address:
        whole = asking.chat(address, "smollm2", question)
        assert "Paris" in whole
        assert asking.chat(address, "HuggingFaceTB/SmolLM2-135M-Instruct", question) == whole
        pieces = asking.stream(address, "smollm2", question)
        assert len(pieces) > 1
        assert "".join(pieces) == whole
        assert set(asking.models(address)) == {"smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"}


def test_guarded_answers_with_the_key_only_and_is_ready_though_the_operator_has_no_key(serving: Serving) -> None:
    serving("guarded")
    with reach("guarded", stack.MODELS) as address:
        with pytest.raises(openai.AuthenticationError):
            asking.models(address, "wrong")
        assert "guarded" in asking.models(address, "change-me-before-use")
        assert "Paris" in asking.chat(address, "guarded", "What is the capital of France?", "change-me-before-use")
    account = f"system:serviceaccount:{stack.SYSTEM}:modelport"
    with pytest.raises(CommandError, match="no"):  # kubectl says no with status 1
        kubectl("auth", "can-i", "get", "secrets", "-n", stack.MODELS, "--as", account)


@pytest.mark.parametrize(("protocol", "port"), [("http", 8000), ("grpc", 8001)])
def test_ocr_reads_what_rapidocr_reads(serving: Serving, protocol: str, port: int) -> None:
    serving("ocr")
    with reach("ocr", stack.MODELS, port) as address:
        for name, (picture, lines) in reference().items():
            assert asking.text_in_picture(address, picture, protocol) == lines, name


def test_typo_says_what_is_wrong_and_what_to_do() -> None:
    kubectl("apply", "-n", stack.MODELS, "-f", str(EXAMPLES / "typo.yaml"))

    def told() -> Json | None:
        resource = get("mdep", "typo", stack.MODELS)
        return resource if condition(resource, "Ready").get("reason") == "FetchFailed" else None

    resource = until("typo names its cause", told, 180)
    message = resource["status"]["message"]
    assert "HuggingFaceTB/SmolLM2-135M-Instrukt" in message
    assert "correct the URI" in message
    assert message in kubectl("get", "mdep", "typo", "-n", stack.MODELS, "-o", "wide")


@pytest.mark.parametrize("name", ["language", "assistant", "ocr"])
def test_the_server_runs_exactly_what_was_rendered(serving: Serving, name: str) -> None:
    serving(name)
    (pod, *_) = pods(name, stack.MODELS)
    server = next(c for c in pod["spec"]["containers"] if c["name"] == "server")
    shown = kubectl("exec", "-n", stack.MODELS, pod["metadata"]["name"], "-c", "server", "--", "cat", "/proc/1/cmdline")
    words = shown.removesuffix("\0").split("\0")
    rendered = [*server["command"], *server["args"]]
    # a Python script's process is its interpreter, the script's path, then the arguments
    program = words[: len(words) - len(rendered) + 1]
    assert program[-1].endswith(rendered[0])
    assert len(program) <= 2
    assert words[len(program) :] == rendered[1:]


def test_the_table_reads_well(serving: Serving) -> None:
    serving("language")
    header, *rows = kubectl("get", "mdep", "-n", stack.MODELS).splitlines()
    assert header.split() == ["NAME", "RUNTIME", "MODEL", "READY", "STATUS", "GPUS", "AGE"]
    language = next(row.split() for row in rows if row.startswith("language "))
    assert language[1:5] == ["fastapi", "app:app", "1/1", "Ready"]


def test_status_is_whole(serving: Serving) -> None:
    status = serving("language")["status"]
    assert status["url"] == f"http://language.{stack.MODELS}.svc:8000"
    assert {child["kind"] for child in status["children"]} == {"ConfigMap", "Service", "Deployment"}
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Ready": "True", "Available": "True"}
    scale = json.loads(
        kubectl(
            "get", "--raw", f"/apis/modelport.io/v1alpha1/namespaces/{stack.MODELS}/modeldeployments/language/scale"
        )
    )
    assert scale["status"]["replicas"] == 1
    assert "modelport.io/name=language" in scale["status"]["selector"]

"""What a contender's file may say, and when one of its resources counts as done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.bench.contender import HERE, Contender, ContenderError, load

NULL, OURS = load(HERE / "null.yaml"), load(HERE / "modelport.yaml")


def resource(generation: int, **status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": status}


def ready(observed: int, value: str = "True") -> dict[str, Any]:
    return {"type": "Ready", "status": value, "observedGeneration": observed}


def test_the_null_operator_gets_the_same_resources_as_ours() -> None:
    same = ("install", "user", "resource", "done", "change")
    assert {name: getattr(NULL, name) for name in same} == {name: getattr(OURS, name) for name in same}


def test_placeholders_of_the_command_line_and_of_the_resource() -> None:
    one = OURS.model_copy(update={"command": ("{python}", "--door={door}/{{name}}", "--port={port}")})
    assert one.arguments(python="/bin/python", door="http://d", port="1") == [
        "/bin/python",
        "--door=http://d/{name}",
        "--port=1",
    ]
    spec = {"uri": "hf://org/{name}", "list": ["{name}", 1], "map": {"a": "x-{name}"}}
    template = OURS.resource.model_copy(update={"spec": spec})
    body = OURS.model_copy(update={"resource": template}).body("b")
    assert body["metadata"] == {"name": "b", "namespace": "bench"}
    assert body["spec"] == {"uri": "hf://org/b", "list": ["b", 1], "map": {"a": "x-b"}}


@pytest.mark.parametrize(
    ("seen", "generation", "done"),
    [
        (resource(1), 1, False),
        (resource(1, observedGeneration=1, conditions=[ready(1)]), 1, True),
        (resource(1, observedGeneration=1, conditions=[ready(1, "False")]), 1, False),
        (resource(2, observedGeneration=1, conditions=[ready(1)]), 2, False),  # said of the generation before
        (resource(2, observedGeneration=2, conditions=[ready(1)]), 2, False),
        (resource(1, observedGeneration=1, conditions=[ready(1)]), 2, False),  # the change has not been seen yet
        (resource(2, conditions=[{"type": "Ready", "status": "True"}]), 2, True),  # it never says which one it means
    ],
)
def test_a_condition_has_to_be_true_of_the_generation_that_is_meant(
    seen: dict[str, Any], generation: int, done: bool
) -> None:
    assert OURS.is_done(seen, generation) is done


def test_a_value_at_a_path() -> None:
    done = {"path": "status.model.state", "value": "Loaded"}
    one = Contender.model_validate({**OURS.model_dump(), "done": done})
    assert one.is_done(resource(1, model={"state": "Loaded"}), 1)
    assert not one.is_done(resource(1, model={"state": "Loading"}), 1)
    assert not one.is_done(resource(1), 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"comand": []}, "comand: Extra inputs"),
        ({"done": {}}, "done: Value error, give either condition, or path and value"),
        ({"user": None}, "user: Input should be a valid string"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(json.dumps({**OURS.model_dump(), **change}))
    with pytest.raises(ContenderError, match=says) as error:
        load(file)
    assert str(file) in str(error.value)

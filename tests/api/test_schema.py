"""The structural schema: what it looks like, that it is complete, and that bad models are refused here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from modelport.api import generate
from modelport.api.crd import crd, schema, text
from modelport.api.names import Reason
from modelport.api.reasons import REASONS
from modelport.api.spec import ModelDeploymentSpec
from modelport.api.status import ModelDeploymentStatus
from modelport.api.structural import Schema, problems, structural

ROOT = Path(__file__).parents[2]
CAMEL = re.compile(r"^[a-z][a-zA-Z0-9]*$")


def properties(node: Schema, path: str = "") -> Iterator[tuple[str, str, Schema]]:
    for name, below in node.get("properties", {}).items():
        yield f"{path}.{name}", name, below
        yield from properties(below, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from properties(node[key], f"{path}[*]")


def defaulted(node: Schema, value: Any) -> Any:
    """The value as the API server would complete it."""
    if not isinstance(value, dict):
        return value
    below = node.get("properties", {})
    complete = {key: below[key]["default"] for key in below if "default" in below[key]} | value
    return {key: defaulted(below.get(key, {}), item) for key, item in complete.items()}


def test_every_property_is_camel_case_and_described() -> None:
    for path, name, node in properties(schema()["properties"]["spec"]):
        assert CAMEL.match(name), path
        assert node["description"].endswith((".", "?")), path
        assert "title" not in node


def test_the_schemas_defaults_are_the_models() -> None:
    spec = defaulted(structural(ModelDeploymentSpec), {"runtime": "vllm", "model": {"uri": "hf://a/b"}})
    model = ModelDeploymentSpec.model_validate({"runtime": "vllm", "model": {"uri": "hf://a/b"}})
    assert spec == model.model_dump(by_alias=True, exclude_none=True, mode="json")
    status = defaulted(schema(), {"spec": spec})["status"]
    assert status == ModelDeploymentStatus().model_dump(by_alias=True, exclude_none=True)
    assert status == {"observedGeneration": -1}


def test_only_what_no_platform_changes_has_a_default() -> None:
    found = {path: node["default"] for path, _, node in properties(schema()) if "default" in node}
    assert found == {
        ".spec.replicas": 1,
        ".status": {"observedGeneration": -1},
        ".status.observedGeneration": -1,
    }


def test_everything_that_a_list_or_text_can_hold_is_bounded() -> None:
    for path, _, node in properties(schema()["properties"]["spec"]):
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_the_frame() -> None:
    version = crd()["spec"]["versions"][0]
    assert crd()["spec"]["names"]["shortNames"] == ["mdep"]
    assert version["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"
    columns = {column["name"]: column["priority"] for column in version["additionalPrinterColumns"]}
    assert columns == dict.fromkeys(["Runtime", "Model", "Ready", "Status", "GPUs", "Age"], 0) | {
        "URL": 1,
        "Message": 1,
    }
    assert len(text()) < 256 * 1024


@pytest.mark.parametrize("path", generate.files())
def test_the_committed_file_is_the_generated_one(path: str) -> None:
    assert (ROOT / path).read_text() == generate.files()[path], "run `make generate`"


def test_rules_whose_message_names_values_have_a_line_in_the_reference() -> None:
    text = generate.files()["docs/reference.md"]
    assert "- `vllm`: only for runtime vllm.\n" in text
    assert "- `vllm`: gpu.count has to be tensorParallelSize x" in text


def test_every_reason_has_a_meaning_and_advice() -> None:
    assert set(REASONS) == set(Reason)
    for info in REASONS.values():
        assert info.meaning.endswith(".")
        assert info.advice.endswith(".")


class Inner(BaseModel):
    """A part."""

    size: Annotated[float, Field(gt=0, description="Size.")] = 1.0


class Everything(BaseModel):
    """One of each kind."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["only"] = Field(description="Kind.")
    inner: Inner | None = Field(None, description="Part.")
    anything: dict[str, Any] | None = Field(None, description="Anything.")
    names: Annotated[dict[str, Inner], Field(max_length=3)] | None = Field(None, description="Names.")
    small: int = Field(3, ge=0, le=10, description="Small.")
    large: int = Field(0, description="Large.")


def test_the_transformation() -> None:
    size = {"type": "number", "minimum": 0, "exclusiveMinimum": True, "default": 1.0, "description": "Size."}
    part = {"type": "object", "description": "Part.", "properties": {"size": size}}
    assert structural(Everything) == {
        "type": "object",
        "description": "One of each kind.",
        "required": ["kind"],
        "properties": {
            "kind": {"type": "string", "enum": ["only"], "description": "Kind."},
            "inner": part,
            "anything": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "description": "Anything.",
            },
            "names": {
                "type": "object",
                "additionalProperties": part | {"description": "A part."},
                "maxProperties": 3,
                "description": "Names.",
            },
            "small": {
                "type": "integer", "format": "int32", "default": 3, "minimum": 0, "maximum": 10,
                "description": "Small.",
            },
            "large": {"type": "integer", "format": "int64", "default": 0, "description": "Large."},
        },
    }  # fmt: skip


class Node(BaseModel):
    below: Node | None = None


class Union(BaseModel):
    value: int | str


class Set(BaseModel):
    value: set[str]


class Pair(BaseModel):
    value: tuple[int, str]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Node, "recursive"),
        (Union, r"\.value: anyOf is not allowed"),
        (Set, r"\.value: uniqueItems is not allowed"),
        (Pair, r"\.value: prefixItems is not allowed"),
    ],
)
def test_what_a_structural_schema_cannot_say(model: type[BaseModel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        structural(model)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, ".a: has no description"),
        ({"type": "object"}, "(root): an object without properties keeps nothing"),
        ({"type": "string", "format": "duration"}, "(root): format duration is unknown to the API server"),
        ({"type": "array", "maxItems": 1, "x-kubernetes-list-type": "set"}, "(root): a list says what its items are"),
        (
            {"type": "array", "maxItems": 1, "items": {"type": "string"}},
            "(root): a list says how it is merged (x-kubernetes-list-type)",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
            "(root): a list needs maxItems, else rules below it cost too much",
        ),
    ],
)
def test_what_the_check_finds(node: Schema, message: str) -> None:
    assert message in list(problems(node))

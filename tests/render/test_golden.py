"""Every feature once, with everything that is made of it. Review with git: `pytest tests/render --update`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from modelport.cli.render import dump
from modelport.render.desired import Desired
from modelport.render.platform import Platform
from modelport.render.render import render
from modelport.runtimes.registry import RUNTIMES
from modelport_agent import config as agent_config
from modelport_runtime import settings as runtime_settings

from .cases import CASES, Case, child

EXAMPLES = Path(__file__).parents[2] / "examples"
KUBERNETES = "1.35"


@pytest.fixture(params=CASES, ids=lambda case: case.id)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_children_are_the_expected_ones(case: Case, update: bool) -> None:
    text = dump([item.manifest for item in case.render().children], "yaml")
    expected = case.folder / "out.yaml"
    if update or os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_children_match_the_openapi_schema(case: Case) -> None:
    for item in case.render().children:
        kubernetes_validate.validate(item.manifest, KUBERNETES, strict=True)


def test_agent_and_runtime_read_their_configuration(case: Case) -> None:
    desired = case.render()
    data = child(desired, "ConfigMap")["data"]
    documents = {name: json.loads(text) for name, text in data.items() if name.endswith(".json")}
    if "agent.json" in documents:
        proof = agent_config.parse_prove(documents["agent.json"])
        assert proof.models == desired.question.models
        assert proof.disabled == desired.question.disabled
    else:
        assert runtime_settings.parse(documents["runtime.json"]).name == case.identity().name
    for document in documents.values():
        agent_config.parse_fetch(document)


def test_there_is_a_case_for_each_runtime() -> None:
    assert {case.folder.parent.name for case in CASES} == {str(runtime) for runtime in RUNTIMES}
    assert len(CASES) >= 25


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_examples_can_be_rendered(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] == "ModelDeployment":
            identity = CASES[0].identity()
            assert isinstance(render(identity, document["spec"], Platform()), Desired)

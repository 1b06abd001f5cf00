"""Offline, `modelport render` says of these resources what the API server says; and the table misses no rule."""

from __future__ import annotations

import re

import pytest
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from modelport.api.model import Model, Rule
from modelport.api.names import Reason
from modelport.api.spec import ModelDeploymentSpec
from modelport.cli.main import main
from modelport.render.desired import Identity, Invalid
from modelport.render.platform import Platform
from modelport.render.render import render
from tests.api.celtool import forms, models
from tests.newcomer.case import Case, cases
from tests.newcomer.test_flags import flags

TABLE = cases()
OF_FLAGS = {says for _, _, says in flags()}
"""What test_flags shows, one test for each."""


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_offline_the_same_is_refused(case: Case) -> None:
    done = CliRunner().invoke(main, ["render", "-f", "-"], input=yaml.safe_dump(dict(case.resource)))
    invalid = case.refused or case.reason == Reason.INVALID_SPEC
    assert done.exit_code == (1 if invalid else 0), done.stderr
    if unknown := re.search('unknown field "(.*)"', case.admission):
        assert f"{unknown[1]}: there is no such field" in done.stderr


@pytest.mark.parametrize("case", [case for case in TABLE if case.refused], ids=lambda case: case.name)
def test_what_rules_say_is_the_same_there_and_offline(case: Case) -> None:
    if "strict decoding error" in case.admission or "metadata.name" in case.admission:
        return
    with pytest.raises(ValidationError) as refused:
        ModelDeploymentSpec.model_validate(case.resource["spec"])
    for error in refused.value.errors():
        if error["type"] == "rule":
            assert error["msg"] in case.admission


@pytest.mark.parametrize(
    "case",
    [case for case in TABLE if case.status and case.status["reason"] == Reason.INVALID_SPEC],
    ids=lambda case: case.name,
)
def test_what_rendering_says_of_an_invalid_spec(case: Case, update: bool) -> None:
    identity = Identity("default", case.resource["metadata"]["name"], "00000000-0000-0000-0000-000000000000")
    result = render(identity, case.resource["spec"], Platform())
    assert isinstance(result, Invalid)
    assert case.status is not None
    if update:
        case.write_expected(status={"reason": str(Reason.INVALID_SPEC), "message": result.message})
        return
    assert case.status["message"] == result.message


def broken(rules: tuple[Rule, ...], case: Case) -> set[Rule]:
    """The rules whose message the case shows; those that name values are known by their field."""
    return {rule for rule in rules if isinstance(rule.message, str) and rule.message in case.admission}


@pytest.mark.parametrize("model", [m for m in models(ModelDeploymentSpec) if m.rules], ids=lambda m: m.__name__)
def test_every_rule_is_in_the_table(model: type[Model]) -> None:
    shown = set[Rule]().union(*(broken(model.rules, case) for case in TABLE))
    for rule in model.rules:
        if isinstance(rule.message, str) and rule.message not in OF_FLAGS:
            assert rule in shown, f"no case breaks: {rule.message}"


@pytest.mark.parametrize("form", forms(ModelDeploymentSpec), ids=lambda rule: str(rule.message))
def test_every_form_is_in_the_table(form: Rule) -> None:
    assert any(str(form.message) in case.admission for case in TABLE)


@pytest.mark.parametrize("field", ["spec.vllm: Forbidden", "spec.triton: Forbidden", "spec.fastapi: Forbidden"])
def test_every_block_is_in_the_table(field: str) -> None:
    assert any(f"{field}: runtime is" in case.admission for case in TABLE)

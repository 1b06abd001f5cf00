"""The settings of an installation, as the operator reads them from its file and `modelport render` from the chart's values."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from modelport.app.settings import SettingsError, load
from modelport.cli.main import main

GOOD = """
apiVersion: modelport.io/v1alpha1
kind: ModelDeployment
metadata: {name: good}
spec: {runtime: vllm, model: {uri: "hf://org/repo"}}
"""
CHART = Path(__file__).parents[2] / "charts" / "modelport" / "values.yaml"


def rendered(platform: Path) -> Result:
    return CliRunner().invoke(main, ["render", "-f", "-", "--platform", str(platform)], input=GOOD)


def test_the_charts_own_values_are_read() -> None:
    assert rendered(CHART).exit_code == 0


def test_pull_secrets_are_those_of_the_models_and_not_of_the_operator(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("imagePullSecrets: [{name: operators}]\nmodels: {imagePullSecrets: [{name: models}]}\n")
    said = rendered(values).stdout
    assert "- name: models\n" in said
    assert "operators" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "has to be a map of settings"),
        ("3", "has to be a map of settings"),
        ("models: 3", "has to be a map of settings"),
        ("a: [", "is not YAML"),
        ("images: 3", "images: Input should be a valid dictionary"),
        ("images: {vllm: 3}", "images.vllm: Input should be a valid string"),
        ("hub: {endpoint: 3}", "hub.endpoint: Input should be a valid string"),
        ("hub: {url: x}", "hub.url: Extra inputs are not permitted"),
        ("models: {imagePullSecrets: [a]}", "imagePullSecrets.0: Input should be a valid dictionary"),
        ("defaults: [a]", "defaults: Input should be a valid dictionary"),
        ("defaults: {replicass: 2}", "defaults.replicass: there is no such field; did you mean replicas?"),
    ],
)
def test_values_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(text)
    result = rendered(values)
    assert result.exit_code == 1
    assert f"Error: {values}: {says}" in result.stderr


def test_a_file_of_the_operator_that_is_no_map(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text("[1]")
    with pytest.raises(SettingsError, match="has to be a map of settings"):
        load(file, {})

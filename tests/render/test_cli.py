"""`modelport render`: the children on standard output, what is wrong on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from modelport.cli.main import main

GOOD = """
apiVersion: modelport.io/v1alpha1
kind: ModelDeployment
metadata: {name: good, namespace: models}
spec: {runtime: vllm, model: {uri: "hf://org/repo@2024-01-01"}}
"""
OTHER = """
apiVersion: v1
kind: Secret
metadata: {name: key}
"""
BAD = """
apiVersion: modelport.io/v1alpha1
kind: ModelDeployment
metadata: {name: bad}
spec: {runtime: vllm, model: {uri: "hf://org/repo"}, vllm: {maxModelLenn: 1, maxNumSeqs: x}}
"""


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["render", *arguments], input=stdin)


def test_children_of_every_document() -> None:
    result = run("-f", "-", stdin="---".join([GOOD, OTHER, GOOD.replace("good", "better")]))
    assert result.exit_code == 0, result.stderr
    found = [(item["kind"], item["metadata"]["namespace"]) for item in yaml.safe_load_all(result.stdout)]
    assert found == [("ConfigMap", "models"), ("Service", "models"), ("Deployment", "models")] * 2
    assert result.stderr == "key: Secret is not rendered\n"


def test_json_for_kubectl() -> None:
    result = run("-o", "json", "-f", "-", stdin=GOOD)
    assert [item["kind"] for item in json.loads(result.stdout)["items"]] == ["ConfigMap", "Service", "Deployment"]


def test_problems_by_field() -> None:
    result = run("-f", "-", stdin=BAD)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "bad: spec.vllm.maxModelLenn: there is no such field; did you mean maxModelLen?",
        "bad: spec.vllm.maxNumSeqs: 'x' should be a valid integer",
    ]


def test_what_is_right_is_printed_beside_what_is_wrong(tmp_path: Path) -> None:
    for name, text in (("good.yaml", GOOD), ("bad.yaml", BAD)):
        (tmp_path / name).write_text(text)
    result = run("-f", str(tmp_path / "good.yaml"), "-f", str(tmp_path / "bad.yaml"))
    assert result.exit_code == 1
    assert len(list(yaml.safe_load_all(result.stdout))) == 3


def test_settings_of_the_installation(tmp_path: Path) -> None:
    settings = tmp_path / "operator.yaml"
    settings.write_text("images: {vllm: mine/vllm:1}\n")
    assert "image: mine/vllm:1" in run("-f", "-", "--platform", str(settings), stdin=GOOD).stdout


def test_what_is_no_yaml_and_what_is_no_resource() -> None:
    assert "is not YAML" in run("-f", "-", stdin="a: [").stderr
    assert "is nested too deeply" in run("-f", "-", stdin="[" * 5000).stderr
    assert run("-f", "-", stdin=BAD.split("spec:")[0]).stderr == "bad: spec: metadata.name and spec are required\n"


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert "render" in result.stdout and "run" in result.stdout


def test_rendering_imports_no_client_and_no_operator() -> None:
    code = (
        "import sys; from modelport.cli.main import main; main(['render', '-f', sys.argv[1]], standalone_mode=False);"
        "print(sorted({name.split('.')[0] for name in sys.modules} &"
        " {'grpc', 'numpy', 'tritonclient', 'openai', 'kopf', 'kubernetes', 'aiohttp'}))"
    )
    example = Path(__file__).parents[1] / "golden" / "triton" / "ocr" / "in.yaml"
    done = subprocess.run([sys.executable, "-c", code, str(example)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

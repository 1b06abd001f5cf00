"""docs/operations.md and docs/alerts.yaml speak of what there is: every log line, every alert, and no metric that is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

import modelport
from modelport.api.reasons import REASONS
from modelport.app.metrics_table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((ROOT / "docs" / "alerts.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
}
LOUD = ("warning", "error", "critical")
NAMES = {metric.name for metric in TABLE} | {f"{metric.name}_bucket" for metric in TABLE if metric.type == "histogram"}


def logged() -> set[tuple[str, str]]:
    """(level, message with … for what differs) of every line that the operator logs at warning or above."""
    (source,) = modelport.__path__
    found = set()
    for file in Path(source).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("logger"), attr=level), args=[ast.Constant(str(message)), *_]
                ) if level in LOUD:
                    found.add((level, re.sub(r"%[-.0-9]*[a-z]", "…", message)))
                case ast.Call(func=ast.Attribute(value=ast.Name("logger"), attr="exception")):
                    pytest.fail(f"{file}:{node.lineno}: write logger.error(..., exc_info=True)")
    return found


def test_every_loud_log_line_is_explained_and_no_other() -> None:
    assert set(re.findall(r"^\| (\w+) \| `(.+?)` \|", PAGE, re.MULTILINE)) == logged()


def test_every_alert_says_what_to_do() -> None:
    assert re.findall(r"^\| `(Model\w+)` \|", PAGE, re.MULTILINE) == list(ALERTS)


def test_alerts_and_page_name_only_metrics_that_there_are() -> None:
    text = PAGE + "".join(ALERTS.values())
    used = set(re.findall(r"\b(?:modelport|process)_\w+", text))
    assert used - NAMES == set()


def test_stalled_models_are_those_that_waiting_does_not_mend() -> None:
    (phases,) = re.findall(r'phase=~"([\w|]+)"', ALERTS["ModelDeploymentsStalled"])
    assert set(phases.split("|")) == {str(reason) for reason, info in REASONS.items() if info.terminal}


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
        for line in re.findall("^#+ (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\((?!http)([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        assert (ROOT / "docs" / file).exists(), target
        assert file or anchor in headings, target

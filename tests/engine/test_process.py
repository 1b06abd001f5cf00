"""The process: its settings and its web server."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.app.settings import Settings, SettingsError, load
from tests.engine.harness import Engine, until


def test_the_settings_of_the_chart_and_the_command_line_over_them(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text(
        "images: {vllm: example.com/vllm:1}\nimagePullSecrets: [{name: pull}]\nworkers: 3\nlogLevel: debug\n"
    )
    settings = load(file, {"logLevel": "error"})
    assert (settings.workers, settings.log_level) == (3, "error")
    platform = settings.platform()
    assert platform.images["vllm"] == "example.com/vllm:1"
    assert platform.images["triton"]
    assert platform.image_pull_secrets == ("pull",)


def test_without_a_file_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "none.yaml", {}) == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("worker: 3", "worker: Extra inputs"),
        ("workers: 0", "workers: Input should be greater"),
        ("a: [", "while parsing"),
        ("defaults: {replicass: 2}", "defaults.replicass: there is no such field; did you mean replicas"),
        ("door: {mode: 'http://{nope}'}", "door.mode: Value error, write service, off, or a URL with"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as error:
        load(file, {})
    assert str(file) in str(error.value)


@pytest.mark.apiserver
def test_metrics_tell_what_was_done_and_of_nobody_by_name(engine: Engine) -> None:
    engine.apply("very-own-name")
    engine.until_ready("very-own-name")
    until("counted as Ready", lambda: engine.operator.metric('modelport_resources{phase="Ready"}') == 1)
    assert engine.operator.metric("modelport_reconciles_total") >= 2
    assert engine.operator.metric("modelport_api_requests_total") >= 5
    assert engine.operator.get("/healthz") is not None
    assert "very-own-name" not in (engine.operator.get("/metrics") or "")

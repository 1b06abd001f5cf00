"""`modelport why` against a real API server, as somebody with a kubeconfig runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelport.cli.main import main
from tests.cluster import Done, Kubectl
from tests.engine.harness import Engine, until

pytestmark = pytest.mark.apiserver

CRASHED = {
    "containers": {
        "server": {
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
            "restartCount": 2,
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }
    }
}
SPEC = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["assistant"]}}


def ask(kubectl: Kubectl, *arguments: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "modelport", "why", *arguments],
        env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_crash_down_to_the_container(engine: Engine, kubectl: Kubectl) -> None:
    engine.apply("assistant", **SPEC)

    def crashed() -> bool:
        if engine.find(engine.path("deployments", "assistant")) is not None:
            engine.play("assistant", CRASHED)
        return engine.status("assistant").get("phase") == "OutOfMemory"

    until("the crash is told", crashed)
    (pod,) = engine.items("pods", "assistant")
    config_map, *_ = engine.items("configmaps", "assistant")
    done = ask(kubectl, "assistant", "-n", engine.namespace)
    assert (
        done.out
        == f"""\
ModelDeployment assistant: OutOfMemory, generation 1
├─ ConfigMap {config_map["metadata"]["name"]}: is there
├─ Service assistant: is there
└─ Deployment assistant: 0 of 1 ready, 1 of the current template
   └─ Pod {pod["metadata"]["name"]}: Running on played, not ready
      ├─ Container agent: running, ready
      ├─ Container fetch: done
      └─ Container server: waiting: CrashLoopBackOff, ended with exit code 137 (OOMKilled), restarted 2 times

Cause   container server was killed: it needed more than the node could give
Advice  raise spec.resources.limits.memory (of another container, in the podTemplate), or take a smaller model
"""
    )
    assert (done.code, done.err) == (0, "")
    answer = ask(kubectl, "assistant", "-n", engine.namespace, "-o", "json").json()
    assert answer["cause"]["id"] == "out-of-memory"
    assert answer["cause"]["pod"] == pod["metadata"]["name"]
    assert answer["status"]["phase"] == "OutOfMemory"
    assert answer["chain"]["links"][-1]["links"][0]["links"][-1]["name"] == "server"


def test_what_is_ready_and_what_is_not_there(engine: Engine, kubectl: Kubectl) -> None:
    engine.apply("assistant", **SPEC)
    engine.until_ready("assistant")
    done = ask(kubectl, "assistant", "-n", engine.namespace)
    assert done.out.startswith("ModelDeployment assistant: Ready, generation 1\n")
    assert done.out.endswith("Status  assistant has answered\n")
    typo = ask(kubectl, "asistant", "-n", engine.namespace)
    assert (typo.code, typo.err) == (
        1,
        f"Error: no ModelDeployment asistant in namespace {engine.namespace}; there are assistant\n",
    )
    nothing = ask(kubectl, "assistant")
    assert nothing.err == "Error: no ModelDeployment assistant in namespace default; there is none\n"


def test_without_rights_or_a_cluster_it_says_so(engine: Engine, kubectl: Kubectl) -> None:
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json").out)
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:1"
    path = kubectl.kubeconfig.parent / "nowhere.json"
    path.write_text(json.dumps(config))
    done = ask(kubectl, "assistant", "--kubeconfig", str(path))
    assert done.code == 1
    assert done.err.startswith("Error: no answer from the API server")


@pytest.mark.parametrize(
    "text", ["", "just words", "a: [", "apiVersion: v1\nkind: Config\n", "contexts: 3\ncurrent-context: x\n"]
)
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    config.write_text(text)
    done = CliRunner().invoke(main, ["why", "assistant", "--kubeconfig", str(config)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: the credentials cannot be loaded from {config}: ")


def test_a_context_that_is_named_needs_no_current_one(engine: Engine, kubectl: Kubectl, tmp_path: Path) -> None:
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json").out)
    del config["current-context"]
    config["contexts"][0]["context"]["namespace"] = engine.namespace
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    done = ask(kubectl, "assistant", "--kubeconfig", str(path), "--context", config["contexts"][0]["name"])
    assert done.err == f"Error: no ModelDeployment assistant in namespace {engine.namespace}; there is none\n"

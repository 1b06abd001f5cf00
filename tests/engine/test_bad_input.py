"""What no user should be able to write, and what we may get wrong: it stays with the resource that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Kubectl
from tests.engine import sabotaged
from tests.engine.harness import Engine, Operator, steady, until
from tests.engine.test_counts import config_map, patch

pytestmark = pytest.mark.apiserver

INTERNAL = {"Ready": "Unknown", "Stalled": "True"}
KINDS = ("configmaps", "services", "deployments")


@pytest.fixture
def sabotage(stopped: Engine) -> Iterator[Operator]:
    """The engine's operator with mistakes built in, stopped."""
    good = stopped.operator
    stopped.operator = replace(good, program=(str(Path(sabotaged.__file__)),))
    yield good
    stopped.operator.stop()


def conditions(engine: Engine, name: str) -> dict[str, str]:
    return {c["type"]: c["status"] for c in engine.status(name).get("conditions", [])}


def until_internal(engine: Engine, name: str) -> dict[str, Any]:
    until(f"{name} is told", lambda: engine.status(name).get("phase") == "InternalError")
    return engine.status(name)


def logged(engine: Engine, name: str) -> list[dict[str, Any]]:
    """The errors in the operator's log that are about a resource."""
    lines = [json.loads(line) for line in engine.operator.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "error" and line.get("name") == name]


MISTAKES = {
    "no-render": "control/reconcile.py",
    "no-plan": "control/reconcile.py",
    "no-summary": "control/reconcile.py",
    "odd-service": "control/apply.py",
}


def test_a_mistake_of_ours_stays_with_its_resource(stopped: Engine, sabotage: Operator) -> None:
    stopped.operator.start()
    for name in (*MISTAKES, "alpha"):
        stopped.apply(name)
    stopped.until_ready("alpha")
    for name, where in MISTAKES.items():
        status = until_internal(stopped, name)
        assert f"(KeyError in {where}" in status["message"]
        assert "may show" not in str(status)
        assert {kind: conditions(stopped, name)[kind] for kind in INTERNAL} == INTERNAL
    steady("requests", lambda: len(stopped.requests()))
    stopped.forget()
    for number in range(5):  # what happens to it is no reason to try again
        for name in MISTAKES:
            stopped.merge(f"{stopped.at}/{name}", {"metadata": {"labels": {"edited": str(number)}}})
        stopped.apply("alpha", vllm={"maxModelLen": 512 + number})
        stopped.until_ready("alpha")
    assert [write for write in stopped.writes() if "alpha" not in write] == []
    for name in MISTAKES:
        assert [bool(error.get("exception")) for error in logged(stopped, name)] == [True]
    assert stopped.operator.metric('modelport_resources{phase="InternalError"}') == len(MISTAKES)


def test_what_runs_is_left_alone_until_the_operator_is_mended(stopped: Engine, sabotage: Operator) -> None:
    sabotage.start()
    stopped.apply("no-render", image="docker.io/library/server:1")
    stopped.until_ready("no-render")
    sabotage.stop()
    before = {kind: [versions(item) for item in stopped.items(kind)] for kind in KINDS}
    stopped.operator.start()
    until_internal(stopped, "no-render")
    assert conditions(stopped, "no-render")["Available"] == "True"
    patch(stopped, "no-render", [{"name": "server", "image": "docker.io/library/mine:1"}])
    steady("requests", lambda: len(stopped.requests()))
    unchanged = ("configmaps", "services")
    assert {kind: [versions(item) for item in stopped.items(kind)] for kind in unchanged} == {
        kind: before[kind] for kind in unchanged
    }
    assert "mine:1" in str(stopped.items("deployments"))
    stopped.operator.stop()
    stopped.operator = sabotage
    sabotage.start()
    stopped.until_ready("no-render")
    assert "mine:1" not in str(stopped.items("deployments"))


def test_another_spec_is_tried_at_once(stopped: Engine, sabotage: Operator) -> None:
    stopped.operator.start()
    stopped.apply("no-render")
    until_internal(stopped, "no-render")
    stopped.apply("no-render", env=[{"name": sabotaged.CURE, "value": "yes"}])
    stopped.until_ready("no-render")
    stopped.apply("no-render", env=[{"name": "OTHER", "value": "yes"}])
    until_internal(stopped, "no-render")
    assert conditions(stopped, "no-render")["Available"] == "True"
    assert stopped.status("no-render")["observedGeneration"] == 3
    assert [bool(error.get("exception")) for error in logged(stopped, "no-render")] == [True, True]


def test_an_object_that_cannot_be_read_ends_no_watch(stopped: Engine, sabotage: Operator) -> None:
    stopped.apply("odd-resource")
    stopped.operator.start()
    process = stopped.operator.process
    assert process is not None
    stopped.apply("odd-pod")
    stopped.apply("alpha")
    stopped.until_ready("alpha")
    until("its pod is there", lambda: stopped.items("pods", "odd-pod"))
    steady("its status", lambda: stopped.status("odd-pod"))
    assert not stopped.ready("odd-pod"), "of a pod that cannot be read nobody says that it is ready"
    stopped.apply("beta")
    stopped.until_ready("alpha", "beta")
    assert stopped.status("odd-resource") == {"observedGeneration": -1}
    assert stopped.operator.process is process
    assert process.poll() is None
    assert stopped.operator.metric("modelport_watch_reconnects_total") == 0


def test_specs_as_deep_as_the_api_server_keeps_them_disturb_nobody(engine: Engine, kubectl: Kubectl) -> None:
    depths = (400, 1_500, 9_900)
    for levels in depths:
        nested = '{"a":' * levels + "{}" + "}" * levels
        create(kubectl, f"deep-{levels}", f'"podTemplate": {{"spec": {nested}}}')
    for levels in depths:
        until(f"{levels} levels are refused", lambda levels=levels: said(kubectl, f"deep-{levels}")[0] == "InvalidSpec")
        assert said(kubectl, f"deep-{levels}")[1] == "spec.podTemplate: is nested more than 100 levels deep"
    engine.apply("alpha")
    engine.until_ready("alpha")
    engine.operator.stop()
    engine.operator.start()
    engine.apply("beta")
    engine.until_ready("alpha", "beta")


def test_a_number_that_has_more_than_64_bits(engine: Engine, kubectl: Kubectl) -> None:
    create(kubectl, "large", '"podTemplate": {"spec": {"terminationGracePeriodSeconds": 36893488147419103232}}')
    until("it is refused", lambda: said(kubectl, "large")[0] == "InvalidSpec")
    assert said(kubectl, "large")[1] == "spec.podTemplate: holds a number that has more than 64 bits"


def test_what_is_too_large_is_told_and_nothing_of_it_is_written(engine: Engine) -> None:
    variables = [{"name": f"VARIABLE_{number}", "value": "x"} for number in range(12_000)]
    engine.apply("large", podTemplate={"spec": {"containers": [{"name": "server", "env": variables}]}})
    until("it is refused", lambda: engine.status("large").get("phase") == "InvalidSpec")
    assert engine.status("large")["message"].startswith("spec.podTemplate: the description of a pod takes ")
    assert engine.items("configmaps") == engine.items("deployments") == []
    engine.apply("large", podTemplate={"spec": {"containers": [{"name": "server", "env": variables[:500]}]}})
    engine.until_ready("large")
    assert config_map(engine, "large")


def versions(item: dict[str, Any]) -> tuple[str, str]:
    return (item["metadata"]["uid"], item["metadata"]["resourceVersion"])


def create(kubectl: Kubectl, name: str, field: str) -> None:
    """A resource with one field more, in words that Python could not print."""
    spec = '{"runtime": "vllm", "model": {"uri": "hf://org/repo"}, ' + field + "}"
    kind = '"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment"'
    kubectl("create", "-f", "-", stdin=f'{{{kind}, "metadata": {{"name": "{name}"}}, "spec": {spec}}}')


def said(kubectl: Kubectl, name: str) -> list[str]:
    """The status word of it, and its message; kubectl reads what Python could not."""
    return kubectl("get", "mdep", name, "-o", "jsonpath={.status.phase}|{.status.message}").out.split("|")

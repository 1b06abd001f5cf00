"""Class 9: rights are taken away and given back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Engine, until
from tests.engine.rights import RBAC, grant
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.proxy import Proxy
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

USER = "modelport-with-roles"


class Roles:
    """An operator with a Role in each of the two namespaces that it serves: rights change in the first one only."""

    def __init__(self, engine: Engine, other: Engine, proxy: Proxy) -> None:
        self.engine, self.other, self.proxy = engine, other, proxy
        self.give_back()

    def give_back(self) -> None:
        served = (self.engine.namespace, self.other.namespace)
        grant(self.engine.api, self.engine.namespace, USER, served)

    def take_away(self, resource: str, verb: str) -> None:
        """One verb on one resource."""
        path = f"{RBAC}/namespaces/{self.engine.namespace}/roles/modelport"
        rules = [kept for rule in self.engine.api.get(path)["rules"] for kept in _without(rule, resource, verb)]
        self.engine.merge(path, {"rules": rules})

    def take_all_away(self) -> None:
        """And let it be noticed by the watches, too."""
        self.engine.api.request("DELETE", f"{RBAC}/namespaces/{self.engine.namespace}/rolebindings/modelport")
        self.proxy.cut()


def _without(rule: dict[str, Any], resource: str, verb: str) -> Iterator[dict[str, Any]]:
    others = [one for one in rule["resources"] if one != resource]
    verbs = [one for one in rule["verbs"] if one != verb]
    if others:
        yield {**rule, "resources": others}
    if resource in rule["resources"] and verbs:
        yield {**rule, "resources": [resource], "verbs": verbs}


@pytest.fixture
def roles(stopped: Engine, tmp_path: Path) -> Iterator[Roles]:
    other = replace(stopped, namespace=f"test-{uuid.uuid4().hex[:8]}")
    stopped.api.create("/api/v1/namespaces", {"metadata": {"name": other.namespace}})
    proxy = Proxy(stopped.plane, user=USER)
    with proxy.serving(tmp_path) as kubeconfig:
        given = Roles(stopped, other, proxy)
        stopped.operator.kubeconfig = kubeconfig
        stopped.operator.arguments += ["--namespaces", other.namespace]
        stopped.operator.start()
        yield given
        stopped.operator.stop()
    stopped.api.request("DELETE", f"/api/v1/namespaces/{other.namespace}")


def test_the_missing_verb_is_told_others_go_on_and_it_mends_itself(roles: Roles) -> None:
    engine, other = roles.engine, roles.other
    for one in (engine, other):
        prepare(one)
    roles.take_away("services", "patch")
    engine.apply("new")
    stalled = until("it is told", lambda: condition(engine, "new", "Stalled"))
    assert stalled["reason"] == "Forbidden"
    assert 'cannot patch resource "services"' in stalled["message"]
    engine.apply("edited", check={"timeout": "10s"}, vllm={"maxModelLen": 512})
    until("who needs it not goes on", lambda: "512" in str(engine.items("deployments", "edited")[0]["spec"]))
    commotion(other)
    everything_is_as_it_should_be(other, PENDING)
    roles.give_back()
    commotion(engine)
    everything_is_as_it_should_be(engine, PENDING)


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(0, id="for-a-moment"), pytest.param(90, id="for-90-s", marks=[pytest.mark.long, pytest.mark.slow])],
)
def test_a_namespace_without_any_right_holds_up_no_other(roles: Roles, seconds: float) -> None:
    engine, other = roles.engine, roles.other
    for one in (engine, other):
        prepare(one)
    process = engine.operator.process
    roles.take_all_away()
    commotion(engine)
    commotion(other)
    everything_is_as_it_should_be(other, PENDING)
    time.sleep(seconds)
    roles.give_back()
    everything_is_as_it_should_be(engine, PENDING, within=90)
    assert process is not None
    assert process.poll() is None


def condition(engine: Engine, name: str, kind: str) -> dict[str, Any] | None:
    return next((one for one in engine.status(name).get("conditions", []) if one["type"] == kind), None)

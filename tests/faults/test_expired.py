"""Class 4: 410 in the middle of a watch, and what happened meanwhile was told by nobody."""

from __future__ import annotations

import pytest

from tests.engine.harness import Engine, until
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.container import Container
from tests.faults.proxy import Proxy, Refuse, Request
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

RESOURCES = ("modeldeployments",)
PAUSED = {
    "apiVersion": "modelport.io/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "childless", "annotations": {"modelport.io/reconcile": "paused"}},
    "spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo"}},
}
CHILDREN = ("deployments", "services", "configmaps", "replicasets", "pods")


def collected(engine: Engine) -> None:
    """The garbage collector has taken away what belonged to the deleted resource."""
    until("the children are gone", lambda: not engine.items("deployments", "deleted"))


@pytest.mark.parametrize(
    "unheard",
    [
        pytest.param(RESOURCES, id="resources", marks=pytest.mark.long),
        pytest.param(CHILDREN, id="children", marks=pytest.mark.long),
        pytest.param(RESOURCES + CHILDREN, id="all"),
    ],
)
def test_deletions_that_no_watch_told(proxied: Engine, proxy: Proxy, unheard: tuple[str, ...]) -> None:
    prepare(proxied)
    proxy.stall(*unheard)
    commotion(proxied)
    collected(proxied)
    proxy.seen.clear()
    proxy.expire(*unheard)
    everything_is_as_it_should_be(proxied, PENDING)
    again = [one.path for one in proxy.seen if one.write and "deleted" in one.path and one.resource in CHILDREN]
    assert again == []


@pytest.mark.long
def test_the_watches_are_refused_with_410(proxied: Engine, proxy: Proxy) -> None:
    """kopf ends the process then, which is begun anew."""
    prepare(proxied)
    with Container(proxied.operator):
        proxy.stall(*RESOURCES, *CHILDREN)
        commotion(proxied)
        collected(proxied)
        refused: set[str] = set()

        def once_each(request: Request) -> Refuse | None:
            if not request.watch or request.resource in refused:
                return None
            refused.add(request.resource)
            return Refuse(410)

        proxy.rule = once_each
        proxy.cut()
        everything_is_as_it_should_be(proxied, PENDING)
        assert refused >= {*RESOURCES, *CHILDREN}


def test_what_no_watch_of_the_resources_tells_is_found_by_the_next_comparison(stopped: Engine, proxy: Proxy) -> None:
    """A resource without children is missed by nothing else."""
    stopped.operator.program = staged.program(resync=3)
    stopped.operator.start()
    stopped.api.create(stopped.at, PAUSED)
    until("it is known", lambda: known(stopped) == 1)
    proxy.stall(*RESOURCES)
    stopped.api.request("DELETE", f"{stopped.at}/childless")
    until("it is missed", lambda: known(stopped) == 0)
    assert stopped.operator.metric("modelport_ghosts_total") == 1
    stopped.apply("unheard")
    everything_is_as_it_should_be(stopped)


def known(engine: Engine) -> float:
    """How many resources the operator remembers."""
    return engine.operator.metric('modelport_cached_objects{kind="ModelDeployment"}')

"""Two operators, one Lease: one leads, the other knows everything and takes over. And class 11: what happens to the Lease."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from tests.engine.harness import Engine, Operator, until
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.proxy import Fault, Moment, Proxy, Request, Silence
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

FIRST, SECOND = "the-first", "the-second"


@dataclass
class Pair:
    """Two processes, each behind a proxy of its own. The first leads."""

    engine: Engine
    lease: float
    """Seconds that the Lease lasts."""
    first: Operator
    second: Operator
    proxies: tuple[Proxy, Proxy]

    @property
    def at(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.engine.namespace}/leases/modelport"

    @property
    def holder(self) -> str:
        return str((self.engine.find(self.at) or {}).get("spec", {}).get("holderIdentity"))

    def signal(self, number: signal.Signals) -> None:
        """To the first."""
        assert self.first.process is not None
        self.first.process.send_signal(number)

    def the_first_ends(self) -> int:
        """Its exit status."""
        assert self.first.process is not None
        return self.first.process.wait(3 * self.lease)

    def the_second_leads(self, within: float) -> None:
        began = time.monotonic()
        until("the second leads", lambda: self.second.metric("modelport_leader") == 1, within)
        print(f"the second leads after {time.monotonic() - began:.1f} s, of a Lease of {self.lease:g} s")
        self.engine.operator = self.second

    def writes(self, of: int) -> list[float]:
        """When they were sent."""
        return [one.at for one in self.proxies[of].seen if one.write]


@pytest.fixture(
    params=[pytest.param(6.0, id="6-s"), pytest.param(15.0, id="15-s", marks=[pytest.mark.long, pytest.mark.slow])]
)
def pair(stopped: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """With a shorter Lease than users have, so that it can be run often; and with theirs."""
    operators, proxies = [], []
    with ExitStack() as stack:
        for name in (FIRST, SECOND):
            (folder := tmp_path / name).mkdir()
            proxies.append(Proxy(stopped.plane, name))
            kubeconfig = stack.enter_context(proxies[-1].serving(folder))
            operator = replace(
                stopped.operator,
                kubeconfig=kubeconfig,
                log=folder / "operator.log",
                program=staged.program(lease=request.param),
            )
            operator.launch(name)
            until("its cache is full", partial(operator.get, "/readyz"))
            operators.append(operator)
        first, second = operators
        until("the first leads", lambda: first.metric("modelport_leader") == 1)
        stopped.operator = first
        yield Pair(stopped, request.param, first, second, (proxies[0], proxies[1]))
        for proxy in proxies:
            proxy.release()
        for operator in operators:
            if operator.process is not None:
                operator.process.send_signal(signal.SIGCONT)
            operator.stop()


def test_a_clean_end_hands_over_before_the_lease_is_over(pair: Pair) -> None:
    prepare(pair.engine)
    pair.proxies[1].seen.clear()
    commotion(pair.engine)
    assert pair.first.stop() == 0
    pair.the_second_leads(within=pair.lease / 2)
    everything_is_as_it_should_be(pair.engine, PENDING)
    assert [one for one in pair.proxies[1].seen if one.lists] == []


def test_after_a_kill_the_other_takes_over_and_lists_nothing(pair: Pair) -> None:
    prepare(pair.engine)
    pair.proxies[1].seen.clear()
    commotion(pair.engine)
    pair.first.kill()
    pair.the_second_leads(within=2 * pair.lease)
    everything_is_as_it_should_be(pair.engine, PENDING)
    assert [one for one in pair.proxies[1].seen if one.lists] == []
    assert max(pair.writes(0)) < min(pair.writes(1))


def test_what_a_frozen_leader_had_sent_lands_late_and_is_repaired_once(pair: Pair) -> None:
    engine, proxy = pair.engine, pair.proxies[0]
    prepare(engine)
    proxy.hold(1, Moment.LATE, lambda one: one.write and one.resource == "deployments")
    engine.forget()
    engine.apply("edited", check={"timeout": "10s"}, vllm={"maxModelLen": 512})
    assert proxy.held.wait(30)
    pair.signal(signal.SIGSTOP)
    engine.apply("edited", check={"timeout": "10s"}, vllm={"maxModelLen": 1024})
    pair.the_second_leads(within=2 * pair.lease)
    everything_is_as_it_should_be(engine, PENDING)
    proxy.release()
    assert proxy.landed.wait(30)
    everything_is_as_it_should_be(engine, PENDING)
    assert applied(engine) == [SECOND, FIRST, SECOND]
    pair.signal(signal.SIGCONT)
    assert pair.the_first_ends() == 1
    everything_is_as_it_should_be(engine, PENDING)
    assert applied(engine) == [SECOND, FIRST, SECOND]
    assert [one.user_agent for one in engine.requests()].count(FIRST) == 1


def applied(engine: Engine) -> list[str]:
    """Who wrote the Deployment, by the audit log."""
    return [one.user_agent for one in engine.requests() if (one.verb, one.resource) == ("patch", "deployments")]


def test_a_frozen_leader_ends_when_it_goes_on_and_writes_nothing_more(pair: Pair) -> None:
    prepare(pair.engine)
    pair.signal(signal.SIGSTOP)
    commotion(pair.engine)
    pair.the_second_leads(within=2 * pair.lease)
    everything_is_as_it_should_be(pair.engine, PENDING)
    pair.signal(signal.SIGCONT)
    assert pair.the_first_ends() == 1
    assert max(pair.writes(0)) < min(pair.writes(1))
    everything_is_as_it_should_be(pair.engine, PENDING)


def test_a_deleted_lease_is_made_anew_by_its_holder(pair: Pair) -> None:
    prepare(pair.engine)
    pair.engine.api.request("DELETE", pair.at)
    commotion(pair.engine)
    until("it is there again", lambda: pair.holder == FIRST)
    everything_is_as_it_should_be(pair.engine, PENDING)
    assert pair.second.metric("modelport_leader") == 0
    assert pair.writes(1) == []


def test_a_stolen_lease_ends_the_leader_and_is_taken_back_when_the_thief_does_not_renew_it(pair: Pair) -> None:
    prepare(pair.engine)
    pair.engine.merge(pair.at, {"spec": {"holderIdentity": "a-thief"}})
    assert pair.the_first_ends() == 1
    commotion(pair.engine)
    pair.the_second_leads(within=2 * pair.lease)
    everything_is_as_it_should_be(pair.engine, PENDING)
    assert max(pair.writes(0)) < min(pair.writes(1))


def test_an_update_of_the_lease_that_is_answered_late_costs_nothing(pair: Pair) -> None:
    prepare(pair.engine)
    proxy = pair.proxies[0]
    proxy.hold(1, Moment.AT_ONCE, is_update)
    assert proxy.held.wait(30)
    commotion(pair.engine)
    time.sleep(pair.lease / 6)
    proxy.release()
    everything_is_as_it_should_be(pair.engine, PENDING)
    time.sleep(pair.lease)
    assert pair.first.metric("modelport_leader") == 1
    assert pair.writes(1) == []


def test_updates_of_the_lease_that_are_not_answered_end_the_leader_before_the_other_writes(pair: Pair) -> None:
    prepare(pair.engine)

    def unanswered(request: Request) -> Fault | None:
        return Silence(sent=True) if is_update(request) else None

    renewed = max(one.at for one in pair.proxies[0].seen if is_update(one))
    pair.proxies[0].rule = unanswered
    edits = iter(range(1, 10**6))

    def edited_and_over() -> bool:
        pair.engine.apply("edited", check={"timeout": "10s"}, vllm={"maxModelLen": next(edits)})
        return pair.first.process is not None and pair.first.process.poll() is not None

    until("the first ends", edited_and_over, within=3 * pair.lease)
    pair.the_second_leads(within=2 * pair.lease)
    everything_is_as_it_should_be(pair.engine, PENDING)
    assert max(pair.writes(0)) < renewed + pair.lease < min(pair.writes(1))


def is_update(request: Request) -> bool:
    return request.method == "PUT" and request.resource == "leases"

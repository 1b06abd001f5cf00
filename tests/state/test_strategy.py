"""The rules of roll-outs, one by one, and then all of them against a model of Kubernetes' own controllers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.render.desired import Desired, Strategy
from modelport.state.capacity import Node, Room, room
from modelport.state.observed import Child, DeploymentFacts, Observed
from modelport.state.rollout import rollout
from modelport.state.strategy import BREAKS_AFTER, Choice, Unseen, changes_in, choose

from .world import AGENT, NOW, OLD_SET, STARTED, container, counts, desire, observe, pod, replica_set

GPU = "nvidia.com/gpu"
SURGE, REPLACE = Strategy(1, 0), Strategy(0, 1)
NO_GPU = f"0/1 nodes are available: 1 Insufficient {GPU}. preemption: 0/1 nodes are available."
CREATED = "2026-01-02T03:04:05Z"  # NOW


def wants(**rules: Any) -> Desired:
    return desire(gpu={"count": 1}, rollout=rules)


AUTO = wants()
OLD_POD = pod(*STARTED, ready=True, name="old", spec_hash="old", owner=OLD_SET)
SETS = (replica_set(AUTO.spec_hash), replica_set("old", OLD_SET))


def facts(strategy: Strategy = SURGE, template: str | None = None, **changes: Any) -> DeploymentFacts:
    return replace(counts(1), strategy=strategy, template_hash=template or AUTO.template_hash, **changes)


def begins(*pods: Child, strategy: Strategy = SURGE) -> Observed:
    """The spec has another template than the Deployment."""
    return observe(facts(strategy, template="old"), pods or (OLD_POD,), sets=SETS)


def rolls(*pods: Child, strategy: Strategy = SURGE, **changes: Any) -> Observed:
    """The Deployment has the template, and pods of the old one are left."""
    counted = {"replicas": 2, "updated": 1, **changes}
    return observe(facts(strategy, **counted), (OLD_POD, *pods), sets=SETS)


def waiting(message: str = NO_GPU, seconds: float = BREAKS_AFTER) -> Child:
    """A new pod that no node takes, for so long."""
    made = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return pod(name="new", spec_hash=AUTO.spec_hash, unschedulable=message, created=made)


def chosen(observed: Observed, found: Room | Unseen | None = None, desired: Desired = AUTO) -> Choice | None:
    return choose(desired, observed, rollout(observed, desired.spec_hash), found)


def strategy(observed: Observed, found: Room | Unseen | None = None, desired: Desired = AUTO) -> Strategy:
    choice = chosen(observed, found, desired)
    assert choice is not None
    return choice.strategy


def test_1_what_the_user_says_is_done() -> None:
    full, free = Room(0, 1, 0), Room(5, 1, 0)
    assert strategy(begins(), full, wants(strategy="Surge", maxSurge=3)) == Strategy(3, 0)
    assert strategy(begins(), free, wants(strategy="Replace", maxUnavailable=2)) == Strategy(0, 2)
    assert strategy(rolls(waiting()), None, wants(strategy="Surge")) == SURGE


def test_2_what_rests_surges() -> None:
    at_rest = facts(REPLACE, replicas=1, updated=1)
    assert strategy(observe(at_rest, (pod(*STARTED, ready=True, spec_hash=AUTO.spec_hash),))) == SURGE
    assert strategy(observe(None, ())) == SURGE
    assert strategy(begins(), None, desire(gpu={"count": 1}, replicas=0)) == SURGE


def test_3_without_devices_nobody_looks_for_room() -> None:
    assert strategy(begins(), None, desire()) == SURGE


def test_4_with_devices_somebody_looks_first() -> None:
    assert chosen(begins()) is None
    assert chosen(begins(), Room(2, 3, 1)) == Choice(
        SURGE,
        "surge by 1: the cluster has room for 2 more with 1 nvidia.com/gpu each on 3 nodes that may take them (1 claimed by pods"
        " that wait)",
    )
    assert chosen(begins(), Room(0, 1, 0, "few")) == Choice(
        REPLACE,
        "replace 1 at a time: the cluster has room for 0 more with 1 nvidia.com/gpu each on 1 node that may take them (quota few"
        " allows no more)",
    )
    assert strategy(begins(), Room(2, 1, 0), wants(maxSurge=4)) == Strategy(2, 0)
    elastic = chosen(begins(), Room(0, 1, 0), wants(surgeTimeout="10m"))
    assert elastic is not None
    assert elastic.strategy == SURGE
    assert elastic.why.startswith("surge, and wait 600 s for a node")
    unseen = chosen(begins(), Unseen("the operator may not list nodes"))
    assert unseen == Choice(SURGE, "surge, and replace if the new pod finds no place: the operator may not list nodes")


def test_4_a_pod_of_its_own_that_serves_nobody_makes_room() -> None:
    """Of a revision in between, which is given up. One that is all there is has to be replaced, as no surge removes it."""
    broken = pod(AGENT, container(running=True), name="between", spec_hash="between", owner=OLD_SET)
    assert strategy(begins(OLD_POD, broken), Room(0, 1, 0)) == SURGE
    assert strategy(begins(broken), Room(0, 1, 0)) == REPLACE


def test_5_it_goes_on_as_it_began() -> None:
    assert strategy(rolls(waiting(), strategy=REPLACE)) == REPLACE
    assert strategy(rolls(strategy=Strategy(3, 0))) == Strategy(3, 0)
    behind = observe(facts(REPLACE, generation=2, observed_generation=1), (OLD_POD,), sets=SETS)
    assert strategy(behind) == REPLACE


def test_6_the_breaker() -> None:
    assert chosen(rolls(waiting())) == Choice(
        REPLACE, "replace 1 at a time: a new pod has waited 10 s for nvidia.com/gpu, which the older ones hold"
    )
    assert strategy(rolls(waiting("0/1 nodes are available: 1 cannot allocate all claims."))) == REPLACE
    assert strategy(rolls(waiting(seconds=BREAKS_AFTER - 1))) == SURGE
    assert strategy(rolls(waiting("0/1 nodes are available: 1 node(s) had untolerated taint(s)."))) == SURGE
    assert strategy(rolls(waiting("0/1 nodes are available: 1 Insufficient example.com/other."))) == SURGE
    over = 'pods "a-1" is forbidden: exceeded quota: few, requested: requests.nvidia.com/gpu=1'
    assert strategy(rolls(replica_failure=over, replicas=1, updated=0)) == REPLACE
    assert strategy(rolls(waiting(seconds=599)), None, wants(surgeTimeout="10m")) == SURGE
    assert strategy(rolls(waiting(seconds=600)), None, wants(surgeTimeout="10m")) == REPLACE


def test_6_when_the_breaker_acts_is_known_beforehand() -> None:
    observed = rolls(waiting(seconds=4))
    view = rollout(observed, AUTO.spec_hash)
    assert changes_in(AUTO, observed, view) == BREAKS_AFTER - 4
    done = rolls(waiting())
    assert changes_in(AUTO, done, rollout(done, AUTO.spec_hash)) is None
    assert changes_in(wants(strategy="Surge"), observed, view) is None


@dataclass
class Cluster:
    """Kubernetes' Deployment controller, ReplicaSets, scheduler and kubelet, as far as they decide who has a GPU and who serves;
    and the operator, which chooses the strategy."""

    replicas: int
    gpus: int
    taken: int = 0
    """GPUs that others use."""
    revision: int = 0
    applied: int = 0
    strategy: Strategy = SURGE
    now: datetime = NOW
    pods: list[tuple[int, str, datetime]] = field(default_factory=list)
    """Revision; pending, bound or ready; when it was made."""

    def good(self, revision: int) -> bool:
        """Every third one never becomes ready."""
        return revision % 3 != 2

    def count(self, state: str) -> int:
        return sum(found == state for _, found, _ in self.pods)

    @property
    def free(self) -> int:
        return self.gpus - self.taken - self.count("bound") - self.count("ready")

    @property
    def done(self) -> bool:
        ours = [state for revision, state, _ in self.pods if revision == self.revision]
        return ours == ["ready"] * self.replicas == [state for _, state, _ in self.pods]

    def operate(self) -> None:
        """The operator looks, and applies."""
        desired = desire(gpu={"count": 1}, replicas=self.replicas, env=[{"name": "R", "value": str(self.revision)}])
        free = Node("n", {}, (), True, {GPU: 99_000, "cpu": 10**9, "memory": 10**18, "pods": 10**9}, {GPU: self.free * 1000, "cpu": 10**9, "memory": 10**18, "pods": 10**9})  # fmt: skip
        observed = self.observed(desired)
        view = rollout(observed, desired.spec_hash)
        choice = choose(desired, observed, view, room(desired.demand, [free], [], []))
        assert choice is not None
        self.strategy, self.applied = choice.strategy, self.revision

    def observed(self, desired: Desired) -> Observed:
        current = [state for revision, state, _ in self.pods if revision == self.applied]
        told = DeploymentFacts(
            1, 1, self.replicas, len(self.pods), len(current), self.count("ready"), self.count("ready"), False, None,
            self.strategy, desired.template_hash if self.applied == self.revision else "another",
        )  # fmt: skip
        return replace(
            observe(told, tuple(self.pod(n, desired) for n in range(len(self.pods))), sets=SETS), now=self.now
        )

    def pod(self, number: int, desired: Desired) -> Child:
        revision, state, made = self.pods[number]
        newest = revision == self.revision
        return pod(
            *(() if state == "pending" else STARTED),
            ready=state == "ready",
            name=f"pod-{number}",
            spec_hash=desired.spec_hash if newest else f"old-{revision}",
            owner="uid-rs-current" if newest else OLD_SET,
            unschedulable=NO_GPU if state == "pending" else None,
            created=made.isoformat(),
        )

    def roll(self) -> None:
        """One step of the Deployment's controller, as its source has it."""
        new = [one for one in self.pods if one[0] == self.applied]
        more = min(self.replicas + self.strategy.surge - len(self.pods), self.replicas - len(new))
        if more > 0:
            self.pods += [(self.applied, "pending", self.now)] * more
            return
        least = self.replicas - self.strategy.unavailable
        unready = sum(state != "ready" for _, state, _ in new)
        down = len(self.pods) - least - unready
        for one in [one for one in self.pods if one[0] != self.applied and one[1] != "ready"][: max(0, down)]:
            self.pods.remove(one)
        old = [one for one in self.pods if one[0] != self.applied and one[1] == "ready"]
        if down > 0:
            for one in old[: max(0, self.count("ready") - least)]:
                self.pods.remove(one)
        surplus = len([one for one in self.pods if one[0] == self.applied]) - self.replicas
        for one in sorted(new, key=lambda one: one[1] == "ready")[: max(0, surplus)]:
            self.pods.remove(one)

    def run(self) -> None:
        """The scheduler gives what is free to who waits; what was bound and is good becomes ready."""
        for number, (revision, state, made) in enumerate(self.pods):
            if state == "bound" and self.good(revision):
                self.pods[number] = (revision, "ready", made)
            elif state == "pending" and self.free > 0:
                self.pods[number] = (revision, "bound", made)

    def step(self, seconds: float = 3) -> None:
        self.now += timedelta(seconds=seconds)
        self.operate()
        self.roll()
        self.run()

    def settle(self) -> bool:
        """Whether it is done within a bounded number of steps."""
        for _ in range(40 * self.replicas):
            if self.done:
                return True
            self.step()
        return False


def running(replicas: int, gpus: int) -> Cluster:
    cluster = Cluster(replicas, gpus)
    assert cluster.settle()
    return cluster


@pytest.mark.parametrize(("replicas", "gpus"), [(1, 1), (8, 8), (2, 3), (1, 2)])
def test_a_change_ends_with_as_many_gpus_as_replicas_or_more(replicas: int, gpus: int) -> None:
    cluster = running(replicas, gpus)
    cluster.revision, least = 1, replicas
    for _ in range(100):
        cluster.step()
        least = min(least, cluster.count("ready"))
    assert cluster.done
    assert least == (replicas if gpus > replicas else replicas - 1)
    assert cluster.strategy == SURGE


def test_somebody_takes_the_place_between_decision_and_binding() -> None:
    cluster = running(2, 3)
    cluster.revision = 1
    cluster.operate()
    assert cluster.strategy == SURGE
    cluster.taken = 1
    cluster.roll()
    assert cluster.settle()


def test_a_revision_that_never_becomes_ready_costs_no_more_than_promised() -> None:
    for gpus, floor in ((3, 2), (2, 1)):
        cluster = running(2, gpus)
        cluster.revision = 2
        for _ in range(50):
            cluster.step()
            assert cluster.count("ready") >= floor
        cluster.revision = 3
        for _ in range(50):
            cluster.step()
            assert cluster.count("ready") >= floor
        assert cluster.done


def test_a_revert_is_a_scale_back() -> None:
    cluster = running(3, 3)
    cluster.revision = 2
    for _ in range(6):
        cluster.step()
    serving = [one for one in cluster.pods if one[1] == "ready"]
    assert len(serving) == 2
    cluster.revision = 0
    assert cluster.settle()
    assert [one for one in serving if one in cluster.pods] == serving


EDITS = st.lists(
    st.tuples(st.sampled_from(["edit", "take", "give", "wait", "wait", "wait"]), st.integers(0, 8)), max_size=25
)


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 4), st.integers(0, 2), EDITS)
def test_whatever_people_do_the_floor_holds_and_a_good_revision_gets_there(
    replicas: int, spare: int, edits: list[tuple[str, int]]
) -> None:
    """Others take what is free, never what is in use; each edit is another revision, or an earlier one again."""
    cluster = running(replicas, replicas + spare)
    for what, number in edits:
        if what == "edit":
            cluster.revision = number
        elif what == "take":
            cluster.taken += max(0, min(number, cluster.free))
        elif what == "give":
            cluster.taken = max(0, cluster.taken - number)
        cluster.step()
        assert cluster.count("ready") >= replicas - 1, cluster
    cluster.revision, cluster.taken = 9, 0
    assert cluster.settle(), cluster

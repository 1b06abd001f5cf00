"""The whole engine against the API server in memory: whatever users, other controllers, the network and Kubernetes do to
it, and whenever it is killed, everything ends as it has to, and nothing happens on the way that never may.

Ten times as many examples: MODELPORT_EFFORT=10.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelport.api.names import ANNOTATION_RECONCILE, LABEL_NAME, LABEL_ROLE, PAUSED
from modelport.kube.kinds import CHILD_KINDS, DEPLOYMENT, MODEL_DEPLOYMENT, NAMESPACE, SERVICE, WATCHED, Kind
from tests.memory import controllers
from tests.memory.line import WAY, Fault
from tests.memory.world import Key, World

EFFORT = int(os.environ.get("MODELPORT_EFFORT", "1"))
ENDING = "ending"
"""The namespace that users delete now and then."""
ALPHA = ("models", "alpha")
KINDS = {kind.name: kind for kind in (*CHILD_KINDS.values(), MODEL_DEPLOYMENT)}
HOLD = {"metadata": {"finalizers": ["example.com/hold"]}}

VLLM = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}}
SPECS = st.sampled_from(
    [
        VLLM,
        {**VLLM, "replicas": 2},
        {**VLLM, "replicas": 0},
        {**VLLM, "suspend": True},
        {**VLLM, "vllm": {"maxModelLen": 512}},
        {**VLLM, "check": {"timeout": "10s"}, "env": [{"name": "A", "value": "1"}]},
        {"runtime": "triton", "model": {"uri": "pvc://repository", "names": ["a"], "size": "1Gi"}},
        {"runtime": "fastapi", "image": "docker.io/library/app:1", "fastapi": {"app": "app:app"}},
        {**VLLM, "vllm": {"extraArgs": ["--max-model-len=5"]}},
        {**VLLM, "podTemplate": {"spec": {"containers": [{"name": "server", "colour": "red"}]}}},
    ]
)
"""The last but one is invalid, and the last is refused by the API server."""
KEYS = st.sampled_from([ALPHA, ALPHA, ALPHA, ("models", "beta"), (ENDING, "alpha")])
CHILDREN = st.sampled_from(sorted(CHILD_KINDS))
NAMED = st.sampled_from(["Deployment", "Service"])
"""Children that have their resource's name."""
PLURALS = [kind.plural for kind in (MODEL_DEPLOYMENT, *WATCHED)]
WATCHES = st.sampled_from(PLURALS)
LAGS = st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0])
"""Seconds after which watches of a kind tell what has happened, so that the kinds overtake each other."""
FAULTS = st.builds(
    Fault,
    answer=st.sampled_from([200, 200, 429, 500, 0, -1]),
    carried_out=st.booleans(),
    late=st.sampled_from([0.0, 0.0, 0.5, 30.0]),
    answered_late=st.sampled_from([0.0, 0.5, 5.0]),
    writes_only=st.sampled_from([True, True, False]),
).filter(lambda fault: fault.carried_out or fault.answer != 200)
THEN = st.sampled_from([0.0, 0.0, 0.0015, 0.003, 0.02, 0.02, 0.5, 2.0, 20.0])
"""Seconds that pass before the next thing happens."""


def server_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The container that serves."""
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one["name"] == "server"), containers[0])


def put(items: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Add it, or have it in the place of the one of its name."""
    items[:] = [one for one in items if one["name"] != item["name"]] + [item]


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another image": lambda d: server_of(d).update(image="mine:1"),
    "another variable": lambda d: put(server_of(d).setdefault("env", []), {"name": "HOME", "value": "/mine"}),
    "no arguments": lambda d: server_of(d).pop("args", None),
    "more replicas": lambda d: d["spec"].update(replicas=5),
    "a variable of their own": lambda d: put(server_of(d).setdefault("env", []), {"name": "MINE", "value": "1"}),
    "a sidecar": lambda d: put(d["spec"]["template"]["spec"]["containers"], {"name": "mine", "image": "mine:1"}),
}
"""What users do to a Deployment."""
THEIRS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "a variable of their own": lambda d: any(one["name"] == "MINE" for one in server_of(d).get("env") or ()),
    "a sidecar": lambda d: any(one["name"] == "mine" for one in d["spec"]["template"]["spec"]["containers"]),
    "labels": lambda d: "mine" in (d["metadata"].get("labels") or {}),
    "annotations": lambda d: "mine" in (d["metadata"].get("annotations") or {}),
}
"""What they add beside ours, and how to see that it is there."""
METADATA: dict[str, dict[str, Any]] = {
    "labels": {"labels": {"mine": "x"}},
    "annotations": {"annotations": {"mine": "x"}},
    "our label": {"labels": {LABEL_NAME: "beta"}},
    "no label": {"labels": {LABEL_NAME: None}},
    "no role": {"labels": {LABEL_ROLE: None}},
    "nobody's": {"ownerReferences": None},
    "held": HOLD["metadata"],
}
"""What they do to any child."""
PORTS = [{"name": "http", "port": 8000, "targetPort": 1}, {"name": "mine", "port": 1234}]
STEPS = {
    "garbage is collected": controllers.collect_garbage,
    "namespaces end": controllers.end_namespaces,
    "Deployments roll out": controllers.deploy,
    "pods become ready": controllers.run_pods,
    "no model answers": controllers.stop_answering,
}


class Engine(RuleBasedStateMachine):
    """Everything that can happen, in any order, from one resource on that is as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.added: list[tuple[Kind, str, str]] = []
        for name in ("models", ENDING):
            self.world.make_namespace(name)
        self.world.start("a")

    @initialize(spec=SPECS, lags=st.lists(LAGS, min_size=len(PLURALS), max_size=len(PLURALS)))
    def begins(self, spec: dict[str, Any], lags: list[float]) -> None:
        self.world.server.history.lags = dict(zip(PLURALS, lags, strict=True))
        self.world.apply(MODEL_DEPLOYMENT, ALPHA, {"spec": spec})
        for _ in range(3):
            self.world.run(0.5)
            self.world.act()

    def teardown(self) -> None:
        try:
            self.everything_comes_right()
        finally:
            self.world.close()

    @rule()
    def everything_comes_right(self) -> None:
        self.world.settle()
        for kind, uid, what in self.added:
            for document in self.world.server.find(kind):
                assert document["metadata"]["uid"] != uid or THEIRS[what](document), f"{what}: lost"

    @invariant()
    def nothing_happens_that_never_may(self) -> None:
        self.world.check()

    @rule(seconds=st.sampled_from([1.0, 10.0, 80.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(key=KEYS, spec=SPECS, then=THEN)
    def apply(self, key: Key, spec: dict[str, Any], then: float) -> None:
        self.world.apply(MODEL_DEPLOYMENT, key, {"spec": spec})
        self.world.run(then)

    @rule(key=KEYS, how=st.sampled_from(["", "held", "unseen", "collected", "unseen and collected"]), then=THEN)
    def delete(self, key: Key, how: str, then: float) -> None:
        if how == "held":
            self.world.patch(MODEL_DEPLOYMENT, key, HOLD)
        self.unseen("unseen" in how, MODEL_DEPLOYMENT, lambda: self.world.send("DELETE", MODEL_DEPLOYMENT, key))
        if "collected" in how:
            controllers.collect_garbage(self.world.server)
        self.world.run(then)

    @rule(key=KEYS, spec=SPECS, meanwhile=st.sampled_from([0.0, 0.0, 0.003]), collected=st.booleans(), then=THEN)
    def make_anew(self, key: Key, spec: dict[str, Any], meanwhile: float, collected: bool, then: float) -> None:
        self.world.send("DELETE", MODEL_DEPLOYMENT, key)
        if collected:
            controllers.collect_garbage(self.world.server)
        self.world.run(meanwhile)
        self.apply(key, spec, then)

    @rule(key=KEYS, value=st.sampled_from([PAUSED, None]), then=THEN)
    def pause(self, key: Key, value: str | None, then: float) -> None:
        self.world.patch(MODEL_DEPLOYMENT, key, {"metadata": {"annotations": {ANNOTATION_RECONCILE: value}}})
        self.world.run(then)

    @rule(key=KEYS, what=st.sampled_from(sorted(EDITS)), then=THEN)
    def edit_the_deployment(self, key: Key, what: str, then: float) -> None:
        self.edit(key, what, EDITS[what])
        self.world.run(then)

    @rule(key=KEYS, kind=CHILDREN, what=st.sampled_from(sorted(METADATA)), then=THEN)
    def edit_metadata(self, key: Key, kind: str, what: str, then: float) -> None:
        for found in self.children(KINDS[kind], key):
            self.world.patch(KINDS[kind], (key[0], found["metadata"]["name"]), {"metadata": METADATA[what]})
            self.remember(KINDS[kind], found, what)
        self.world.run(then)

    @rule(key=KEYS, port=st.sampled_from(PORTS), then=THEN)
    def edit_the_service(self, key: Key, port: dict[str, Any], then: float) -> None:
        self.world.patch(SERVICE, key, {"spec": {"ports": [port]}})
        self.world.run(then)

    @rule(key=KEYS, kind=CHILDREN, how=st.sampled_from(["", "held", "unseen"]), then=THEN)
    def delete_children(self, key: Key, kind: str, how: str, then: float) -> None:
        for found in self.children(KINDS[kind], key):
            place = (key[0], found["metadata"]["name"])
            if how == "held":
                self.world.patch(KINDS[kind], place, HOLD)
            self.unseen(how == "unseen", KINDS[kind], lambda at=place: self.world.send("DELETE", KINDS[kind], at))  # type: ignore[misc]
        self.world.run(then)

    @rule(key=KEYS, kind=NAMED, labelled=st.booleans(), then=THEN)
    def take_the_name(self, key: Key, kind: str, labelled: bool, then: float) -> None:
        self.world.send("DELETE", KINDS[kind], key)
        labels = {LABEL_NAME: key[1]} if labelled else {"app": "theirs"}
        spec: dict[str, Any] = {"selector": labels, "ports": [{"port": 80}]}
        if kind == "Deployment":
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "theirs", "image": "x:1"}]}}
            spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 1}
        body = {"metadata": {"name": key[1], "labels": labels}, "spec": spec}
        self.world.server.request("POST", f"{KINDS[kind].path(key[0])}?fieldManager=somebody", body)
        self.world.run(then)

    @rule(key=KEYS, kind=NAMED, then=THEN)
    def free_the_name(self, key: Key, kind: str, then: float) -> None:
        found = self.world.find(KINDS[kind], key)
        if found is not None and not found["metadata"].get("ownerReferences"):
            self.world.send("DELETE", KINDS[kind], key)
        self.world.run(then)

    @rule(key=KEYS, times=st.integers(3, 5))
    def fight(self, key: Key, times: int) -> None:
        for number in range(times):
            self.edit(key, "another image", lambda d, n=number: server_of(d).update(image=f"mine:{n}"))  # type: ignore[misc]
            self.world.run(1.0)

    @rule(there=st.booleans(), then=THEN)
    def make_or_delete_the_namespace(self, there: bool, then: float) -> None:
        if there:
            self.world.make_namespace(ENDING)
        else:
            self.world.send("DELETE", NAMESPACE, ("", ENDING))
        self.world.run(then)

    @rule(step=st.sampled_from(sorted(STEPS)), then=THEN)
    def a_controller_acts(self, step: str, then: float) -> None:
        STEPS[step](self.world.server)
        self.world.run(then)

    @rule(then=THEN)
    def all_controllers_act(self, then: float) -> None:
        self.world.act()
        self.world.run(then)

    @rule(fault=FAULTS, times=st.sampled_from([1, 1, 2, 6]))
    def requests_go_wrong(self, fault: Fault, times: int) -> None:
        for operator in self.world.operators.values():
            operator.session.faults += [fault] * times

    @rule(there=st.sampled_from([WAY, WAY, 0.3]), back=st.sampled_from([WAY, 0.3, 5.0]), then=THEN)
    def the_network_is_slow_or_fast(self, there: float, back: float, then: float) -> None:
        for operator in self.world.operators.values():
            operator.session.there, operator.session.back = there, back
        self.world.run(then)

    @rule(lost=st.sampled_from(["patch", "delete", "get", None]), kind=st.sampled_from(sorted(KINDS)), then=THEN)
    def a_right_is_lost_or_all_are_given(self, lost: str | None, kind: str, then: float) -> None:
        if lost is None:
            self.world.forbidden.clear()
        else:
            self.world.forbidden.add((lost, KINDS[kind].plural))
        self.world.run(then)

    @rule(kind=CHILDREN, refuses=st.booleans(), then=THEN)
    def a_policy_refuses_or_is_taken_away(self, kind: str, refuses: bool, then: float) -> None:
        self.world.refused = {KINDS[kind].plural} if refuses else set()
        self.world.run(then)

    @rule(
        plural=WATCHES,
        what=st.sampled_from(["hold", "hold", "release", "break_off", "strike_dumb", "repeat", "expire"]),
        then=THEN,
    )
    def something_is_with_a_watch(self, plural: str, what: str, then: float) -> None:
        history = self.world.server.history
        if what == "expire":
            history.expire()
            self.world.server.expire_pages()
        else:
            getattr(history, what)(plural)
        self.world.run(then)

    @rule(
        name=st.sampled_from(["a", "a", "b"]),
        what=st.sampled_from(["start", "start", "kill", "kill and start", "stop", "freeze", "go on"]),
        then=THEN,
    )
    def something_is_with_an_operator(self, name: str, what: str, then: float) -> None:
        there = name in self.world.operators
        if there and "kill" in what:
            self.world.kill(name)
            there = False
        if there and what in ("freeze", "go on"):
            self.world.operators[name].frozen = what == "freeze"
        if there and what == "stop":
            self.world.operators[name].stop()
        if not there and "start" in what:
            self.world.start(name)
        self.world.run(then)

    def edit(self, key: Key, what: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Read the Deployment, change it, and write what is changed."""
        found = self.world.find(DEPLOYMENT, key)
        if found is not None:
            new = deepcopy(found["spec"])
            change({"spec": new})
            self.world.patch(DEPLOYMENT, key, {"spec": new})
            self.remember(DEPLOYMENT, found, what)

    def remember(self, kind: Kind, document: Mapping[str, Any], what: str) -> None:
        """What users added has to be there in the end, if the object is."""
        if what in THEIRS:
            self.added.append((kind, document["metadata"]["uid"], what))

    def unseen(self, unseen: bool, kind: Kind, happens: Callable[[], object]) -> None:
        """It happens, and nobody who watches is ever told."""
        if unseen:
            self.world.server.history.hold(kind.plural)
        happens()
        if unseen:
            self.world.run(0.0)  # those who watch other kinds are told of theirs
            self.world.server.history.expire()

    def children(self, kind: Kind, key: Key) -> list[dict[str, Any]]:
        """Those that belong to a resource of that name, by their owner reference."""
        found = self.world.server.find(kind, key[0])
        return [one for one in found if any(r["name"] == key[1] for r in one["metadata"].get("ownerReferences") or ())]


TestEngine = pytest.mark.timeout(300 * EFFORT)(Engine.TestCase)
TestEngine.settings = settings(
    max_examples=150 * EFFORT,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    report_multiple_bugs=False,
)

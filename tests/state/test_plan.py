"""What is written and deleted, and what never is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.render.desired import Desired
from modelport.state.observed import Child, Observed, Obstacle, Resource
from modelport.state.plan import Adopt, Apply, Delete, Plan, judge_existing, plan

from .world import (
    DESIRED,
    NAME,
    NAMESPACE,
    NOW,
    OLD_SET,
    UID,
    accepted,
    counts,
    desire,
    made,
    observe,
    replica_set,
    resource,
)

OLD_MAP = Child("ConfigMap", NAMESPACE, "assistant-old", "uid-old", "3", UID, NAME, False, "x", b"x")
STRANGER = replace(OLD_MAP, owner_uid="uid-other", owner="ModelDeployment.modelport.io/other")


def steps(found: Plan) -> list[tuple[str, bool]]:
    return [(step.child.kind, step.create) for step in found.apply]


def settled(*more: Child, **changes: Any) -> Observed:
    """All as desired, and these further children."""
    return observe(counts(1), children=(*made(deployment=counts(1)), *more), **changes)


def changed(kind: str, **changes: Any) -> Observed:
    children = tuple(replace(c, **changes) if c.kind == kind else c for c in made(deployment=counts(1)))
    return observe(counts(1), children=children)


def test_nothing_there_means_three_creations_in_order() -> None:
    assert steps(plan(DESIRED, Observed(resource(), NOW))) == [
        ("ConfigMap", True),
        ("Service", True),
        ("Deployment", True),
    ]


def test_nothing_changed_means_nothing_to_do() -> None:
    assert plan(DESIRED, settled()) == Plan()


PARTS: dict[str, tuple[Observed, list[tuple[str, bool]]]] = {
    "another hash": (changed("Service", applied_hash="x"), [("Service", False)]),
    "another digest": (changed("Deployment", digest=b"x"), [("Deployment", False)]),
    "ownership thrown away": (changed("Service", digest=None), [("Service", False)]),
    "missing": (observe(children=made()[1:]), [("ConfigMap", True)]),
    "owned by somebody else": (changed("Service", owner_uid="uid-other"), [("Service", True)]),
    "owned by nobody": (changed("Service", owner_uid=None), [("Service", True)]),
    "going away": (changed("Service", deleting=True, applied_hash="x"), []),
}


@pytest.mark.parametrize("what", PARTS)
def test_one_child_that_is_not_as_desired(what: str) -> None:
    observed, expected = PARTS[what]
    assert steps(plan(DESIRED, observed)) == expected


@pytest.mark.parametrize("of", [resource(paused=True), resource(deleting=True)], ids=["paused", "deleting"])
def test_nothing_is_written_while_paused_or_deleting(of: Resource) -> None:
    assert plan(DESIRED, Observed(of, NOW, children=(OLD_MAP,))) == Plan()


def test_what_the_server_made_of_our_apply_is_never_drift() -> None:
    """Without memory the owned paths decide; with it the answer to our own apply does, so that no apply can loop."""
    odd = observe(counts(1), children=made(deployment=counts(1), owned='{"f:data":{}}'), accepted={})
    assert steps(plan(DESIRED, odd)) == [("ConfigMap", False), ("Service", False), ("Deployment", False)]
    assert plan(DESIRED, replace(odd, accepted=accepted())) == Plan()


def test_memory_of_another_hash_counts_for_nothing() -> None:
    old = dict.fromkeys(accepted(), ("other", b"d"))
    assert len(plan(DESIRED, replace(settled(), accepted=old)).apply) == 3


MAPS: dict[str, tuple[Observed, bool]] = {
    "no ReplicaSet needs it": (settled(OLD_MAP), True),
    "an old ReplicaSet needs it": (
        settled(OLD_MAP, sets=(replica_set(), replica_set("old", OLD_SET, 0, ("assistant-old",)))),
        False,
    ),
    "a ReplicaSet that is being deleted needs it": (
        settled(
            OLD_MAP,
            sets=(
                replica_set(),
                replace(replica_set("old", OLD_SET, 0, ("assistant-old",)), deleting=True),
            ),
        ),
        False,
    ),
    "the Deployment is not there": (observe(children=(*made()[:2], OLD_MAP)), False),
    "the Deployment's controller has not acted": (
        observe(children=(*made(deployment=counts(1, generation=2)), OLD_MAP)),
        False,
    ),
    "the Deployment is about to be written": (
        observe(children=(*made(desire(vllm={"maxModelLen": 9}), counts(1)), OLD_MAP)),
        False,
    ),
    "no ReplicaSet is known yet": (settled(OLD_MAP, sets=()), False),
    "the ReplicaSet of today is not known yet": (
        settled(OLD_MAP, sets=(replica_set("old", OLD_SET, maps=("other",)),)),
        False,
    ),
    "it belongs to somebody else": (settled(STRANGER), False),
    "it belongs to nobody": (settled(replace(OLD_MAP, owner_uid=None)), False),
    "it is going already": (settled(replace(OLD_MAP, deleting=True)), False),
}


@pytest.mark.parametrize("what", MAPS)
def test_an_old_config_map_is_deleted_only_when_no_revision_can_need_it(what: str) -> None:
    observed, deleted = MAPS[what]
    assert plan(DESIRED, observed).delete == ((Delete("ConfigMap", "assistant-old", "uid-old"),) if deleted else ())


def test_other_children_that_are_not_desired_any_more_are_deleted() -> None:
    extra = replace(OLD_MAP, kind="Service", name="assistant-extra", uid="uid-extra")
    assert plan(DESIRED, settled(extra)).delete == (Delete("Service", "assistant-extra", "uid-extra"),)


def existing(**changes: Any) -> Child:
    return replace(OLD_MAP, **{"owner": "ModelDeployment.modelport.io/assistant", **changes})


JUDGED: dict[str, tuple[Child, str | None, str]] = {
    "ours": (existing(), None, ""),
    "ours and going away": (existing(deleting=True), "WaitingForCleanup", "of an earlier object is still there"),
    "ours, going away and held": (
        existing(deleting=True, held_by=("a.example/b", "foregroundDeletion")),
        "WaitingForCleanup",
        "of an earlier object is still there, held by its finalizers a.example/b, foregroundDeletion; waiting until it is gone",
    ),
    "of our predecessor": (existing(owner_uid="uid-before"), "WaitingForCleanup", "of a deleted resource of the same name"),
    "somebody else's and going away": (existing(owner_uid="x", owner="Foo/x", deleting=True), "WaitingForCleanup", "waiting"),
    "of another ModelDeployment": (STRANGER, "NameTaken", "belongs to ModelDeployment.modelport.io/other; rename"),
    "of an operator with a kind of the same name": (
        existing(owner_uid="x", owner="ModelDeployment.example.com/assistant"),
        "NameTaken",
        "belongs to ModelDeployment.example.com/assistant",
    ),
    "made by hand": (
        existing(owner_uid=None, owner=None),
        "NameTaken",
        "ConfigMap assistant-old already exists and was made by kubectl; rename this ModelDeployment, or delete that ConfigMap",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", JUDGED)
def test_what_has_the_name_already(what: str) -> None:
    child, reason, text = JUDGED[what]
    judged = judge_existing(child, "kubectl", resource())
    if reason is None:
        assert judged == Adopt()
    else:
        assert isinstance(judged, Obstacle)
        assert judged.reason == reason
        assert text in judged.message


SPECS = (DESIRED, desire(replicas=2), desire(vllm={"maxModelLen": 9}), desire(suspend=True))
child_states = st.fixed_dictionaries(
    {
        "applied_hash": st.sampled_from(["x", None, "keep"]),
        "digest": st.sampled_from([b"d", b"x", None]),
        "deleting": st.booleans(),
        "owner_uid": st.sampled_from([UID, "uid-other", None]),
    }
)


def carried_out(found: Plan, observed: Observed, desired: Desired) -> Observed:
    """The world after the API server has done all of it."""
    gone = {step.uid for step in found.delete}
    written = {(step.child.kind, step.child.name) for step in found.apply}
    kept = [c for c in observed.children if c.uid not in gone and (c.kind, c.name) not in written]
    new = [c for c in made(desired, counts(1)) if (c.kind, c.name) in written]
    return replace(observed, children=(*kept, *new), accepted=accepted(desired))


@settings(deadline=None)
@given(st.sampled_from(SPECS), st.sampled_from(SPECS), st.lists(child_states, min_size=3, max_size=3))
def test_after_the_plan_there_is_nothing_left_to_apply(before: Desired, desired: Desired, states: list[Any]) -> None:
    children = tuple(
        replace(
            child,
            **{
                **state,
                "applied_hash": child.applied_hash if state["applied_hash"] == "keep" else state["applied_hash"],
            },
        )
        for child, state in zip(made(before, counts(1)), states, strict=True)
    )
    observed = observe(children=children, sets=(), accepted={})
    found = plan(desired, observed)
    assert all(isinstance(step, Apply) for step in found.apply)
    after = carried_out(found, observed, desired)
    assert plan(desired, after).apply == ()
    last = carried_out(plan(desired, after), after, desired)
    assert plan(desired, last) == Plan()


@settings(deadline=None)
@given(st.sampled_from(SPECS), st.lists(child_states, min_size=3, max_size=3))
def test_nothing_of_anybody_else_is_ever_deleted_or_merged_into(desired: Desired, states: list[Any]) -> None:
    children = tuple(replace(child, **state) for child, state in zip(made(DESIRED, counts(1)), states, strict=True))
    found = plan(desired, observe(children=children, sets=(), accepted={}))
    ours = {(c.kind, c.name) for c in children if c.owner_uid == UID}
    assert all(step.create or (step.child.kind, step.child.name) in ours for step in found.apply)
    assert all((step.kind, step.name) in ours for step in found.delete)

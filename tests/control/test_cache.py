"""The cache: older never replaces newer, re-lists find lost deletions, our own writes are no news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelport.control.cache import Cache, News
from modelport.state.observed import Child, DeploymentFacts, Key, PodFacts, Resource

KEY = ("ns", "a")


def resource(version: int, **fields: object) -> Resource:
    base = Resource("ns", "a", "uid-a", 1, str(version), False, False, {"runtime": "vllm"}, {"observedGeneration": -1})
    return replace(base, **fields)  # type: ignore[arg-type]


def child(version: int, name: str = "a", kind: str = "Service", uid: str = "uid-s", **fields: object) -> Child:
    base = Child(kind, "ns", name, uid, str(version), "uid-a", "a", False, "hash", b"digest")
    return replace(base, **fields)  # type: ignore[arg-type]


@pytest.fixture
def told() -> list[tuple[Key, News]]:
    return []


@pytest.fixture
def cache(told: list[tuple[Key, News]]) -> Cache:
    return Cache(lambda key, news: told.append((key, news)))


def test_news_are_told_once(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.put_resource(resource(5))
    cache.put_resource(resource(5))
    cache.put_resource(resource(6))  # only the version is new
    cache.seen(child(7))
    cache.seen(child(8))
    assert told == [(KEY, News.RESOURCE), (KEY, News.CHILD)]


def test_readiness_is_told_as_such(cache: Cache, told: list[tuple[Key, News]]) -> None:
    facts = DeploymentFacts(1, 1, 1, 1, 1, 0, 0, False, None)
    for version, changed in enumerate(({"ready": 0}, {"replicas": 2}, {"ready": 1}, {"replicas": 1}, {"ready": 0})):
        facts = replace(facts, **changed)
        cache.seen(child(version + 5, kind="Deployment", facts=facts))
    news = [News.CHILD, News.CHILD, News.READINESS, News.CHILD, News.READINESS]
    assert told == [(KEY, one) for one in news]


def test_a_pod_that_begins_to_serve_waits_for_its_deployments_count(cache: Cache, told: list[tuple[Key, News]]) -> None:
    for version, ready in enumerate((False, True, False)):
        cache.seen(child(version + 5, kind="Pod", facts=PodFacts("Running", ready, None, None, "node", None, (), "")))
    assert told == [(KEY, News.CHILD), (KEY, News.CHILD), (KEY, News.READINESS)]


def test_a_pod_that_was_counted_before_it_was_seen_to_serve_waits_for_nothing(
    cache: Cache, told: list[tuple[Key, News]]
) -> None:
    """Pods and Deployments are watched apart: what happened first may be told last."""
    pod = child(5, name="pod", kind="Pod", facts=PodFacts("Running", False, None, None, "node", None, (), ""))
    cache.seen(pod)
    cache.seen(child(6, kind="Deployment", facts=DeploymentFacts(1, 1, 1, 1, 1, 1, 1, False, None)))
    cache.seen(replace(pod, resource_version="4000", facts=replace(pod.facts, ready=True)))
    assert [one for _, one in told] == [News.CHILD, News.READINESS, News.READINESS]


def test_an_older_version_changes_nothing(cache: Cache) -> None:
    cache.own_write(child(9, applied_hash="new"))
    cache.seen(child(8, applied_hash="old"))
    assert cache.children(KEY)[0].applied_hash == "new"


def test_versions_are_numbers_not_texts(cache: Cache) -> None:
    cache.seen(child(9, applied_hash="old"))
    cache.seen(child(10, applied_hash="new"))
    assert cache.children(KEY)[0].applied_hash == "new"


def test_our_own_write_is_no_news(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.own_write(child(9))
    cache.seen(child(9))
    assert told == []


def test_our_own_status_is_no_news_but_an_edit_in_its_answer_is(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.put_resource(resource(5))
    told.clear()
    cache.own_status(resource(6, status={"phase": "Ready"}))
    assert told == []
    cache.own_status(resource(8, generation=2, status={"phase": "Ready"}))
    assert told == [(KEY, News.RESOURCE)]


def test_a_lost_deletion_is_found_by_the_list(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.put_resource(resource(1))
    cache.seen(child(2))
    cache.seen(child(3, name="b", uid="uid-b"))
    told.clear()
    cache.listed("Service", None, [child(3, name="b", uid="uid-b")], "10")
    assert [c.name for c in cache.children(KEY)] == ["b"]
    assert told == [(KEY, News.CHILD)]
    assert cache.vanished(KEY, "uid-a")


def test_a_list_does_not_delete_what_is_younger_or_elsewhere(cache: Cache) -> None:
    cache.own_write(child(11))
    cache.seen(child(3, kind="ConfigMap"))
    cache.listed("Service", None, [], "10")
    cache.listed("ConfigMap", "other", [], "10")
    assert {c.kind for c in cache.children(KEY)} == {"Service", "ConfigMap"}


def test_an_answer_that_comes_late_does_not_bring_a_deleted_child_back(cache: Cache) -> None:
    cache.seen(child(2))
    cache.lost(child(5))
    cache.own_write(child(4))
    assert cache.children(KEY) == ()
    cache.seen(child(6, uid="another"))
    assert cache.children(KEY)[0].uid == "another"


def test_an_old_deletion_does_not_remove_a_new_object(cache: Cache) -> None:
    cache.own_write(child(9, uid="new"))
    cache.lost(child(8, uid="old"))
    assert cache.children(KEY)[0].uid == "new"


def test_only_a_child_of_this_very_resource_vanishes(cache: Cache) -> None:
    cache.put_resource(resource(1))
    cache.seen(child(2, owner_uid="an earlier one"))
    cache.lost(child(3, owner_uid="an earlier one"))
    assert not cache.vanished(KEY, "uid-a")
    cache.seen(child(4))
    cache.deleted(child(4))
    assert not cache.vanished(KEY, "uid-a")
    cache.seen(child(5))
    cache.lost(child(6))
    assert cache.vanished(KEY, "uid-a")
    assert not cache.vanished(KEY, "another uid")
    cache.confirm(KEY)
    assert not cache.vanished(KEY, "uid-a")


def test_a_dropped_resource_stays_dropped_for_older_news(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.put_resource(resource(5))
    cache.drop_resource(KEY, "4")
    assert cache.resource(KEY) is not None
    cache.drop_resource(KEY, "6")
    cache.put_resource(resource(5))
    assert cache.resource(KEY) is None
    cache.put_resource(resource(7, uid="anew"))
    assert cache.resource(KEY) is not None


def test_a_dropped_resource_stays_dropped_whatever_a_watch_still_tells_of_it(cache: Cache) -> None:
    alive = resource(5)
    cache.put_resource(alive)
    cache.drop_resource(KEY, "5")  # a GET found nothing there
    cache.put_resource(replace(alive, resource_version="7"))
    assert cache.resource(KEY) is None
    cache.put_resource(replace(alive, uid="another", resource_version="9"))
    assert cache.resource(KEY) is not None


def test_a_child_whose_label_was_changed_is_missed_where_it_was(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.seen(child(2))
    told.clear()
    cache.seen(child(3, resource_name="b"))
    assert told == [(KEY, News.CHILD), (("ns", "b"), News.CHILD)]
    assert cache.children(KEY) == ()
    assert [c.name for c in cache.children(("ns", "b"))] == ["a"]
    told.clear()
    cache.own_write(child(4))  # our write took the label back
    assert told == [(("ns", "b"), News.CHILD)]
    assert cache.children(("ns", "b")) == ()
    cache.seen(child(3, resource_name="b"))
    assert [c.resource_version for c in cache.children(KEY)] == ["4"]


def test_a_list_shows_that_a_label_was_changed(cache: Cache, told: list[tuple[Key, News]]) -> None:
    cache.seen(child(2))
    told.clear()
    cache.listed("Service", None, [child(3, resource_name="b")], "10")
    assert (KEY, News.CHILD) in told
    assert cache.children(KEY) == ()
    assert not cache.vanished(KEY, "uid-a")


def test_a_child_that_lost_our_label_is_found_by_its_last_one(cache: Cache) -> None:
    cache.seen(child(2))
    cache.lost(child(3, resource_name="b"))
    assert cache.children(KEY) == () == cache.children(("ns", "b"))
    assert cache.counts() == {"ModelDeployment": 0}


def test_counts(cache: Cache) -> None:
    cache.put_resource(resource(1))
    cache.seen(child(2))
    assert cache.counts() == {"ModelDeployment": 1, "Service": 1}

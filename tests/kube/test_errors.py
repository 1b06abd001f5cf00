"""What refusals mean, in the words of the real API server."""

from __future__ import annotations

import pytest

from modelport.kube.errors import Conflict, Forbidden, Invalid, Unavailable, error


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        (
            'deployments.apps "a" is forbidden: User "system:serviceaccount:s:m" cannot patch resource "deployments"',
            True,
        ),
        (
            'services is forbidden: User "m" cannot create resource "services" in API group "" in the namespace "n"',
            True,
        ),
        (
            'configmaps "a" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you'
            " can't set finalizers on: , <nil>",
            True,
        ),
        ("deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' denied: replicas cannot exceed 5", False),
        ('admission webhook "kyverno" denied the request: containers cannot run as root', False),
        ('pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0', False),
    ],
)
def test_a_missing_right_is_told_from_a_policy(said: str, missing: bool) -> None:
    refusal = error(403, {"message": said})
    assert isinstance(refusal, Forbidden)
    assert refusal.missing_right is missing


@pytest.mark.parametrize(
    ("said", "another"),
    [
        (
            'on configmaps "x": uid mismatch: the provided object specified uid 1, and no existing object was found',
            True,
        ),
        ('on ConfigMap "x": the UID in the precondition (1) does not match the UID in record (2)', True),
        ('on deployments.apps "x": Precondition failed: UID in precondition: 1, UID in object meta: 2', True),
        ('on configmaps "fluid": the object has been modified; please apply your changes to the latest version', False),
    ],
)
def test_an_object_that_is_gone_is_told_from_one_that_was_changed(said: str, another: bool) -> None:
    refusal = error(409, {"message": f"Operation cannot be fulfilled {said}"})
    assert isinstance(refusal, Conflict)
    assert refusal.another_object is another


def test_codes_without_a_class_of_their_own_may_be_tried_again() -> None:
    for code in (429, 500, 503):
        assert isinstance(error(code, None), Unavailable)


@pytest.mark.parametrize(
    "said",
    [
        "failed to create typed patch object (a): field not declared",
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2900871 vs. 2097152)",
    ],
)
def test_what_will_never_be_taken_is_told_from_what_may_be_tried_again(said: str) -> None:
    assert isinstance(error(500, {"message": said}), Invalid)

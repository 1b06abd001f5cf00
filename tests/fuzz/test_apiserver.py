"""Of what the real API server takes and the operator renders, no child comes back with a riddle: it is taken, or refused with
the field that is wrong."""

from __future__ import annotations

import json
import ssl
from collections import Counter

import pytest

from modelport.kube.errors import Invalid, error
from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render
from tests.cluster import ClusterApi

from .mutations import mutated, originals

pytestmark = pytest.mark.apiserver

RESOURCES = 300
LARGEST_BODY = 3 << 20
PATHS = {"ConfigMap": "/api/v1", "Service": "/api/v1", "Deployment": "/apis/apps/v1"}


def test_children_are_taken_or_refused_for_good(cluster_api: ClusterApi, namespace: str) -> None:
    """Nothing is kept: every request is a dry run. No warnings are asked for, as there may be a hundred in one answer."""
    sources, outcomes = originals(), Counter[str]()
    collection = f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    for seed in range(RESOURCES):
        document = mutated(seed, sources)
        document["metadata"] = {"name": document["metadata"]["name"]}
        try:
            status, kept = cluster_api.request("POST", f"{collection}?dryRun=All&fieldValidation=Ignore", document)
        except (ValueError, RecursionError):  # what Python cannot write as JSON, no user can send
            outcomes["no JSON"] += 1
            continue
        except (
            ssl.SSLError,
            ConnectionError,
        ):  # the API server stops listening in the middle of a body that is too large
            assert len(json.dumps(document)) > LARGEST_BODY, f"seed {seed}"
            outcomes["too large"] += 1
            continue
        outcomes[f"resource {status}"] += 1
        assert status in (201, 400, 413, 422), f"seed {seed}: {kept}"
        if status != 201:
            continue
        desired = render(Identity(namespace, kept["metadata"]["name"], "uid"), kept["spec"], Platform())
        outcomes[type(desired).__name__] += 1
        for child in desired.children if isinstance(desired, Desired) else ():
            path = f"{PATHS[child.kind]}/namespaces/{namespace}/{child.kind.lower()}s/{child.name}"
            status, answer = cluster_api.request(
                "PATCH",
                f"{path}?fieldManager=modelport&force=true&dryRun=All",
                child.manifest,
                "application/apply-patch+yaml",
            )
            outcomes[f"{child.kind} {status}"] += 1
            refused = status >= 300 and error(status, answer)
            assert not refused or isinstance(refused, Invalid), f"seed {seed}: {child.kind}: {status} {answer}"
    print(dict(outcomes))
    assert outcomes["Deployment 201"] > RESOURCES / 10, outcomes

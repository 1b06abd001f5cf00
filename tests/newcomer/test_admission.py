"""What the API server says to a newcomer, through the real kubectl, and that a refusal changes nothing."""

from __future__ import annotations

import copy
import re

import pytest
import yaml

from modelport.render.desired import Identity, Invalid
from modelport.render.platform import Platform
from modelport.render.render import render
from tests.cluster import ClusterApi, Kubectl
from tests.newcomer.case import Case, cases

pytestmark = pytest.mark.apiserver

TABLE = cases()
GOOD = {"runtime": "fastapi", "fastapi": {"app": "app:app"}}


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_what_kubectl_says(case: Case, kubectl: Kubectl, update: bool) -> None:
    for existing in case.before:
        kubectl.apply(existing)
    done = kubectl("apply", "-f", "-", stdin=yaml.safe_dump(dict(case.resource)), check=False)
    said = (done.out + done.err).strip()
    if update:
        case.write_expected(admission=said)
        return
    assert said == case.admission
    assert (done.code != 0) == case.refused


REFUSED = [case for case in TABLE if case.refused and len(case.resource["metadata"]["name"]) < 53]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_refused_change_leaves_the_resource_as_it_was(case: Case, cluster_api: ClusterApi, namespace: str) -> None:
    collection = f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    good = {**case.resource, "metadata": {"name": "assistant"}, "spec": GOOD}
    live = cluster_api.create(collection, good)
    changed = copy.deepcopy(live) | {"spec": case.resource["spec"]}
    if case.resource["metadata"]["name"] != "assistant":
        changed["metadata"]["name"] = case.resource["metadata"]["name"]
    status, _ = cluster_api.request("PUT", f"{collection}/assistant?fieldValidation=Strict", changed)
    assert status in (400, 422)
    assert cluster_api.get(f"{collection}/assistant") == live


def test_texts_that_are_taken_but_fit_no_config_map(cluster_api: ClusterApi, namespace: str) -> None:
    models = [{"name": f"m{number}", "uri": "hf://a/b", "configPbtxt": "#" * 65_000} for number in range(16)]
    spec = {"runtime": "triton", "triton": {"models": models}}
    kind = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "large"}}
    cluster_api.create(f"/apis/modelport.io/v1alpha1/namespaces/{namespace}/modeldeployments", {**kind, "spec": spec})
    result = render(Identity(namespace, "large", ""), spec, Platform())
    assert isinstance(result, Invalid)
    assert re.sub("have [0-9]+", "have N", result.message) == (
        "spec: its texts (configurations, templates) have N bytes together, and 1000000 fit: write shorter ones, or put"
        " the longest (m0.config.pbtxt) among the model's own files"
    )

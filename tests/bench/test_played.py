"""What player and null operator write is what the operator would see and write itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.bench.contender import HERE, load
from e2e.bench.null_operator import Known, rendered, status
from e2e.bench.player import deployment_status, pod_of, replica_set
from e2e.pods import running
from modelport.api.names import LABEL_NAME
from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render
from modelport.state.observed import Observed, Resource
from modelport.state.project import project_child
from modelport.state.rollout import rolled_out, rollout
from modelport.state.status import summarise

UID = "0f5c4f0e-1c53-4d5c-8a35-0d8f6f3a6a0b"
SPEC = load(HERE / "modelport.yaml").resource.spec


@pytest.fixture(scope="module")
def desired() -> Desired:
    """What the operator makes of the resource of the bench."""
    made = render(Identity("bench", "model-00001", UID), SPEC, Platform())
    assert isinstance(made, Desired)
    return made


def stored(manifest: Any, **more: Any) -> dict[str, Any]:
    """As the API server gives it back, with what we own in managedFields."""
    metadata = {**manifest["metadata"], "namespace": "bench", "uid": f"uid-{manifest['kind']}", "resourceVersion": "1"}
    return {**manifest, "metadata": {**metadata, "generation": 1}, **more}


def test_after_the_player_a_deployment_is_rolled_out(desired: Desired) -> None:
    children = {child.kind: child.manifest for child in desired.children}
    deployment = stored(children["Deployment"], status=deployment_status(1))
    made = stored({**replica_set(deployment), "kind": "ReplicaSet"})
    pod = stored({**pod_of(made), "kind": "Pod"})
    pod["status"] = running(pod)
    (ours, sets, pods) = (project_child(each) for each in (deployment, made, pod))
    observed = Observed(
        resource=Resource("bench", "model-00001", UID, 1, "1", False, False, SPEC, {}),
        now=datetime.now(UTC),
        children=(ours,),
        replica_sets=(sets,),
        pods=(pods,),
    )
    view = rollout(observed, desired.spec_hash)
    assert view.ready == 1
    assert view.available
    assert rolled_out(replace(desired, children=()), observed, view)


def test_the_null_operator_writes_what_the_operator_would(desired: Desired) -> None:
    written = [json.loads(child.of("model-00001", UID, "4096").body) for child in rendered()]
    assert [each["kind"] for each in written] == ["ConfigMap", "Service", "Deployment"]
    for ours, theirs in zip((child.manifest for child in desired.children), written, strict=True):
        assert _shape(theirs) == _shape(ours)
        assert len(json.dumps(theirs)) == pytest.approx(len(json.dumps(ours)), abs=16)
        assert theirs["metadata"]["labels"][LABEL_NAME] == "model-00001"


def test_its_status_has_every_field_that_the_operators_has(desired: Desired) -> None:
    resource = Resource("bench", "model-00001", UID, 1, "1", False, False, SPEC, {})
    ours = summarise(Observed(resource, datetime.now(UTC)), desired)
    theirs = status("model-00001", Known(UID, 1, "4096"))
    assert set(ours) <= set(theirs)
    assert set(ours["conditions"][0]) == set(theirs["conditions"][0])


def _shape(value: Any) -> Any:
    """Its keys and lengths, without what differs by name and hash."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    return [_shape(one) for one in value] if isinstance(value, list) else type(value)

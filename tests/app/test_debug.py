"""A real process explains a resource on loopback, and dumps what it does on SIGUSR1."""

from __future__ import annotations

import signal
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from modelport.app import metrics_table
from modelport.app.debug import DebugServer
from tests.app.installation import Process, installed
from tests.app.test_metrics import exposed
from tests.app.test_shards import QUIET, apply, handled
from tests.cluster import ClusterApi
from tests.engine.harness import until

LISTENS = "0A"


@pytest.fixture
def process(control_plane: ControlPlane, cluster_api: ClusterApi, namespace: str, tmp_path: Path) -> Iterator[Process]:
    """An operator for the test's namespace, whose log says nothing but errors."""
    release = f"modelport-{uuid.uuid4().hex[:8]}"
    values = (f'namespaces=["{namespace}"]', QUIET, 'logLevel="error"', "metrics.perResource=true")
    with installed(control_plane, cluster_api, release, tmp_path, *values) as (only,):
        yield only


def take(api: ClusterApi, namespace: str, name: str) -> None:
    """Something else has a Service of that name."""
    foreign = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}}}
    api.create(f"/api/v1/namespaces/{namespace}/services", foreign)


@pytest.mark.apiserver
def test_a_decision_is_explained(process: Process, cluster_api: ClusterApi, namespace: str) -> None:
    apply(cluster_api, namespace, "alpha")
    until("it is handled", lambda: handled(cluster_api, namespace, "alpha"))
    until("it is done", lambda: (process.explain(namespace, "alpha")[1]["result"] or {}).get("result") == "done")
    code, document = process.explain(namespace, "alpha")
    assert code == 200
    assert document["process"]["leading"] and document["process"]["cacheFilled"]
    assert {child["kind"] for child in document["inputs"]["children"]} == {"ConfigMap", "Service", "Deployment"}
    assert document["plan"] == {"heldBack": None, "apply": [], "delete": []}
    assert document["status"]["written"]["phase"] == document["status"]["now"]["phase"] != ""

    take(cluster_api, namespace, "taken")
    apply(cluster_api, namespace, "taken")

    def refused() -> dict[str, Any] | None:
        """Told while it is not being tried again just now."""
        found = process.explain(namespace, "taken")[1]
        tried = (found.get("queue") or {}).get("failures", 0) > 0
        return found if tried and found["inputs"]["memory"]["obstacles"] else None

    document = until("it is refused", refused)
    assert document["inputs"]["memory"]["obstacles"][0]["reason"] == "NameTaken"
    assert document["result"]["result"] == "waiting"
    assert document["plan"]["apply"][0]["why"] == "nothing of ours has this name"
    assert process.operator.metric("modelport_resource_info") == 2


@pytest.mark.apiserver
def test_an_unknown_resource_is_not_found_but_what_is_near_is(
    process: Process, cluster_api: ClusterApi, namespace: str
) -> None:
    apply(cluster_api, namespace, "alpha")
    until("it is known", lambda: process.explain(namespace, "alpha")[0] == 200)
    code, document = process.explain(namespace, "alhpa")
    assert (code, document["near"]) == (404, [f"{namespace}/alpha"])
    assert document["because"] == "none of the 1 ModelDeployments that are known has this name"
    code, document = process.explain("elsewhere", "alpha")
    assert (code, document["near"]) == (404, [f"{namespace}/alpha"])
    assert document["because"].startswith("namespace elsewhere is not among what this process serves: namespaces ")


@pytest.mark.apiserver
def test_a_running_operator_exposes_what_the_table_lists(process: Process) -> None:
    assert exposed(process.operator.get("/metrics") or "") == {one.name: one.type for one in metrics_table.TABLE}


@pytest.mark.apiserver
def test_it_is_told_on_loopback_alone(process: Process) -> None:
    assert process.operator.get("/healthz") is not None
    assert process.operator.get("/debug/reconcile/a/b") is None
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {fields[1] for fields in sockets if fields[3] == LISTENS}
    assert f"0100007F:{process.operator.debug_port:04X}" in listening
    assert f"00000000:{process.operator.debug_port:04X}" not in listening
    assert f":{process.operator.debug_port:04X} " not in Path("/proc/net/tcp6").read_text()


@pytest.mark.apiserver
def test_sigusr1_dumps_tasks_and_queue_into_the_log(process: Process, cluster_api: ClusterApi, namespace: str) -> None:
    take(cluster_api, namespace, "taken")
    apply(cluster_api, namespace, "taken")
    until("it is refused", lambda: (process.explain(namespace, "taken")[1].get("queue") or {}).get("failures", 0) > 0)
    assert process.operator.process is not None
    process.operator.process.send_signal(signal.SIGUSR1)
    until("the dump is written", lambda: process.logged("dump: end"))
    (summary,) = process.logged("dump: queue")
    assert (summary["level"], summary["leading"], summary["inBackOff"]) == ("info", True, 1)
    (failing,) = process.logged("dump: in back-off")
    assert (failing["namespace"], failing["name"]) == (namespace, "taken")
    assert failing["failures"] >= 1
    tasks = {line["task"]: line["at"] for line in process.logged("dump: task")}
    assert {"lead", "resync", "worker 0", f"watch of pods in {namespace}"} <= tasks.keys()
    assert tasks["lead"][-1].startswith("asyncio.tasks:") or tasks["lead"][-1].startswith("modelport.")
    assert any(place.startswith("modelport.kube.lease:") for place in tasks["lead"])
    assert process.operator.process.poll() is None


async def test_a_taken_port_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = DebugServer(None, port)  # type: ignore[arg-type]
        await server.start()
        await server.close()
    assert "give another port with --debug-port" in caplog.text

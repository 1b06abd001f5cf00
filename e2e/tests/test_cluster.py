"""The set-up itself: a control plane without root, and the promises of `python -m e2e.cluster`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import addons, binaries, given, paths
from e2e.cluster.commands import run
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.images import described
from e2e.cluster.waiting import wait_for
from e2e.host import SetupError


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane")) as plane:
        yield plane


def _kubectl(plane: ControlPlane, *arguments: str) -> str:
    return run(str(binaries.binary("kubectl")), f"--kubeconfig={plane.kubeconfig}", *arguments)


@pytest.mark.apiserver
def test_a_deployment_gets_its_pods_and_a_deleted_one_loses_them(plane: ControlPlane) -> None:
    def pods() -> str:
        return _kubectl(plane, "get", "pods", "-l", "app=web", "-o", "name")

    _kubectl(plane, "create", "deployment", "web", "--image=nothing.invalid/web:1", "--replicas=2")
    wait_for("two pods", lambda: len(pods().split()) == 2, 20)
    _kubectl(plane, "delete", "deployment", "web")
    wait_for("no pod", lambda: pods() == "", 20)


@pytest.mark.apiserver
def test_the_audit_log_tells_who_wrote_which_object(plane: ControlPlane) -> None:
    _kubectl(plane, "create", "configmap", "told", "--from-literal=a=b")
    events = [event for event in plane.audit_events() if event.verb == "create" and event.name == "told"]
    assert [(event.resource, event.user, event.code) for event in events] == [("configmaps", "modelport-admin", 201)]
    assert events[0].user_agent.startswith("kubectl/v1.")


@pytest.mark.apiserver
def test_what_was_written_is_there_after_the_api_server_started_again(plane: ControlPlane) -> None:
    _kubectl(plane, "create", "configmap", "kept")
    plane.restart_apiserver()
    assert _kubectl(plane, "get", "configmap", "kept", "-o", "name").strip() == "configmap/kept"


@pytest.mark.apiserver
def test_a_certificate_gives_the_user_and_the_groups(plane: ControlPlane) -> None:
    told = run(
        str(binaries.binary("kubectl")), f"--kubeconfig={plane.kubeconfig_for('jane', ['dev'])}",
        "auth", "whoami", "-o", "json",
    )  # fmt: skip
    user = json.loads(told)["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("jane", ["dev", "system:authenticated"])


@pytest.mark.apiserver
def test_the_restricted_pod_security_level_is_enforced(plane: ControlPlane) -> None:
    _kubectl(plane, "create", "namespace", "strict")
    _kubectl(plane, "label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    wait_for("the service account", lambda: plane.api.ok("/api/v1/namespaces/strict/serviceaccounts/default"), 20)
    with pytest.raises(SetupError, match='violates PodSecurity "restricted:latest"'):
        _kubectl(plane, "run", "careless", "--image=nothing.invalid/web:1", "--namespace=strict")


@pytest.mark.apiserver
def test_programs_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal; from e2e.cluster.controlplane import ControlPlane\n"
        f"with ControlPlane(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    left = ControlPlane(tmp_path).processes
    assert set(left.names()) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    wait_for("all have ended", lambda: not any(left.alive(name) for name in left.names()), 10)


def test_our_own_kubeconfig_is_not_taken_for_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(paths.kubeconfig()))
    assert given.kubeconfig() is None
    monkeypatch.setenv("KUBECONFIG", "/elsewhere/config")
    assert given.kubeconfig() == "/elsewhere/config"
    monkeypatch.delenv("KUBECONFIG")
    assert given.kubeconfig() is None


def test_a_file_that_is_no_archive_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("nothing")
    with pytest.raises(SetupError, match=r"is no OCI archive .*buildah push IMAGE oci-archive:FILE:NAME"):
        described(tmp_path / "image.tar")


def test_up_on_a_running_cluster_and_load_of_loaded_images_return_at_once() -> None:
    started = time.monotonic()
    for arguments in (["up"], ["load", *map(str, addons.archives())], ["status"]):
        run(sys.executable, "-m", "e2e.cluster", *arguments)
    assert time.monotonic() - started < 10

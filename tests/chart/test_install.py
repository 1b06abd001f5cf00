"""The chart on a real API server: installed, upgraded and uninstalled by helm, and what its account may then do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.cluster.binaries import binary
from e2e.cluster.controlplane import ControlPlane
from tests.cluster import Kubectl

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[2]
CRD = "crd/modeldeployments.modelport.io"
Helm = Callable[..., str]


@pytest.fixture
def helm(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Helm:
    folders = {f"HELM_{kind}_HOME": str(tmp_path) for kind in ("CACHE", "CONFIG", "DATA")}

    def run(*arguments: str) -> str:
        where = ("--namespace", namespace, "--kubeconfig", str(control_plane.kubeconfig))
        done = subprocess.run(
            [binary("helm"), *arguments, *where], capture_output=True, text=True, env=os.environ | folders
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def release(helm: Helm, namespace: str) -> str:
    """The CRD is there already, applied with kubectl; the release takes it over, as the chart's README says."""
    chart = str(ROOT / "charts" / "modelport")
    name = f"modelport-{namespace}"
    notes = helm("install", name, chart, "--take-ownership", "--force-conflicts")
    assert f"kubectl -n {namespace} rollout status deployment/{name}" in notes
    return name


def test_its_account_may_do_its_work_and_see_no_secret(release: str, kubectl: Kubectl, namespace: str) -> None:
    def may(*question: str) -> bool:
        account = f"--as=system:serviceaccount:{namespace}:{release}"
        return kubectl("auth", "can-i", *question, account, check=False).out.strip() == "yes"

    assert may("list", "modeldeployments.modelport.io", "--all-namespaces")
    assert may("patch", "modeldeployments.modelport.io", "--subresource=status")
    assert may("create", "deployments.apps", "--all-namespaces")
    assert may("get", "pods", "--subresource=log")
    assert may("create", "leases.coordination.k8s.io")
    assert may("update", f"leases.coordination.k8s.io/{release}")
    assert not may("update", "leases.coordination.k8s.io/somebody-elses")
    assert not may("create", "leases.coordination.k8s.io", "--namespace=default")
    assert not may("patch", "modeldeployments.modelport.io")
    for verb in ("get", "list", "watch", "create"):
        assert not may(verb, "secrets")
        assert not may(verb, "pods", "--subresource=exec")


def test_an_upgrade_rolls_the_operator_and_an_uninstall_keeps_the_crd(
    release: str, helm: Helm, kubectl: Kubectl
) -> None:
    def template() -> object:
        return kubectl("get", "deployment", release, "-o", "json").json()["spec"]["template"]

    before = template()
    helm("upgrade", release, str(ROOT / "charts" / "modelport"), "--set", "workers=4")
    assert template() != before
    assert "workers: 4" in kubectl("get", "configmap", release, "-o", "json").json()["data"]["operator.yaml"]
    helm("uninstall", release)
    assert kubectl("get", "deployment,configmap,serviceaccount", "-o", "name").out.count(release) == 0
    assert kubectl("get", f"clusterrole/{release}", check=False).code != 0
    assert kubectl("get", CRD, "-o", "json").json()["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_language_example_is_accepted_to_the_letter(kubectl: Kubectl) -> None:
    done = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(ROOT / "examples" / "language.yaml"))
    assert json.dumps(done.out).count("created (server dry run)") == 2

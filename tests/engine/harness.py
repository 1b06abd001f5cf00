"""An operator in a process of its own against the real API server, a kubelet that is played, and a door that answers.

The Deployment, ReplicaSet and garbage collecting controllers are the real ones: only what a node would do is played here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cluster.audit import AuditEvent
from e2e.cluster.controlplane import ControlPlane
from e2e.pods import running
from e2e.ports import free_ports
from tests.cluster import MERGE, STRATEGIC, ClusterApi
from tests.engine.door import Door

USER = "modelport-operator"
RESOURCES = "/apis/modelport.io/v1alpha1/namespaces/{}/modeldeployments"
PATIENCE = 30.0
NOT_BEGUN = {"ready": False, "started": False, "state": {"waiting": {"reason": "PodInitializing"}}}


def until(what: str, true: Callable[[], Any], within: float = PATIENCE) -> Any:
    """Wait for a condition, look often, and give its value back."""
    end = time.monotonic() + within
    while not (value := true()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(0.02)
    return value


def steady(what: str, value: Callable[[], Any], for_seconds: float = 1.5) -> Any:
    """The value, once it has stayed the same for a while."""
    last, since = value(), time.monotonic()
    end = since + PATIENCE
    while time.monotonic() - since < for_seconds:
        time.sleep(0.05)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > end:
            raise AssertionError(f"never steady: {what}")
    return last


@dataclass
class Operator:
    """`modelport run` as a process; killed and started as often as a test likes."""

    kubeconfig: Path
    log: Path
    arguments: list[str]
    program: tuple[str, ...] = ("-m", "modelport")
    port: int = 0
    debug_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Operator:
        """Start it and wait until it leads and its cache is full."""
        self.launch("operator-under-test")
        until("the operator leads", lambda: self._alive() and self.metric("modelport_leader") == 1)
        until("the operator is ready", lambda: self.get("/readyz") is not None)
        return self

    def launch(self, pod: str) -> None:
        """Start it as the container of a pod, which is its name in the Lease."""
        self.port, self.debug_port = free_ports(2)
        ports = [f"--port={self.port}", f"--debug-port={self.debug_port}"]
        command = [sys.executable, *self.program, "run", *ports, *self.arguments]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "POD_NAME": pod}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL, as an OOM killer or a dying node does it."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def metric(self, name: str) -> float:
        """Sum of a metric's samples."""
        text = self.get("/metrics") or ""
        exact = (name,) if name.endswith("}") else (f"{name} ", f"{name}{{")
        lines = [line for line in text.splitlines() if line.startswith(exact)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def resident_mib(self) -> float:
        """Resident memory of the controller process, without its asking process."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _alive(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the operator ended: {self.log.read_text()[-3000:]}")
        return True

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def get(self, path: str) -> str | None:
        """What its web server answers with 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None


@dataclass
class Engine:
    """What one test of the engine has: a namespace, an operator that serves it, and hands to play with."""

    plane: ControlPlane
    api: ClusterApi
    namespace: str
    operator: Operator
    door: Door
    seen_until: int = field(default=0)

    def apply(self, name: str, **spec: Any) -> dict[str, Any]:
        """Apply a ModelDeployment; vLLM unless the spec says otherwise."""
        body = {
            "apiVersion": "modelport.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": [name]}, **spec},
        }
        return dict(self.api.apply(f"{self.at}/{name}", body, query="force=true"))

    @property
    def at(self) -> str:
        return RESOURCES.format(self.namespace)

    def path(self, kind: str, name: str = "") -> str:
        """Path of a collection in the namespace, or of one object."""
        group = "/apis/apps/v1" if kind in ("deployments", "replicasets") else "/api/v1"
        return f"{group}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def find(self, path: str) -> dict[str, Any] | None:
        status, document = self.api.request("GET", path)
        return document if status == 200 else None

    def items(self, kind: str, name: str = "") -> list[dict[str, Any]]:
        """Objects that carry the resource's label, or our label at all."""
        selector = f"modelport.io/name={name}" if name else "modelport.io/name"
        found: list[dict[str, Any]] = self.api.get(f"{self.path(kind)}?labelSelector={selector}")["items"]
        return found

    def merge(self, path: str, patch: dict[str, Any], query: str = "") -> dict[str, Any]:
        status, document = self.api.request("PATCH", f"{path}?fieldManager=somebody{query}", patch, MERGE)
        assert status < 300, document
        return dict(document)

    def status(self, name: str) -> dict[str, Any]:
        document = self.find(f"{self.at}/{name}")
        return (document or {}).get("status", {})

    def ready(self, name: str) -> bool:
        """Whether Ready is True and about the spec as it is."""
        document = self.find(f"{self.at}/{name}") or {}
        generation = document.get("metadata", {}).get("generation")
        status = document.get("status", {})
        return any(
            c["type"] == "Ready"
            and c["status"] == "True"
            and c["observedGeneration"] == generation == status["observedGeneration"]
            for c in status.get("conditions", [])
        )

    def until_ready(self, *names: str, within: float = PATIENCE) -> None:
        """Play the node until all of these are Ready."""

        def step() -> bool:
            self.run_pods()
            return all(self.ready(name) for name in names)

        try:
            until(f"{names} Ready", step, within)
        except AssertionError as late:
            status = json.dumps({name: self.status(name) for name in names}, indent=1)
            raise AssertionError(f"{late}\n{status[:4000]}\n{self.operator.log.read_text()[-4000:]}") from None

    def run_pods(self) -> None:
        """What a kubelet tells of pods that run and are ready."""
        for pod in self.items("pods"):
            conditions = pod.get("status", {}).get("conditions", [])
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            if not ready and "deletionTimestamp" not in pod["metadata"]:
                path = self.path("pods", pod["metadata"]["name"]) + "/status"
                self.api.request("PATCH", path, {"status": running(pod)}, STRATEGIC)

    def play(self, name: str, pods: dict[str, Any]) -> None:
        """What is told of the pods of the current template: see `told`. Told again, it changes nothing."""
        deployment = self.find(self.path("deployments", name)) or {}
        template = deployment.get("spec", {}).get("template", {})
        for pod in self.items("pods", name):
            current = pod["metadata"]["annotations"].items() >= template.get("metadata", {})["annotations"].items()
            if not current or "deletionTimestamp" in pod["metadata"]:
                continue
            path = self.path("pods", pod["metadata"]["name"])
            if "unschedulable" not in pods and "nodeName" not in pod["spec"]:
                self.api.create(
                    f"{path}/binding",
                    {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": "played"}},
                )
            self.api.request("PATCH", f"{path}/status", {"status": told(pod, **pods)}, STRATEGIC)

    def requests(self) -> list[AuditEvent]:
        """What the operator asked for in this namespace since `forget`, Leases, Events, LISTs and watches apart."""
        ours = [e for e in self._audit()[self.seen_until :] if e.resource not in ("leases", "events")]
        return [e for e in ours if e.verb not in ("list", "watch") and e.resource]

    def writes(self) -> list[str]:
        """verb resource/subresource name, in order."""
        return [
            f"{e.verb} {e.resource}{'/' + e.subresource if e.subresource else ''} {e.name}"
            for e in self.requests()
            if e.verb not in ("get",)
        ]

    def reads(self) -> list[str]:
        return [f"{e.verb} {e.resource} {e.name}" for e in self.requests() if e.verb == "get"]

    def events(self) -> list[AuditEvent]:
        """Kubernetes Events that the operator made since `forget`."""
        return [e for e in self._audit()[self.seen_until :] if e.resource == "events" and e.verb == "create"]

    def forget(self) -> None:
        """Count from here."""
        self.seen_until = len(self._audit())

    def _audit(self) -> list[AuditEvent]:
        return [e for e in self.plane.audit_events() if e.user == USER and e.namespace == self.namespace]


def told(
    pod: dict[str, Any], containers: dict[str, dict[str, Any]] | None = None, unschedulable: str | None = None
) -> dict[str, Any]:
    """The status of a pod as its kubelet tells it: `containers` are parts of the statuses of those that are not ready. Of
    one that is `unschedulable` the scheduler tells why."""
    moment = pod["metadata"]["creationTimestamp"]
    if unschedulable is not None:
        why = {"reason": "Unschedulable", "message": unschedulable, "lastTransitionTime": moment}
        return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", **why}]}
    status, parts = running(pod, moment), containers or {}
    sidecars = {one["name"] for one in pod["spec"].get("initContainers", []) if one.get("restartPolicy") == "Always"}
    begins = True
    for one in [*status["initContainerStatuses"], *status["containerStatuses"]]:
        if not begins:
            one |= NOT_BEGUN
        if one["name"] in parts:
            one |= NOT_BEGUN | parts[one["name"]]
            init = one in status["initContainerStatuses"]
            begins = begins and (not init or (one["name"] in sidecars and "running" in one["state"]))
    if parts:
        not_ready = [
            {**c, "status": "False"} for c in status["conditions"] if c["type"] in ("ContainersReady", "Ready")
        ]
        status["conditions"] = [*status["conditions"][:2], *not_ready]
    return status

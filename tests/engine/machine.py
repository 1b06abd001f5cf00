"""A node with GPUs, and what scheduler and kubelet would do with it: whoever fits is bound and runs, others are told why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.cluster import MERGE, STRATEGIC
from tests.engine.harness import Engine, running, told

GPU = "nvidia.com/gpu"


@dataclass
class Machine:
    """`step` has to be called again and again."""

    engine: Engine
    name: str
    gpus: int
    taken: int = 0
    """GPUs that somebody else's pods use."""

    def start(self) -> None:
        """Make the node."""
        api, path = self.engine.api, "/api/v1/nodes"
        api.create(path, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}})
        amounts = {GPU: str(self.gpus), "cpu": "64", "memory": "512Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "Played", "message": ""}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}
        code, answer = api.request("PATCH", f"{path}/{self.name}/status", {"status": status}, MERGE)
        assert code == 200, answer
        api.request("PATCH", f"{path}/{self.name}", {"spec": {"taints": None}}, MERGE)

    def stop(self) -> None:
        """Take it away."""
        self.engine.api.request("DELETE", f"/api/v1/nodes/{self.name}")

    def step(self, broken: str | None = None, trial: dict[str, Any] | None = None) -> None:
        """One look at all pods; those with the text `broken` in their spec run without becoming ready. A pod that tries a revision
        ends well, unless `trial` says what its container `fetch` does instead."""
        pods = self.engine.items("pods")
        for pod in [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]:
            self._send("DELETE", pod, "", {"gracePeriodSeconds": 0})
            pods.remove(pod)
        free = self.gpus - self.taken - sum(_gpus(pod) for pod in pods if pod["spec"].get("nodeName"))
        for pod in pods:
            if pod["spec"].get("nodeName"):
                if pod["metadata"]["labels"]["modelport.io/role"] == "preflight":
                    status = {"phase": "Succeeded"} if trial is None else told(pod, {"fetch": trial})
                    self._send("PATCH", pod, "/status", {"status": status})
                elif broken is None or broken not in str(pod["spec"]):
                    self._send("PATCH", pod, "/status", {"status": running(pod)})
            elif _gpus(pod) <= free:
                free -= _gpus(pod)
                target = {"kind": "Node", "name": self.name}
                self._send("POST", pod, "/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target})
            else:
                why = f"0/1 nodes are available: 1 Insufficient {GPU}."
                self._send("PATCH", pod, "/status", {"status": told(pod, unschedulable=why)})

    def _send(self, method: str, pod: dict[str, Any], part: str, body: dict[str, Any]) -> None:
        path = self.engine.path("pods", pod["metadata"]["name"]) + part
        self.engine.api.request(method, path, body, *([STRATEGIC] if method == "PATCH" else []))


def _gpus(pod: dict[str, Any]) -> int:
    requests = [one.get("resources", {}).get("requests", {}) for one in pod["spec"]["containers"]]
    return sum(int(one.get(GPU, 0)) for one in requests)

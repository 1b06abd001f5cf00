"""Pods as their kubelet tells of them, for whoever plays a node. It must never talk to a cluster."""

from __future__ import annotations

import time
from typing import Any


def running(pod: dict[str, Any], moment: str = "") -> dict[str, Any]:
    """The status of a pod whose containers all run, since that moment or now."""
    moment = moment or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    types = ("PodScheduled", "Initialized", "ContainersReady", "Ready")

    def started(container: dict[str, Any], done: bool) -> dict[str, Any]:
        state = {"terminated": {"exitCode": 0, "reason": "Completed"}} if done else {"running": {"startedAt": moment}}
        fixed = {"ready": True, "started": not done, "restartCount": 0, "imageID": "x"}
        return {"name": container["name"], "image": container["image"], "state": state, **fixed}

    spec = pod["spec"]
    inits = spec.get("initContainers", [])
    return {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "startTime": moment,
        "conditions": [{"type": t, "status": "True", "lastTransitionTime": moment} for t in types],
        "containerStatuses": [started(c, False) for c in spec["containers"]],
        "initContainerStatuses": [started(c, c.get("restartPolicy") != "Always") for c in inits],
    }

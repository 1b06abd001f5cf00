"""One node: containerd, kubelet and kube-proxy with their configuration, all below the state folder.

Programs write to a few places outside it that no option moves; those are the `STRAY` ones, taken away by `down`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from e2e.cluster import cgroups, network
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.images import Containerd
from e2e.cluster.paths import image_store
from e2e.cluster.waiting import wait_for

NAME = "node-1"
PAUSE = "localhost/modelport-pause:1"
DNS = "10.96.0.10"
_POD_RANGE = "10.244.0.0/24"
_CNI_PROGRAMS = "/usr/lib/cni"
STRAY = tuple(map(Path, ("/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers")))
_CNI_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")


class Node:
    """The node of a cluster whose control plane runs."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._folder = plane.directory
        self._socket = plane.directory / "run" / "containerd.sock"
        self.containerd = Containerd(self._socket)

    def start_containerd(self) -> None:
        """Start containerd unless it runs, and wait for its answer."""
        config = _write(self._folder / "containerd.toml", self._containerd_config())
        _write(self._folder / "cni" / "10-modelport.conflist", json.dumps(_cni(self._folder / "cni-data")))
        command = [*self._plane.settings.prefix, "containerd", "--config", str(config)]
        self._plane.processes.start("containerd", command)
        wait_for("containerd answers", self._containerd_answers, 30, lambda: self._plane.processes.check("containerd"))

    def start(self) -> None:
        """Start kubelet and kube-proxy unless they run, and wait until the node is Ready."""
        authority = self._plane.authority
        user = f"system:node:{NAME}"
        pair = authority.issue("kubelet", user, ["system:nodes"], hosts=[NAME, network.NODE])
        config = self._kubelet_config(str(authority.certificate), str(pair.certificate), str(pair.key))
        kubelet = [
            f"--config={_write(self._folder / 'kubelet.yaml', yaml.safe_dump(config))}",
            f"--kubeconfig={self._plane.kubeconfig_for(user, ['system:nodes'])}",
            f"--hostname-override={NAME}",
            f"--node-ip={network.NODE}",
            f"--root-dir={self._folder / 'kubelet'}",
        ]
        proxy = [
            f"--kubeconfig={self._plane.kubeconfig_for('system:kube-proxy')}",
            f"--hostname-override={NAME}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            f"--cluster-cidr={_POD_RANGE}",
        ]
        self._plane.run("kubelet", kubelet)
        self._plane.run("kube-proxy", proxy)
        wait_for(f"{NAME} is Ready", self.ready, 90, self._check)

    def ready(self) -> bool:
        """Whether the node is Ready to the API server, and its kubelet answers now."""
        node = self._plane.api.get(f"/api/v1/nodes/{NAME}") or {}
        conditions = node.get("status", {}).get("conditions", [])
        said = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
        return said and self._plane.api.ok(f"/api/v1/nodes/{NAME}/proxy/healthz")

    def _check(self) -> None:
        self._plane.processes.check("kubelet")
        self._plane.processes.check("kube-proxy")

    def _containerd_answers(self) -> bool:
        return self._socket.exists() and self.containerd.answers()

    def _containerd_config(self) -> str:
        return _CONTAINERD.format(
            root=image_store(), state=self._folder / "run" / "containerd", socket=self._socket, pause=PAUSE,
            programs=_CNI_PROGRAMS, configs=self._folder / "cni", optional=self._folder / "run" / "opt",
        )  # fmt: skip

    def _kubelet_config(self, authority: str, certificate: str, key: str) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": certificate,
            "tlsPrivateKeyFile": key,
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroups.NAME}",
            "resolvConf": "",
            "failSwapOn": False,
            "clusterDNS": [DNS],
            "clusterDomain": "cluster.local",
            "podLogsDir": str(self._folder / "pod-logs"),
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
                "imagefs.inodesFree": "1%",
            },
            "imageGCHighThresholdPercent": 100,
        }


def _cni(data: Path) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(data),
        "ranges": [[{"subnet": _POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    # Without masquerading pods keep their source address; the host has a route back.
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipMasq": False}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": network.NAME, "plugins": [bridge | {"ipam": addresses}, ports]}


def clean_stray(state: Path, existed: tuple[str, ...]) -> None:
    """Take away what the programs wrote outside the state folder; folders that were there before stay."""
    for path in _CNI_RESULTS.glob(f"{network.NAME}-*"):
        path.unlink(missing_ok=True)
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(state):
            link.unlink(missing_ok=True)
    for path in STRAY:
        if str(path) not in existed:
            shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# restrict_oom_score_adj: where the kernel lets nobody lower OOM scores (no CAP_SYS_RESOURCE), every pod fails without it.
_CONTAINERD = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{optional}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{configs}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

"""The cluster as a whole: up, down, status, load.

`up` makes what is missing and may be called at any time. `down` takes away what the record in the state folder and
the cluster's own control group name, and must never touch anything else.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from e2e import host
from e2e.cluster import addons, cgroups, network, paths
from e2e.cluster.binaries import build, content
from e2e.cluster.commands import succeeds
from e2e.cluster.controlplane import ControlPlane, Settings
from e2e.cluster.locks import locked, say
from e2e.cluster.network import Network
from e2e.cluster.node import STRAY, Node, clean_stray
from e2e.cluster.processes import boot_id
from e2e.cluster.waiting import wait_for

_CONTROL = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROGRAMS = (*_CONTROL, "containerd", "kubelet", "kube-proxy")


@dataclass(frozen=True)
class Record:
    """Written before anything is made: in which boot, of which programs, and what was there before."""

    boot: str
    programs: str
    network: Network
    existed: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """What answers; the cluster is up when everything does."""

    programs: dict[str, bool]
    answers: dict[str, bool]

    @property
    def up(self) -> bool:
        """Whether nothing is missing."""
        return all(self.programs.values()) and all(self.answers.values())


def up() -> None:
    """Have a cluster that works: the one that runs, the same one repaired, or a new one."""
    with _lock():
        record = _read_record()
        if record is not None and (record.boot != boot_id() or record.programs != content("kube-apiserver")):
            say("the cluster on record is of another boot or of other versions: taking it down")
            _down(record)
            record = None
        if record is not None and status().up:
            return
        host.require("cluster")
        build()
        if record is not None and _repaired():
            return
        _make()


def down() -> None:
    """Take everything away that `up` made, also what a half-done `up` made."""
    with _lock():
        _down_recorded()


def status() -> Status:
    """What runs and what answers."""
    plane = _plane()
    programs = {name: plane.processes.alive(name) for name in PROGRAMS}
    if not (programs["etcd"] and programs["kube-apiserver"]):  # asking would only take time
        return Status(programs, {"api server": False})
    checks: dict[str, Callable[[], bool]] = {
        "api server": lambda: plane.api.ok("/readyz"),
        "node": Node(plane).ready,
        "dns": addons.dns_answers,
    }
    return Status(programs, {name: check() for name, check in checks.items()})


def load(archives: list[Path]) -> None:
    """Import OCI archives into the node's containerd; what is there already is skipped."""
    with _lock():
        plane = _plane()
        if not plane.processes.alive("containerd"):
            raise host.SetupError("there is no cluster to load images into; first: python -m e2e.cluster up")
        containerd = Node(plane).containerd
        for archive in archives:
            started = time.monotonic()
            if containerd.load(archive):
                say(f"loaded {archive.name} ... {time.monotonic() - started:.0f} s")


def _repaired() -> bool:
    if not network.exists():
        say("the network namespace is gone: a new cluster is made")
        _down_recorded()
        return False
    missing = [name for name, alive in status().programs.items() if not alive]
    say(f"the cluster on record does not work ({', '.join(missing) or 'all programs run'}): repairing it")
    try:
        _ensure()
    except host.SetupError as error:
        say(f"it cannot be repaired, a new one is made: {error}")
        _down_recorded()
        return False
    return True


def _down_recorded() -> None:
    record = _read_record()
    if record is not None:
        _down(record)


def _make() -> None:
    existed = tuple(str(path) for path in STRAY if path.exists())
    record = Record(boot_id(), content("kube-apiserver"), network.plan(), existed)
    paths.state().mkdir(parents=True, exist_ok=True)
    _record_file().write_text(json.dumps(asdict(record)))
    _ensure(fresh=True)


def _ensure(fresh: bool = False) -> None:
    """Every step makes what is missing; `fresh` clears what containers an unclean end left in the image store."""
    started = time.monotonic()

    def done(what: str) -> None:
        say(f"cluster: {what} ({time.monotonic() - started:.1f} s)")

    network.up()
    cgroups.make()
    plane = _plane()
    node = Node(plane)
    node.start_containerd()
    if fresh:
        node.containerd.remove_containers()
    plane.start()
    _hand_over(plane.kubeconfig)
    done("API server and controllers answer")
    scheduler = plane.kubeconfig_for("system:kube-scheduler")
    flags = ["--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=500", "--kube-api-burst=1000"]
    plane.run("kube-scheduler", [f"--kubeconfig={scheduler}", *flags])
    for archive in addons.archives():
        node.containerd.load(archive)
    node.start()
    done("the node is Ready")
    addons.apply_dns(plane.kubeconfig)
    wait_for("CoreDNS answers", addons.dns_answers, 90)
    done("DNS answers; the cluster is up")


def _down(record: Record) -> None:
    say("cluster: taking it down")
    plane = _plane()
    processes = plane.processes
    processes.stop("kubelet", grace=0)  # first, or it would start again what is taken away
    cgroups.kill_all(cgroups.PODS)
    if processes.alive("containerd"):
        try:
            Node(plane).containerd.remove_containers()
        except host.SetupError as error:  # the next `up` does it, before anything runs
            say(f"containers stay in containerd's records: {error}")
    processes.stop("containerd")  # asked first: its records stay
    for name in processes.names():
        processes.stop(name, grace=0)
    cgroups.kill_all()
    _unmount_below(paths.state())
    _unmount_below(paths.image_store())
    network.down(record.network)
    cgroups.remove()
    clean_stray(paths.state(), record.existed)
    shutil.rmtree(paths.state())


def _unmount_below(folder: Path) -> None:
    for point in reversed(_mounts_below(folder)):
        succeeds("umount", "--lazy", point)
    if left := _mounts_below(folder):
        raise host.SetupError(f"still mounted below {folder}, so nothing there is removed: {', '.join(left)}")


def _mounts_below(folder: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]


def _plane() -> ControlPlane:
    prefix = cgroups.joining(network.INSIDE)
    settings = Settings(network.NODE, 6443, 2379, 2380, prefix, controllers=("*",), service_range=network.SERVICES)
    return ControlPlane(paths.state(), settings)


def _hand_over(kubeconfig: Path) -> None:
    """With sudo, the kubeconfig belongs to who called it."""
    if "SUDO_UID" in os.environ:
        os.chown(kubeconfig, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def _lock() -> AbstractContextManager[None]:
    return locked(paths.cache() / "cluster.lock", "it works on the cluster")


def _record_file() -> Path:
    return paths.state() / "cluster.json"


def _read_record() -> Record | None:
    try:
        fields = json.loads(_record_file().read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Record(fields["boot"], fields["programs"], Network(**fields["network"]), tuple(fields["existed"]))

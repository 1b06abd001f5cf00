"""Checks that the machine has what the cluster and the images need, and installs Debian packages where it may.

It must never start a system service, and never install anything without having the right to (root, or sudo
without a password): then it names the one command that does it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.paths import cache

_DISK_ALWAYS = 3  # GiB for pods, logs and the data of etcd
GO_MINIMUM = (1, 25)  # what Kubernetes asks for; go fetches a newer tool chain itself where a module needs one
_IMAGES = frozenset({"buildah", "debootstrap", "skopeo"})
_NETWORK = frozenset({"conntrack", "containernetworking-plugins", "ebtables", "iproute2", "ipset", "iptables", "socat"})
_CLUSTER = _NETWORK | {"buildah", "busybox-static", "containerd", "runc"}  # buildah: the images of pause and CoreDNS

# The machine's own containerd is not wanted: policy-rc.d is what Debian asks before a package starts its service.
_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > $policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
{install}
"""


@dataclass(frozen=True)
class Needs:
    """What one purpose needs of the machine, in GiB; `disk` is used once, and leaves `folder` in the cache."""

    packages: frozenset[str]
    disk: int
    folder: str
    memory: int


NEEDS = {
    "cluster": Needs(_CLUSTER, disk=12, folder="bin", memory=2),
    "images": Needs(_IMAGES | {"busybox-static"}, disk=30, folder="images", memory=2),
}


class SetupError(Exception):
    """The machine lacks something; the text says what, and what to do."""


def require(purpose: str) -> None:
    """Make sure that the machine can serve `purpose` ('cluster' or 'images'); leave with a message where not."""
    try:
        needs = NEEDS[purpose]
        require_go()
        _require_room(needs, purpose)
        _require_packages(needs, purpose)
    except SetupError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def require_go() -> None:
    """Go of at least GO_MINIMUM, as `go version` tells."""
    wanted = ".".join(map(str, GO_MINIMUM))
    hint = "install it from https://go.dev/dl/ and put its bin folder on PATH"
    if shutil.which("go") is None:
        raise SetupError(f"Go {wanted} or newer is needed to build Kubernetes, and there is no `go` on PATH: {hint}")
    told = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < GO_MINIMUM:
        raise SetupError(f"Go {wanted} or newer is needed to build Kubernetes, and this is {told.strip()!r}: {hint}")


def as_root(command: list[str]) -> list[str] | None:
    """`command` in the form that has root's rights without asking anybody, or None where there is none."""
    if os.geteuid() == 0:
        return command
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return [sudo, "-n", *command]
    return None


def _require_room(needs: Needs, purpose: str) -> None:
    place = cache()
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free // 2**30
    disk = _DISK_ALWAYS if (place / needs.folder).exists() else needs.disk
    if free < disk:
        raise SetupError(
            f"'{purpose}' needs {disk} GiB of disk, and {place} has {free} GiB free: "
            "free some, or name another place in MODELPORT_CACHE"
        )
    memory = _available_memory()
    if memory < needs.memory:
        raise SetupError(f"'{purpose}' needs {needs.memory} GiB of free memory, and there are {memory:.1f} GiB")


def _available_memory() -> float:
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) / 2**20 if found else 0.0


def _missing(packages: frozenset[str]) -> list[str]:
    """The packages that dpkg does not know as installed."""
    form = "${Package} ${db:Status-Status}\\n"
    told = subprocess.run(["dpkg-query", "-W", "-f", form, *packages], capture_output=True, text=True).stdout
    installed = {line.split()[0] for line in told.splitlines() if line.endswith(" installed")}
    return sorted(packages - installed)


def _require_packages(needs: Needs, purpose: str) -> None:
    if shutil.which("dpkg-query") is None or shutil.which("apt-get") is None:
        names = " ".join(sorted(needs.packages))
        raise SetupError(
            f"'{purpose}' is set up on Debian and its relatives only; it needs what there is called: {names}"
        )
    with _one_at_a_time():
        missing = _missing(needs.packages)
        if missing:
            _install(missing, purpose)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Held by one of our processes at a time: cluster and images are set up side by side, and apt serves one caller."""
    with (cache() / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(missing: list[str], purpose: str) -> None:
    install = f"apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 {' '.join(missing)}"
    command = as_root(["sh", "-c", _INSTALL.format(install=install)])
    if command is None:
        raise SetupError(
            f"'{purpose}' needs Debian packages that are missing, and installing them needs root. Run:\n"
            f"  sudo sh -c 'apt-get update && {install}'"
        )
    print(f"installing Debian packages: {' '.join(missing)}", file=sys.stderr, flush=True)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise SetupError(f"{install} failed with status {done.returncode}:\n{done.stdout[-3000:]}")

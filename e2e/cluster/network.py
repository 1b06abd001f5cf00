"""The network namespace of the cluster, and the one link and two routes that lead to it from the host.

Nothing may leave it: there is no route beyond the link, no masquerading, and no change to the host's firewall.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.commands import run, succeeds
from e2e.host import SetupError

NAME = "modelport"
LINK = "modelport0"  # the host's end
RANGE = "10.98.0.0/24"
HOST = "10.98.0.1"
NODE = "10.98.0.2"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
_INSIDE = "eth0"
_NAMESPACES = Path("/run/netns")
INSIDE = ("nsenter", f"--net={_NAMESPACES / NAME}")


@dataclass(frozen=True)
class Network:
    """What `up` found and made; kept so that `down` takes away exactly that."""

    made_namespace_folder: bool


def exists() -> bool:
    """Whether the namespace is there."""
    return (_NAMESPACES / NAME).exists()


def plan() -> Network:
    """To be called, and written down, before `up`; a namespace of that name which is not recorded is not ours."""
    if exists() or succeeds("ip", "link", "show", LINK):
        raise SetupError(
            f"a network namespace {NAME!r} or a link {LINK!r} exists, and no record says that it is ours. "
            f"If nothing needs it: ip netns del {NAME}; ip link del {LINK}"
        )
    for target in (SERVICES, PODS, RANGE):
        if found := run("ip", "route", "show", target).strip():
            raise SetupError(f"the cluster needs the range {target}, and this machine has a route to it: {found}")
    return Network(made_namespace_folder=not _NAMESPACES.exists())


def up() -> None:
    """Make what is missing of it."""
    if not exists():
        run("ip", "netns", "add", NAME)
    if not succeeds("ip", "link", "show", LINK):
        run("ip", "link", "add", LINK, "type", "veth", "peer", "name", _INSIDE, "netns", NAME)
    _inside_up()
    run("ip", "address", "replace", f"{HOST}/24", "dev", LINK)
    run("ip", "link", "set", LINK, "up")
    for target in (SERVICES, PODS):
        run("ip", "route", "replace", target, "via", NODE)


def _inside_up() -> None:
    run(*INSIDE, "ip", "link", "set", "lo", "up")
    run(*INSIDE, "ip", "address", "replace", f"{NODE}/24", "dev", _INSIDE)
    run(*INSIDE, "ip", "link", "set", _INSIDE, "up")
    # A process of the node that calls a Service needs some route before iptables rewrites the address.
    run(*INSIDE, "ip", "route", "replace", SERVICES, "dev", _INSIDE, "src", NODE)
    run(*INSIDE, "ip", "route", "replace", "unreachable", "default")
    if not Path("/proc/sys/net/bridge").exists():
        run("modprobe", "br_netfilter")
    for key in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"):
        run(*INSIDE, "sh", "-c", f"echo 1 > /proc/sys/{key}")


def down(network: Network) -> None:
    """Take it away; the kernel drops the link, the routes and the namespace's firewall rules with it."""
    succeeds("ip", "link", "del", LINK)
    succeeds("ip", "netns", "del", NAME)
    if network.made_namespace_folder and _NAMESPACES.exists() and not any(_NAMESPACES.iterdir()):
        succeeds("umount", str(_NAMESPACES))
        _NAMESPACES.rmdir()

"""`python -m e2e.cluster COMMAND`: what was asked for goes to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from e2e import host
from e2e.cluster import binaries, cluster, commands, given, paths
from e2e.cluster.locks import say

_KEPT_BY_SUDO = ("HOME", "PATH", "MODELPORT_CACHE", "PYTHONPATH", "GOPROXY", "GOFLAGS")


def main() -> None:
    """Do what the command line says; a set-up error is a message and status 1, not a traceback."""
    arguments = _parser().parse_args()
    try:
        _COMMANDS[arguments.command](arguments.arguments)
    except host.SetupError as error:
        say(f"error: {error}")
        raise SystemExit(1) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=_HELP, formatter_class=_Raw)
    parser.add_argument("command", choices=_COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def _binaries(names: list[str]) -> None:
    if unknown := set(names) - set(binaries.PROGRAMS):
        known = ", ".join(binaries.PROGRAMS)
        raise host.SetupError(f"no such programs: {', '.join(sorted(unknown))}; there are {known}")
    for path in binaries.build(names or binaries.PROGRAMS).values():
        print(path)


def _up(_: list[str]) -> None:
    if given.kubeconfig():
        given.check()
        say(f"using the cluster of KUBECONFIG={given.kubeconfig()}")
        return
    _become_root()
    cluster.up()


def _down(_: list[str]) -> None:
    if given.kubeconfig():
        say("KUBECONFIG names a cluster that is not ours: nothing is taken down")
        return
    _become_root()
    cluster.down()


def _status(_: list[str]) -> None:
    if given.kubeconfig():
        given.check()
        print(f"the cluster of KUBECONFIG={given.kubeconfig()} answers")
        return
    _become_root()
    found = cluster.status()
    for name, well in {**found.programs, **found.answers}.items():
        print(f"{name:25}{'ok' if well else 'no'}")
    raise SystemExit(0 if found.up else 1)


def _load(archives: list[str]) -> None:
    if given.kubeconfig():
        say("KUBECONFIG names your own cluster: push the images where it can pull them; nothing is loaded")
        return
    _become_root()
    cluster.load([Path(archive) for archive in archives])


def _kubeconfig(_: list[str]) -> None:
    print(given.kubeconfig() or paths.kubeconfig())


def _kubectl(arguments: list[str]) -> None:
    program = binaries.binary("kubectl")
    environment = {**commands.environment(), "KUBECONFIG": given.kubeconfig() or str(paths.kubeconfig())}
    os.execve(program, [str(program), *arguments], environment)


def _become_root() -> None:
    """Go on as root by sudo, where that asks nothing; what the user can do alone is done before."""
    if os.geteuid() == 0:
        return
    binaries.build()
    present = commands.environment()
    kept = [f"{name}={present[name]}" for name in _KEPT_BY_SUDO if name in present]
    command = host.as_root([shutil.which("env") or "env", *kept, sys.executable, "-m", "e2e.cluster", *sys.argv[1:]])
    if command is None:
        raise host.SetupError("a cluster needs root (network, containers): be root, or allow sudo without a password")
    os.execvp(command[0], command)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


_COMMANDS = {
    "binaries": _binaries,
    "up": _up,
    "down": _down,
    "status": _status,
    "load": _load,
    "kubeconfig": _kubeconfig,
    "kubectl": _kubectl,
}
_HELP = """\
A real Kubernetes from packages, or the user's own where KUBECONFIG names one.

  binaries [NAME...]  build etcd, Kubernetes, CoreDNS and helm once, and print their paths
  up                  have a cluster that works; a second call returns at once
  down                take everything away that `up` made
  status              what runs and what answers; status 1 where something is missing
  load ARCHIVE...     import OCI archives into the node
  kubeconfig          print the path of the kubeconfig
  kubectl ARGS...     kubectl of the same version, with that kubeconfig"""

main()

"""Builds etcd, Kubernetes, CoreDNS and helm from their Go modules, once per content of go.mod and go.sum.

It must never change go.mod or go.sum, and never leave a half-written program under its final name.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from e2e import host
from e2e.cluster.locks import locked, say
from e2e.cluster.paths import HERE, cache


@dataclass(frozen=True)
class Program:
    """One program: the folder of its Go module, its package, and the module whose version it states."""

    name: str
    folder: Path
    package: str
    versioned_by: str


def _kubernetes(name: str) -> Program:
    return Program(name, HERE, f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes")


PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", HERE, "go.etcd.io/etcd/server/v3", "k8s.io/kubernetes"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kubectl"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        _kubernetes("kube-scheduler"),
        Program("coredns", HERE / "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns"),
        Program("helm", HERE / "helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"),
    )
}


def binary(name: str) -> Path:
    """The program `name`, built first where it is missing."""
    return build([name])[name]


def build(names: Iterable[str] = PROGRAMS) -> dict[str, Path]:
    """Build what is missing of `names`; what is there already costs nothing."""
    wanted = [PROGRAMS[name] for name in names]
    missing = [program for program in wanted if not _target(program).exists()]
    if missing:
        host.require_go()
        with locked(cache() / "bin" / ".lock", "it builds programs"):
            for number, program in enumerate(missing, 1):
                _build(program, f"[{number}/{len(missing)}]")
    return {program.name: _target(program) for program in wanted}


def version(program: Program) -> str:
    """The version that go.mod requires of the module the program states."""
    text = (program.folder / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(program.versioned_by)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{program.folder / 'go.mod'} requires no {program.versioned_by}")
    return found.group(1)


def content(name: str) -> str:
    """The hash of what the program is built from: the versions of its module and of all that this one needs."""
    files = [(PROGRAMS[name].folder / file).read_bytes() for file in ("go.mod", "go.sum")]
    return hashlib.sha256(b"".join(files)).hexdigest()[:16]


def _target(program: Program) -> Path:
    return cache() / "bin" / content(program.name) / program.name


def _build(program: Program, position: str) -> None:
    target = _target(program)
    if target.exists():  # the process we waited for has built it
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"{position} {program.name}: building")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
        output = Path(folder) / program.name
        command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", _ldflags(program)]
        done = subprocess.run(
            [*command, "-o", str(output), program.package],
            cwd=program.folder,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode != 0:
            raise host.SetupError(f"go build of {program.name} failed in {program.folder}:\n{done.stderr[-4000:]}")
        output.rename(target)
    say(f"{position} {program.name} ... {time.monotonic() - started:.0f} s")


def _ldflags(program: Program) -> str:
    """Versions are stamped in as the projects' own builds do: unstamped, charts' kubeVersion checks fail."""
    stated = version(program)
    if program.name == "helm":
        return f"-s -w -X helm.sh/helm/v4/internal/version.version={stated}"
    if program.versioned_by != "k8s.io/kubernetes":
        return "-s -w"
    major, minor, _ = stated.removeprefix("v").split(".", 2)
    values = {"gitVersion": stated, "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    return " ".join(["-s -w", *stamps])

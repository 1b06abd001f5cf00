"""kubectl, helm and the way to a Service, for the demo and the tests. It must never hide what a command said.

The cluster is the one of KUBECONFIG where the user set it, else the one that `python -m e2e.cluster up` made.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from e2e.cluster import given, paths
from e2e.cluster.binaries import binary

Json = dict[str, Any]
T = TypeVar("T")


class CommandError(Exception):
    """A command failed; the text is what it printed."""


def environment() -> dict[str, str]:
    """The environment in which kubectl and helm find the cluster."""
    return {**os.environ, "KUBECONFIG": given.kubeconfig() or str(paths.kubeconfig())}


def run(program: str, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
    """Standard output of a program from the cache (kubectl, helm)."""
    command = [str(binary(program)), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment(), timeout=timeout)
    if done.returncode != 0:
        raise CommandError(f"{program} {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
    """Standard output of kubectl."""
    return run("kubectl", *arguments, stdin=stdin, timeout=timeout)


def helm(*arguments: str, timeout: float = 600) -> str:
    """Standard output of helm."""
    return run("helm", *arguments, timeout=timeout)


def get(kind: str, name: str, namespace: str) -> Json:
    """One object."""
    found: Json = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


def pods(name: str, namespace: str) -> list[Json]:
    """The pods of a ModelDeployment that are not being deleted."""
    listed = json.loads(kubectl("get", "pods", "-n", namespace, "-l", f"modelport.io/name={name}", "-o", "json"))
    return [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]


def condition(resource: Json, kind: str) -> Json:
    """A condition of the resource, empty where it is absent."""
    conditions: list[Json] = resource.get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})


def is_ready(resource: Json) -> bool:
    """Ready, and about the generation that is wanted now."""
    ready = condition(resource, "Ready")
    generation = resource["metadata"]["generation"]
    return (
        ready.get("status") == "True"
        and ready.get("observedGeneration") == generation
        and resource["status"].get("observedGeneration") == generation
    )


def until(what: str, probe: Callable[[], T | None], timeout: float, every: float = 0.5) -> T:
    """The first true result of `probe`; at the deadline an error that names what was waited for, and the last result."""
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}; last seen: {found!r}")
        time.sleep(every)


def wait_ready(name: str, namespace: str, timeout: float) -> Json:
    """Wait until the resource is Ready; the error holds its last status."""

    def probe() -> Json | None:
        resource.update(get("mdep", name, namespace))
        return resource if is_ready(resource) else None

    resource: Json = {}
    try:
        return until(f"{name} is Ready", probe, timeout)
    except TimeoutError:
        status = json.dumps(resource.get("status"), indent=2)
        raise TimeoutError(f"{namespace}/{name} is not Ready after {timeout:.0f} s: {status}") from None


@contextmanager
def reach(name: str, namespace: str, port: int = 8000) -> Iterator[str]:
    """host:port of a Service. In our own cluster its address is routed to us; elsewhere kubectl forwards a port."""
    if not given.kubeconfig():
        yield f"{get('service', name, namespace)['spec']['clusterIP']}:{port}"
        return
    command = [str(binary("kubectl")), "port-forward", "-n", namespace, f"service/{name}", f":{port}"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as forward:
        try:
            line = forward.stdout.readline() if forward.stdout else ""
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            if match is None:
                raise CommandError(f"kubectl port-forward to {name} said: {line!r}")
            yield f"127.0.0.1:{match[1]}"
        finally:
            forward.terminate()

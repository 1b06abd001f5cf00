"""What the agent costs beside a server under load. The two figures are printed: `make e2e` shows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from e2e import asking, stack
from e2e.kube import CommandError, Json, kubectl, pods, reach

LOAD_SECONDS = 40
MEBIBYTE = 1024


def test_agent_is_small_and_idle_under_load(serving: Callable[[str], Json]) -> None:
    serving("assistant")
    (pod,) = pods("assistant", stack.MODELS)
    name = pod["metadata"]["name"]
    before = {container: cpu_seconds(name, container) for container in ("server", "agent")}
    with reach("assistant", stack.MODELS) as address, ThreadPoolExecutor(8) as callers:
        deadline = time.monotonic() + LOAD_SECONDS
        answers = sum(callers.map(lambda _: load(address, deadline), range(8)))
    used = {container: cpu_seconds(name, container) - before[container] for container in before}
    resident = resident_kib(name) / MEBIBYTE
    share = used["agent"] / used["server"]
    print(
        f"\nagent: {resident:.1f} MiB resident, {share:.3%} of the server's CPU ({used['server']:.1f} s, {answers} answers)"
    )
    assert answers > 0
    assert resident < 60
    assert share < 0.005


def load(address: str, deadline: float) -> int:
    """Chat until the deadline; how many answers came."""
    count = 0
    while time.monotonic() < deadline:
        assert asking.chat(address, "smollm2", f"Write a sentence about the number {count}.")
        count += 1
    return count


def cpu_seconds(pod: str, container: str) -> float:
    """CPU time of the container since it started, from its own cgroup (version 1 or 2)."""
    try:
        return int(read(pod, container, "/sys/fs/cgroup/cpuacct/cpuacct.usage")) / 1e9
    except CommandError:
        usage = dict(line.split() for line in read(pod, container, "/sys/fs/cgroup/cpu.stat").splitlines())
        return int(usage["usage_usec"]) / 1e6


def resident_kib(pod: str) -> int:
    """Resident memory of the agent's process in KiB."""
    (line,) = [line for line in read(pod, "agent", "/proc/1/status").splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


def read(pod: str, container: str, path: str) -> str:
    return kubectl("exec", "-n", stack.MODELS, pod, "-c", container, "--", "cat", path)

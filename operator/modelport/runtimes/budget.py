"""How long a replica may take to start, from the spec alone: a pod template never depends on the network.

The budgets are generous. A start that is cut short begins anew and never ends, while one that hangs is seen by people
long before (the status says what the pod is doing).
"""

from __future__ import annotations

from math import ceil

from modelport.api.spec import ModelDeploymentSpec
from modelport.api.types import amount

from .base import GIB, Budget

FETCH_BYTES_PER_SECOND = 20e6
LOAD_BYTES_PER_SECOND = 100e6
FETCH_SECONDS = 60
"""Before the first byte: names, redirects, a busy hub."""
LONGEST_SECONDS = 7 * 24 * 3600
GUESS_PER_GPU = 40 * GIB
"""A model of unknown size is taken to fill half of a large GPU."""
GUESS_ON_CPU = 4 * GIB


def budget(spec: ModelDeploymentSpec, base: int, downloads: bool) -> Budget:
    """`base` is what the server takes without any weights."""
    size = _size(spec)
    fetch = FETCH_SECONDS + size / FETCH_BYTES_PER_SECOND if downloads else 0
    load = base + size / LOAD_BYTES_PER_SECOND
    return Budget(fetch=ceil(min(fetch, LONGEST_SECONDS)), load=ceil(min(load, LONGEST_SECONDS)))


def _size(spec: ModelDeploymentSpec) -> float:
    if spec.model is not None and spec.model.size is not None:
        return amount(spec.model.size)
    return float(spec.gpu.count * GUESS_PER_GPU) if spec.gpu is not None else float(GUESS_ON_CPU)

"""Where things are kept. It must never name a folder outside the cache, except the repository's own."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def cache() -> Path:
    """The cache of the project: MODELPORT_CACHE, or ~/.cache/modelport."""
    given = os.environ.get("MODELPORT_CACHE")
    return Path(given).expanduser().resolve() if given else Path.home() / ".cache" / "modelport"


def state() -> Path:
    """What belongs to the running cluster; `down` removes it."""
    return cache() / "cluster"


def image_store() -> Path:
    """containerd's images; kept over `down`, so that the next `up` need not import them again."""
    return cache() / "containerd"


def kubeconfig() -> Path:
    """The administrator's kubeconfig of the cluster that `up` makes."""
    return state() / "kubeconfig"

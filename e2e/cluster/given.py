"""The user's own cluster, where KUBECONFIG names one. It must never be changed by the set-up."""

from __future__ import annotations

import os
from pathlib import Path

from e2e.cluster import paths
from e2e.cluster.binaries import binary
from e2e.cluster.commands import run
from e2e.host import SetupError


def kubeconfig() -> str | None:
    """What KUBECONFIG says, unless it is the kubeconfig that we ourselves print."""
    value = os.environ.get("KUBECONFIG", "")
    if not value or Path(value).expanduser().resolve() == paths.kubeconfig().resolve():
        return None
    return value


def check() -> None:
    """Raise where the user's cluster does not answer."""
    try:
        run(str(binary("kubectl")), "get", "--raw", "/readyz", "--request-timeout=20s")
    except SetupError as error:
        raise SetupError(
            f"KUBECONFIG={kubeconfig()} is set, and that cluster does not answer; unset it to have one made here: {error}"
        ) from None

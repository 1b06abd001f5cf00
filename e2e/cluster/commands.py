"""Runs the system's own tools. It must never swallow why one of them failed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from e2e.host import SetupError

_DIRECT = ("127.0.0.1", "10.98.0.0/24")  # a control plane of a test, and the cluster's


def run(*command: str, stdin: str | None = None, timeout: float = 600) -> str:
    """The output of a command that has to succeed."""
    done = attempt(command, stdin, timeout)
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-2000:]
        raise SetupError(f"`{' '.join(command)}` failed with status {done.returncode}: {said}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether the command succeeds: for questions, and for taking away what may be gone already."""
    return attempt(command, None, 600).returncode == 0


def environment() -> dict[str, str]:
    """Ours, with the folders that only root has on PATH by default; a proxy is never asked for the cluster."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), *_DIRECT]))
    return {**os.environ, "PATH": path, "NO_PROXY": direct}


def attempt(command: Sequence[str], stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    """The command's end, whatever its status; with no `stdin` there is nothing to read."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, input=stdin or "", env=environment()
        )
    except FileNotFoundError:
        raise SetupError(f"there is no program {command[0]!r} on PATH") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"`{' '.join(command)}` has not ended within {timeout:.0f} s") from None

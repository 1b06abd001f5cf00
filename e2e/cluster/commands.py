"""Runs the system's own tools. It must never swallow why one of them failed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from e2e.host import SetupError


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


def attempt(command: Sequence[str], stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    """The command's end, whatever its status; with no `stdin` there is nothing to read."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin or "")
    except FileNotFoundError:
        raise SetupError(f"there is no program {command[0]!r} on PATH") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"`{' '.join(command)}` has not ended within {timeout:.0f} s") from None

"""`modelport` with long waits made short, so that no test has to wait for them: `hurried.py silence=8 resync=5 run ...`.

Everything else is the operator as it is. It must never be used where the length of a wait is what is tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import modelport.app.watching
import modelport.control.resync
import modelport.kube.client
from modelport.cli.main import main


def silence(seconds: float) -> None:
    """After so long without a word a watch is begun anew; bookmarks come once a minute, so a quiet one as well."""
    modelport.kube.client._SILENCE = seconds
    chosen = modelport.app.watching.settings

    def settings() -> object:
        of_kopf = chosen()
        of_kopf.watching.inactivity_timeout = seconds
        return of_kopf

    modelport.app.watching.settings = settings


def resync(seconds: float) -> None:
    """So often everything is compared with a fresh list."""
    modelport.control.resync.EVERY = seconds


WAITS: dict[str, Callable[[float], None]] = {"silence": silence, "resync": resync}


def program(**waits: float) -> tuple[str, ...]:
    """What Python is to run, with these waits."""
    return (str(Path(__file__)), *(f"{name}={seconds}" for name, seconds in waits.items()))


if __name__ == "__main__":
    while "=" in sys.argv[1]:
        name, _, seconds = sys.argv.pop(1).partition("=")
        WAITS[name](float(seconds))
    main()

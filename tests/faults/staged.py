"""`modelport` in circumstances that a test sets: `staged.py silence=8 clock=/tmp/shift run ...`.

Long waits are made short where their length is not what is tested, its clock is set by a file, its service account lies
elsewhere, its memory is limited, its log goes nowhere. Everything else is the operator as it is.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def silence(seconds: str) -> None:
    """After so long without a word a watch is begun anew; bookmarks come once a minute, so a quiet one as well."""
    import modelport.app.watching
    import modelport.kube.client

    modelport.kube.client._SILENCE = float(seconds)
    chosen = modelport.app.watching.settings

    def settings() -> object:
        of_kopf = chosen()
        of_kopf.watching.inactivity_timeout = float(seconds)
        return of_kopf

    modelport.app.watching.settings = settings


def resync(seconds: str) -> None:
    """So often everything is compared with a fresh list."""
    import modelport.control.resync

    modelport.control.resync.EVERY = float(seconds)


def lease(seconds: str) -> None:
    """The Lease lasts so long; everything about it is shorter in the same measure."""
    import modelport.kube.lease as module

    shorter = float(seconds) / module.DURATION
    for name in ("DURATION", "RENEW_EVERY", "RETRY_EVERY", "LONGEST_TRY", "MARGIN"):
        setattr(module, name, getattr(module, name) * shorter)


def clock(file: str) -> None:
    """The wall clock is ahead by the number of seconds in the file. Only its own: certificates are checked by the true one."""
    true = time.time

    def shifted() -> float:
        return true() + float(Path(file).read_text())

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Shifted:
            return cls.fromtimestamp(shifted(), tz)

    time.time = shifted
    datetime.datetime = Shifted  # type: ignore[misc]


def secrets(folder: str) -> None:
    """Where the kubelet has put token and authority of the service account; no kubeconfig."""
    import kubernetes.aio.config.incluster_config as module

    module.SERVICE_TOKEN_FILENAME, module.SERVICE_CERT_FILENAME = f"{folder}/token", f"{folder}/ca.crt"
    del os.environ["KUBECONFIG"]


def cgroup(folder: str) -> None:
    """The process, and what it starts, is limited by this control group."""
    (Path(folder) / "cgroup.procs").write_text(str(os.getpid()))


def log(file: str) -> None:
    """Standard error goes there."""
    os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), 2)


STAGES: dict[str, Callable[[str], None]] = {
    stage.__name__: stage for stage in (silence, resync, lease, clock, secrets, cgroup, log)
}


def program(**stages: object) -> tuple[str, ...]:
    """What Python is to run, with these set."""
    return (str(Path(__file__)), *(f"{name}={value}" for name, value in stages.items()))


if __name__ == "__main__":
    while "=" in sys.argv[1]:
        name, _, value = sys.argv.pop(1).partition("=")
        STAGES[name](value)
    from modelport.cli.main import main

    main()

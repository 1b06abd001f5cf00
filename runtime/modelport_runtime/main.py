"""The command line of modelport-runtime. Must never do more than read arguments and settings."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from modelport_runtime.explaining import leave_behind
from modelport_runtime.serving import Place, serve
from modelport_runtime.settings import SettingsError, read


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    given = _parser().parse_args(arguments)
    _log_to_stderr()
    try:
        settings = read(given.config)
    except SettingsError as error:
        leave_behind(f"app: CONFIG: {error}")
        sys.exit(1)
    place = Place(given.app, given.app_dir.absolute(), given.host, given.port, given.management_port)
    sys.exit(serve(place, settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelport-runtime", description="Serves models written as ASGI applications."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve an ASGI application as it is, with health, metrics and proof")
    serving.add_argument("app", metavar="module:name", help="the application, such as app:app")
    serving.add_argument(
        "--app-dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where the module is, and the working folder (default: .)",
    )
    serving.add_argument("--config", type=Path, metavar="FILE", help="runtime.json: the question, its interval, drain")
    serving.add_argument("--host", default="0.0.0.0", help="address of both ports (default: %(default)s)")
    serving.add_argument("--port", type=int, default=8000, help="the application (default: %(default)s)")
    serving.add_argument(
        "--management-port",
        type=int,
        default=8002,
        help="/healthz, /readyz, /startupz, /metrics, /drain (default: %(default)s)",
    )
    return parser


def _log_to_stderr() -> None:
    """Only our own logger is set up: the root logger belongs to the application."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
    ours = logging.getLogger("modelport_runtime")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False

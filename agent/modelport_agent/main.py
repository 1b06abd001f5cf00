"""The command line of the helper in a model pod."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from modelport_agent.config import ConfigError, load, parse_fetch, parse_prove

DESCRIPTION = "Fetches a model into a pod, proves that its server answers, and drains it. Modelport's pods run it."
CONFIG = "/etc/modelport/agent.json"
TERMINATION_LOG = "/dev/termination-log"


def parser() -> argparse.ArgumentParser:
    """fetch and prove, each reading the same file."""
    main = argparse.ArgumentParser(prog="modelport-agent", description=DESCRIPTION)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fetch = commands.add_parser(
        "fetch",
        help="bring the model's files into place, then exit",
        description="Takes the steps under `fetch` of the configuration: downloads (resumed, checksummed, atomic), "
        "links, copies. HF_ENDPOINT names the hub, HF_TOKEN the token. Ends with 0 only when everything is in place.",
    )
    prove = commands.add_parser(
        "prove",
        help="ask the model over localhost, serve the verdict",
        description="Asks the server over localhost, again and again, and serves /readyz, /healthz, /drain, /metrics "
        "and /progress.",
    )
    for command in (fetch, prove):
        command.add_argument("--config", default=CONFIG, metavar="FILE", help=f"default: {CONFIG}")
    fetch.add_argument(
        "--termination-log", default=TERMINATION_LOG, metavar="FILE", help="where the one line on failure goes"
    )
    fetch.add_argument("--check", action="store_true", help="fetch nothing: only see whether each source would give it")
    prove.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    prove.add_argument("--port", type=int, default=8003, help="port to listen on (default: 8003)")
    return main


def main() -> NoReturn:
    options = parser().parse_args()
    if options.command == "fetch":
        sys.exit(run_fetch(options.config, Path(options.termination_log), only_check=options.check))
    sys.exit(run_prove(options.config, options.host, options.port))


def run_fetch(config: str, termination_log: Path, *, only_check: bool) -> int:
    """0 when everything is in place, or could be fetched where that is all that is asked. On failure the process ends at once: other
    downloads may still be blocked."""
    # huggingface_hub reads these when it is imported: no telemetry, no second download protocol, no update check.
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_UPDATE_CHECK"):
        os.environ.setdefault(name, "1")
    from modelport_agent.fetch.errors import FetchError
    from modelport_agent.fetch.run import check, run

    # The first process of a container ignores SIGTERM unless it says otherwise; what has arrived stays on disk.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        (check if only_check else run)(parse_fetch(load(config)))
    except (FetchError, ConfigError) as error:
        kind = "" if isinstance(error, FetchError) else "Config: "
        line = " ".join(f"fetch: {kind}{error}".split())
    except OSError as error:
        line = " ".join(f"fetch: Disk: {error}".split())
    else:
        return 0
    print(line, file=sys.stderr, flush=True)
    try:
        termination_log.write_text(line)
    except OSError as error:
        print(f"fetch: {termination_log}: cannot be written: {error.strerror}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(1)


def run_prove(config: str, host: str, port: int) -> int:
    """Until SIGTERM."""
    import asyncio

    from modelport_agent.server import serve

    try:
        settings = parse_prove(load(config))
    except ConfigError as error:
        print(f"prove: Config: {error}", file=sys.stderr, flush=True)
        return 2
    asyncio.run(serve(settings, host, port))
    return 0

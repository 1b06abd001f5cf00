"""`python -m e2e.images build [NAME...]` and `list [--json]`; progress goes to standard error."""

from __future__ import annotations

import argparse
import json

from e2e.cluster.locks import say
from e2e.host import SetupError
from e2e.images import build
from e2e.images.recipes import IMAGES


def main() -> None:
    """Do what the command line says; a set-up error is a message and status 1, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m e2e.images", description="Container images from packages.")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("build", help="make OCI archives; what is there already is not made again")
    made.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(IMAGES)}")
    shown = commands.add_parser("list", help="name, reference and archive of each image")
    shown.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "build":
        if unknown := set(arguments.names) - set(IMAGES):
            parser.error(f"no such images: {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
        try:
            build.build(arguments.names or IMAGES)
        except SetupError as error:
            say(f"error: {error}")
            raise SystemExit(1) from None
    elif arguments.json:
        print(build.listed())
    else:
        for name, image in json.loads(build.listed()).items():
            print(f"{name:10}{image['reference']:45}{image['archive']}")


main()

"""`modelport run`: the operator. It must never be the place of anything but options."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from modelport.app import logging as logs
from modelport.app.operator import Operator, Options
from modelport.app.scope import Shard, namespaces
from modelport.app.settings import DEFAULT_FILE, SettingsError, load
from modelport.kube.connection import Connection
from modelport.kube.errors import Unavailable

_DEEPEST = 100_000
"""The API server keeps resources of nearly 10,000 maps in one another, each of which kopf copies with several calls."""

_COLLECT_AFTER = (10_000, 20, 20)
"""Objects until the garbage collector looks for circles among the youngest; decoding a single Deployment makes 300. Python's
own 700 took a tenth of all CPU time while 500 resources were created."""


def _checked(parse: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """What `parse` makes of a value that is given; its ValueError becomes the command line's own."""

    def checked(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return parse(value) if value is not None else None
        except ValueError as problem:
            raise click.BadParameter(str(problem)) from problem

    return checked


@click.command()
@click.option(
    "--settings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Settings as the chart writes them. Default: {DEFAULT_FILE} if it exists.",
)
@click.option("--kubeconfig", help="Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config.")
@click.option(
    "--namespaces",
    "served",
    metavar="A,B",
    multiple=True,
    callback=_checked(namespaces),
    help="Serve only these namespaces; may be repeated.",
)
@click.option(
    "--shard",
    metavar="I/N",
    callback=_checked(Shard.parse),
    help="Serve only the I-th (from 0) of N shares of all namespaces, such as 0/3; each of the N has to run.",
)
@click.option("--door", help="How models are asked: service, off, or a URL with {namespace}, {name} and {port}.")
@click.option("--port", default=8080, show_default=True, help="Port of /healthz, /readyz and /metrics.")
@click.option("--debug-port", default=8081, show_default=True, help="Port on loopback of /debug; 0: a free one.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def run(
    file: Path | None,
    kubeconfig: str | None,
    served: tuple[str, ...],
    shard: Shard | None,
    door: str | None,
    port: int,
    debug_port: int,
    log_level: str | None,
) -> None:
    """Run the operator on a cluster."""
    given = {"namespaces": served, "door": door and {"mode": door}, "logLevel": log_level}
    try:
        settings = load(file, {key: value for key, value in given.items() if value})
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    logs.configure(settings.log_level)
    sys.setrecursionlimit(_DEEPEST)
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    asyncio.run(_run(Options(settings, kubeconfig, port, debug_port, shard)))


async def _run(options: Options) -> None:
    connection = Connection(options.kubeconfig)
    try:
        await connection.load()
    except Unavailable as problem:
        raise click.ClickException(problem.message) from problem
    await Operator(options, connection).run()

"""`modelport run`: the operator. It must never be the place of anything but options."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from modelport.app import logging as logs
from modelport.app.operator import Operator, Options
from modelport.app.settings import DEFAULT_FILE, SettingsError, load
from modelport.kube.connection import Connection
from modelport.kube.errors import Unavailable


@click.command()
@click.option(
    "--settings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Settings as the chart writes them. Default: {DEFAULT_FILE} if it exists.",
)
@click.option("--kubeconfig", help="Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config.")
@click.option("--namespace", "namespaces", multiple=True, help="Serve only this namespace; may be repeated.")
@click.option("--door", help="How models are asked: service, off, or a URL with {namespace}, {name} and {port}.")
@click.option("--port", default=8080, show_default=True, help="Port of /healthz, /readyz and /metrics.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def run(
    file: Path | None,
    kubeconfig: str | None,
    namespaces: tuple[str, ...],
    door: str | None,
    port: int,
    log_level: str | None,
) -> None:
    """Run the operator on a cluster."""
    given = {"namespaces": namespaces, "door": door and {"mode": door}, "logLevel": log_level}
    try:
        settings = load(file, {key: value for key, value in given.items() if value})
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    logs.configure(settings.log_level)
    asyncio.run(_run(Options(settings, kubeconfig, port)))


async def _run(options: Options) -> None:
    connection = Connection(options.kubeconfig)
    try:
        await connection.load()
    except Unavailable as problem:
        raise click.ClickException(problem.message) from problem
    await Operator(options, connection).run()

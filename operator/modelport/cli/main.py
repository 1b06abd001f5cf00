"""`modelport`: one group of commands, each imported only when it is called, so that `render` starts without the operator."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "render": ("modelport.cli.render", "render_command", "Print what a ModelDeployment becomes, without a cluster."),
    "why": ("modelport.cli.why", "why_command", "Why a ModelDeployment is, or is not, ready."),
    "run": ("modelport.app.main", "run", "Run the operator."),
}
"""Name -> module, attribute, and the line in the list of commands."""


class LazyGroup(click.Group):
    """Knows the names of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, click.Command) else click.command(cmd_name)(found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, _, help_line) in COMMANDS.items()])


@click.command(cls=LazyGroup)
@click.version_option(package_name="modelport")
def main() -> None:
    """Serve models on Kubernetes with vLLM, Triton and FastAPI."""

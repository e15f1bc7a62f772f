"""The command's root. A command's module loads when the command is used: a server must not load what a training set needs."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from featurestore import __version__

# gRPC's core writes lines of its own to stderr, for a port in use for one; our error is the one line there is to be.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_MODULES = {
    "init": "project",
    "demo": "demo",
    "plan": "project",
    "apply": "project",
    "prepare": "prepare",
    "quarantine": "prepare",
    "materialize": "materialize",
    "materialize-incremental": "materialize",
    "get-online-features": "lookup",
    "get-historical-features": "lookup",
    "serve": "serve",
}
"""Each command and the module of this package that registers it, in the order of `--help`."""


class _Commands(TyperGroup):
    """Finds commands by name in `_MODULES`. Typer has its own copy of click, whose types have no public name: hence Any."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _MODULES:
            return None
        group = typer.Typer(rich_markup_mode=None)
        import_module(f"featurestore.cli.{_MODULES[cmd_name]}").register(group)
        group.callback()(lambda: None)
        return typer.main.get_group(group).commands[cmd_name]


app = typer.Typer(
    name="featurestore",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"featurestore {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and stop."),
) -> None:
    """A feature store and data preparation service: what a model trains on is what it is served."""


def main() -> None:
    """The console script's entry."""
    app()

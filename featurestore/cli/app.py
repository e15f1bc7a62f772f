"""The command's root: assembles the groups."""

from __future__ import annotations

import typer

from featurestore import __version__
from featurestore.cli import demo, lookup, materialize, prepare, project, serve

app = typer.Typer(
    name="featurestore",
    help="A feature store and data preparation service: what a model trains on is what it is served.",
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


for group in (project, demo, prepare, materialize, lookup, serve):
    group.register(app)


def main() -> None:
    """The console script's entry."""
    app()

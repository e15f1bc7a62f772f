"""`serve`: the gRPC server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import featurestore
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.core.clock import fixed_clock, parse_time, system_clock, to_microseconds
from featurestore.registry import load_config


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command("serve")(serve_command)


def serve_command(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free port.")] = 6566,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="Judge the age of values as if it were this time (ISO 8601), for replays."),
    ] = None,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Serve features over gRPC until SIGTERM; prints one line with its address when it is ready."""
    with errors_as_lines(debug):
        clock = system_clock if as_of is None else fixed_clock(to_microseconds(parse_time(as_of)))

        def announce(address: str) -> None:
            if as_json:
                print_json({"address": address})
            else:
                typer.echo(f"serving on {address}")

        config = load_config(chdir)
        if config.notice:
            console.print(config.notice)
        featurestore.serve(config, host, port, clock=clock, announce=announce)

"""`materialize` and `materialize-incremental`: offline tables to the online store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import featurestore
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.cli.progress import stage_progress
from featurestore.core.clock import parse_time

Views = Annotated[
    list[str] | None, typer.Option("--views", "-v", help="A view to materialize; repeat for more. All online views if absent.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("materialize")(materialize)
    app.command("materialize-incremental")(materialize_incremental)


def materialize(
    start: Annotated[str, typer.Argument(metavar="START", help="ISO 8601; rows with an event time from here on.")],
    end: Annotated[str, typer.Argument(metavar="END", help="ISO 8601; rows up to and including here.")],
    views: Views = None,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Load the latest row of each key with an event time in [START, END] into the online store."""
    _materialize(start, end, views, chdir, as_json, debug)


def materialize_incremental(
    end: Annotated[str, typer.Argument(metavar="END", help="ISO 8601; rows up to and including here.")],
    views: Views = None,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Load what is new since each view's last materialization, up to END."""
    _materialize(None, end, views, chdir, as_json, debug)


def _materialize(start: str | None, end: str, views: list[str] | None, chdir: Path, as_json: bool, debug: bool) -> None:
    with errors_as_lines(debug):
        store = featurestore.FeatureStore(repo_path=chdir)
        with stage_progress() as progress:
            if start is None:
                report = store.materialize_incremental(parse_time(end), views, progress=progress)
            else:
                report = store.materialize(parse_time(start), parse_time(end), views, progress=progress)
        if as_json:
            print_json(report.to_json_object())
            return
        table = Table("view", "rows read", "keys written", "seconds", box=None, header_style="bold")
        for view in report.views:
            table.add_row(view.view, f"{view.rows_read:,}", f"{view.keys_written:,}", f"{view.seconds:.2f}")
        console.print(table)
        for view in report.views:
            if view.null_keys:
                console.print(f"{view.view}: {view.null_keys:,} rows were left out, for a join key is null")
            if view.note:
                console.print(f"{view.view}: {view.note}")

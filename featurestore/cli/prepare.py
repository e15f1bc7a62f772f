"""`prepare` and `quarantine`: from raw files to tables, and the rows that were refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import featurestore
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.cli.progress import stage_progress

quarantine_app = typer.Typer(help="The rows that were refused, and why.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("prepare")(prepare)
    app.add_typer(quarantine_app, name="quarantine")


def prepare(
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="The tables to prepare, with what they need; all if none is named."),
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Read all input again and replace the tables.")] = False,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Clean, validate and publish tables from input that is new since the last run."""
    with errors_as_lines(debug):
        store = featurestore.FeatureStore(repo_path=chdir)
        with stage_progress() as progress:
            report = store.prepare(tables or None, full_refresh=full_refresh, progress=progress)
        if as_json:
            print_json(report.to_json_object())
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("table", "rows in", "accepted", "quarantined", "deduplicated", "dropped", "seconds"):
            table.add_column(name, justify="left" if name == "table" else "right", no_wrap=True)
        for done in report.tables:
            fates = done.fates
            counts = (fates.rows_in, fates.accepted, fates.quarantined, fates.deduplicated, fates.dropped)
            table.add_row(done.table, *(f"{n:,}" for n in counts), f"{done.seconds:.2f}")
        console.print(table if report.tables else "the project defines no tables")
        for done in report.tables:
            if done.message:
                console.print(f"{done.table}: {done.message}")


@quarantine_app.command("list")
def list_(chdir: Chdir = Path(), as_json: Json = False, debug: Debug = False) -> None:
    """Count the refused rows by table, run and rule."""
    with errors_as_lines(debug):
        counts = featurestore.FeatureStore(repo_path=chdir).quarantine.list()
        if as_json:
            print_json({"quarantine": counts})
            return
        table = Table("table", "run", "rule", "column", "rows", box=None, header_style="bold")
        for row in counts:
            table.add_row(row["table"], row["run_id"], row["rule"], row["column"], f"{row['rows']:,}")
        console.print(table if counts else "no row is in quarantine")


@quarantine_app.command("show")
def show(
    table_name: Annotated[str, typer.Argument(metavar="TABLE")],
    rule: Annotated[str | None, typer.Option("--rule", help="Only rows this rule refused.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows at the most.")] = 20,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show refused rows with their file, line, rule, column and value."""
    with errors_as_lines(debug):
        rows = featurestore.FeatureStore(repo_path=chdir).quarantine.show(table_name, rule=rule, limit=limit)
        if as_json:
            print_json({"table": table_name, "rows": rows})
            return
        table = Table("file", "line", "rule", "column", "value", box=None, header_style="bold")
        for row in rows:
            for reason in row["reasons"]:
                table.add_row(row["file"] or "", str(row["line"] or ""), reason["rule"], reason["column"], str(reason["value"]))
        console.print(table if rows else f"no row of {table_name} is in quarantine")

"""`init`, `plan`, `apply`: a project and its definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import featurestore
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.reference import copy_project, generate_raw

SAMPLE_SEED = 1
"""The generated files of every new project are the same."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("init")(init)
    app.command("plan")(plan)
    app.command("apply")(apply)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project's folder; it must not exist or be empty.")],
    sample: Annotated[
        int, typer.Option("--sample", min=0, metavar="ROWS", help="Also generate this many rows of raw CSV files.")
    ] = 0,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a new project from the reference one (online retail)."""
    with errors_as_lines(debug):
        made = copy_project(chdir / folder)
        raw = made / "data" / "raw"
        files = generate_raw(raw, sample, SAMPLE_SEED) if sample else 0
        if as_json:
            print_json({"project": str(made), "raw_files": files})
        filled = f"{raw} holds {files} generated files" if files else f"put raw CSV files into {raw}"
        console.print(f"made {made}\n{filled}; then run there: featurestore apply, featurestore prepare")


def plan(chdir: Chdir = Path(), as_json: Json = False, debug: Debug = False) -> None:
    """Show what `apply` would change in the registry and the catalog; change nothing."""
    _changes(chdir, as_json, debug, make=False)


def apply(chdir: Chdir = Path(), as_json: Json = False, debug: Debug = False) -> None:
    """Register the project's definitions and publish the compiled catalog."""
    _changes(chdir, as_json, debug, make=True)


def _changes(chdir: Path, as_json: bool, debug: bool, *, make: bool) -> None:
    with errors_as_lines(debug):
        store = featurestore.FeatureStore(repo_path=chdir)
        if store.config.notice:
            console.print(store.config.notice)
        with console.status("reading the definitions (this imports Feast)"):
            changes = store.apply() if make else store.plan()
        if as_json:
            print_json(
                {
                    "applied": make,
                    "changes": [
                        {
                            "kind": change.kind,
                            "object": change.object,
                            "name": change.name,
                            "fields": [{"name": f.name, "before": f.before, "after": f.after} for f in change.fields],
                        }
                        for change in changes
                    ],
                }
            )
            return
        if not changes:
            console.print("nothing to change: the registry and the catalog hold these definitions already")
            return
        table = Table("", "object", "name", "field", "before", "after", box=None, header_style="bold")
        for change in changes:
            fields = [(f.name, f.before, f.after) for f in change.fields] or [("", "", "")]
            for place, (name, before, after) in enumerate(fields):
                lead = (change.kind, change.object, change.name) if place == 0 else ("", "", "")
                table.add_row(*lead, name, str(before), str(after))
        console.print(table)
        console.print("applied" if make else "run `featurestore apply` to make these changes")

"""`demo`: the main job from raw files to gRPC lookups, in a temporary project, and what there is to see at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from featurestore import reference
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.cli.progress import Report

if TYPE_CHECKING:
    import polars as pl

    from featurestore.reference.demo import Comparison, DemoReport, Stage

SHOWN = 3
"""Rows of the training set that are shown, and entities whose values are shown side by side; all entities are in --json."""


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command("demo")(demo)


def demo(
    raw: Annotated[
        Path | None, typer.Option("--raw", help="A folder of the online retail CSV files; generated ones if absent.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows to generate where no --raw is given.")] = reference.DEMO_ROWS,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take raw files all the way: clean, validate, publish, materialize, serve, train, and look the same values up.

    Works in a temporary project that is removed at the end, and uses no network but loopback.
    """
    with errors_as_lines(debug), tempfile.TemporaryDirectory(prefix="featurestore-demo-") as folder:
        given = None if raw is None else chdir / raw
        with console.status("loading Feast and the libraries for training"):  # seconds in which there would be nothing to see
            run_demo = reference.run_demo
        with _one_line() as progress:
            report = run_demo(given, Path(folder) / "retail", rows=rows, progress=progress, finished=_tell)
        if as_json:
            print_json(report.to_json_object())
        else:
            show(report)


@contextmanager
def _one_line() -> Iterator[Report]:
    """Show what is being done now in one line, for `_tell` leaves a line of what is done; where stderr is no terminal, nothing."""
    with console.status("") as status:

        def report(stage: str, name: str, done: int, total: int | None) -> None:
            counted = f" {done:,} of {total:,}" if total and total > 1 else ""  # 0 of 1 tells nothing
            status.update(f"{stage} {name}".rstrip() + counted)

        yield report


def _tell(stage: Stage) -> None:
    head = f"{stage.name:<16} {stage.seconds:6.1f} s   "
    lines = wrap(stage.result, max(console.width - len(head), 20), break_on_hyphens=False)
    console.print(head + ("\n" + " " * len(head)).join(lines))


def show(report: DemoReport) -> None:
    """Print what a newcomer wants to see."""
    _title("What became of the rows")
    _show_fates(report)
    _title("Why rows were refused or dropped")
    _say("a row can have more than one reason")
    _show_reasons(report)
    _title("The dirt in the raw files, and what is done about it")
    dirt = _table("kind", "count", "treatment")
    for kind in report.dirt:
        dirt.add_row(kind.kind, f"{kind.rows:,}", kind.treatment)
    console.print(dirt)
    _title(f"The head of the training set ({report.training_rows:,} rows x {report.training_head.width} columns)")
    keys = {name for pair in report.lookups for name in pair.entity}
    _show_head(report.training_head.head(SHOWN), keys)
    _title("The model: does a customer buy again within 30 days?")
    _show_model(report)
    equal = sum(pair.equal for pair in report.lookups)
    _title(f"Historical and online values as of {report.as_of:%Y-%m-%d %H:%M} UTC: {equal} of {len(report.lookups)} entities equal")
    for pair in _shown(report.lookups):
        _show_pair(pair)
    _title("How long it took")
    times = _table("stage", "seconds")
    for stage in report.stages:
        times.add_row(stage.name, f"{stage.seconds:.2f}")
    times.add_row("all", f"{sum(stage.seconds for stage in report.stages):.2f}")
    console.print(times)


def _show_fates(report: DemoReport) -> None:
    table = _table("table", "rows in", "accepted", "quarantined", "deduplicated", "dropped", "seconds")
    for done in report.prepare.tables:
        fates = done.fates
        counts = (fates.rows_in, fates.accepted, fates.quarantined, fates.deduplicated, fates.dropped)
        table.add_row(done.table, *(f"{count:,}" for count in counts), f"{done.seconds:.2f}")
    console.print(table)


def _show_reasons(report: DemoReport) -> None:
    table = _table("table", "fate", "rule/column", "rows")
    for done in report.prepare.tables:
        for fate, counts in (("quarantined", done.reasons), ("dropped", done.dropped_by_rule)):
            for rule, count in sorted(counts.items()):
                table.add_row(done.table, fate, rule, f"{count:,}")
    console.print(table)


def _show_head(head: pl.DataFrame, keys: set[str]) -> None:
    table = _table("column", *(f"row {place + 1}" for place in range(head.height)))
    for column in head.iter_columns():  # a column a line: more columns than a terminal is wide
        text = str if column.name in keys else _text  # a number that names something is no quantity
        table.add_row(column.name, *(text(value) for value in column.to_list()))
    console.print(table)


def _show_model(report: DemoReport) -> None:
    if report.model is None or report.score is None:
        _say("too few data to train one: it takes three months and some customers who come back, and some who do not")
        return
    model, score = report.model, report.score
    _say(
        f"trained on {model.train_rows:,} rows, judged on {model.test_rows:,} later ones, of whom {model.bought_again:.1%} bought again: "
        f"AUC {model.auc:.3f}"
    )
    between = report.training_rows - model.train_rows - model.test_rows
    if between:
        _say(f"{between:,} rows in between are left out: their 30 days were not over at the time of the first rows judged")
    _say(
        f"customer {score.customer_id}, from the online features over gRPC: {score.online:.4f}; from the historical ones: {score.historical:.4f}"
    )


def _shown(pairs: tuple[Comparison, ...]) -> list[Comparison]:
    """A few pairs: those that differ first, then one of each kind of entity."""
    first_of_kind: dict[tuple[str, ...], Comparison] = {}
    for pair in pairs:
        first_of_kind.setdefault(tuple(pair.entity), pair)
    return [*[pair for pair in pairs if not pair.equal], *first_of_kind.values()][:SHOWN]


def _show_pair(pair: Comparison) -> None:
    entity = ", ".join(f"{name} {value}" for name, value in pair.entity.items())
    table = _table(entity, "historical", "online")
    for name, value in pair.historical.items():
        table.add_row(name, _text(value), _text(pair.online.get(name)))
    console.print(table)


def _title(text: str) -> None:
    console.print()
    _say(text, style="bold")


def _say(text: str, style: str | None = None) -> None:
    """Print a sentence, broken between words where the terminal ends."""
    console.print(text, style=style, soft_wrap=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):  # the first one holds names, which are of no use when cut
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=place == 0)
    return table


_NUMBERS = {"rows in", "accepted", "quarantined", "deduplicated", "dropped", "seconds", "count", "rows"}


def _text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.2f}"
        case _:
            return str(value)

"""The quarantine: refused rows with their reasons and raw values, one Parquet file a run, and what is asked of them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from featurestore.core.config import ProjectConfig
from featurestore.core.errors import CorruptDataError, InvalidInputError, NotMaterializedError, UnknownNameError
from featurestore.files import write_whole
from featurestore.offline import delta
from featurestore.preparation.ledger import Entry, Ledger
from featurestore.preparation.places import table_folder

Rows = list[dict[str, Any]]
"""Rows for people and for JSON."""

REASONS = pl.List(pl.Struct({"rule": pl.String, "column": pl.String, "value": pl.String}))

SCHEMA = pl.Schema(
    {
        "run_id": pl.String(),
        "table": pl.String(),
        "file": pl.String(),
        "line": pl.Int64(),
        "row": pl.Int64(),
        "reasons": REASONS,
        "raw": pl.String(),
    }
)
"""A refused row: `file` and `line` of its raw record (null in a table made from tables), `row` its number in the run, every rule that
refused it with column and value, and `raw`, the record (or the derived row) as a JSON object."""


def write(folder: Path, table: str, number: int, rows: pl.DataFrame) -> None:
    """Keep a run's refused rows, of `SCHEMA`. StoreError if the disk is full or the folder cannot be written."""
    buffer = BytesIO()
    rows.select(SCHEMA.names()).write_parquet(buffer, compression="zstd")
    write_whole(_path(folder, table, number), buffer.getvalue())


class Quarantine:
    """The refused rows of a project's tables, as the committed runs left them; a table made anew has only its last run's."""

    def __init__(self, config: ProjectConfig) -> None:
        self._config = config
        self._ledger = Ledger(config.ledger)

    def list(self) -> Rows:
        """How many rows each rule refused: dictionaries of table, run_id, rule, column and rows.

        Raises:
            CorruptDataError: a table's log or ledger is damaged.
        """
        return [
            {"table": table, "run_id": entry.run_id, "rule": reason.rule, "column": reason.column, "rows": reason.rows}
            for table, entries in self._runs().items()
            for entry in entries
            for reason in entry.reasons
        ]

    def show(self, table: str, *, rule: str | None = None, limit: int | None = None) -> Rows:
        """Refused rows of a table, oldest run first: run_id, table, file, line, row, reasons (rule, column, value), and raw, a
        dictionary. Only those that `rule` refused, if given; at most `limit`.

        Raises:
            UnknownNameError: no run has made that table, or `rule` refused none of its rows while others did.
            NotMaterializedError: no run has made any table.
            InvalidInputError: `limit` is negative.
            CorruptDataError: a table's log, ledger or quarantine is damaged.
        """
        if limit is not None and limit < 0:
            raise InvalidInputError(f"limit is {limit}", "give 0 or more")
        rows = self.frame(table)
        if rule is not None:
            rules = rows["reasons"].explode().drop_nulls().struct.field("rule").unique().to_list()
            if rules and rule not in rules:
                raise UnknownNameError(f"rule in the quarantine of {table}", rule, rules)
            rows = rows.filter(pl.col("reasons").list.eval(pl.element().struct.field("rule") == rule).list.any())
        if limit is not None:
            rows = rows.head(limit)
        return [{**row, "raw": json.loads(row["raw"])} for row in rows.iter_rows(named=True)]  # for people: as many as they ask for

    def frame(self, table: str) -> pl.DataFrame:
        """All refused rows of a table, of `SCHEMA`. Raises as `show`."""
        runs = self._runs()
        if not runs:
            raise NotMaterializedError("no table has been prepared", "run `featurestore prepare`")
        if table not in runs:
            raise UnknownNameError("prepared table", table, runs)
        numbers = [entry.number for entry in runs[table] if entry.fates.quarantined]
        return pl.concat([SCHEMA.to_frame(), *(_read(_path(self._config.quarantine, table, number)) for number in numbers)])

    def _runs(self) -> dict[str, tuple[Entry, ...]]:
        """By table, the runs that made it what it is; a table whose first run was killed is not there."""
        numbers = {table: delta.committed(table_folder(self._config, table)) for table in self._ledger.tables()}
        return {table: self._ledger.current(table, number) for table, number in numbers.items() if number}


def _path(folder: Path, table: str, number: int) -> Path:
    return folder / table / f"{number:08d}.parquet"


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, schema=SCHEMA, glob=False)  # a folder may be called [x]
    except (OSError, pl.exceptions.PolarsError) as error:
        table = path.parent.name
        raise CorruptDataError(
            f"the quarantine file {path} is missing or damaged", f"restore it, or run `featurestore prepare {table} --full-refresh`"
        ) from error

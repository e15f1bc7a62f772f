"""`prepare`: bring a project's tables up to date with their input, one table after the other, under one lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from featurestore.core.clock import Clock, from_microseconds, system_clock
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import CorruptDataError, DefinitionError, NotMaterializedError
from featurestore.core.fates import Fates
from featurestore.files import exclusive
from featurestore.offline import delta
from featurestore.preparation.commit import commit
from featurestore.preparation.derived_job import run_derived
from featurestore.preparation.ledger import Entry, Ledger
from featurestore.preparation.outcome import Outcome, Skipped
from featurestore.preparation.places import table_folder
from featurestore.preparation.project_tables import ProjectTables
from featurestore.preparation.raw_job import run_raw
from featurestore.preparation.tables import Table
from featurestore.sources import CsvSource

Progress = Callable[[str, str, int, int | None], None]
"""progress(stage, table, done, total), called as a table's work goes on."""

_NONE = Fates(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class TableReport:
    """What a run did to one table.

    `version` is the table's Delta version after it. `reasons` counts refused rows by "rule/column" (a row may have several),
    `dropped_by_rule` dropped rows by rule. A skipped table had nothing to do, as `message` says.
    """

    table: str
    fates: Fates
    seconds: float
    version: int | None
    skipped: bool = False
    message: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)
    dropped_by_rule: Mapping[str, int] = field(default_factory=dict)

    def to_json_object(self) -> dict[str, Any]:
        """The table's part of `prepare --json`."""
        return {
            "table": self.table,
            "rows_in": self.fates.rows_in,
            "accepted": self.fates.accepted,
            "quarantined": self.fates.quarantined,
            "deduplicated": self.fates.deduplicated,
            "dropped": self.fates.dropped,
            "seconds": round(self.seconds, 3),
            "version": self.version,
            "status": "skipped" if self.skipped else "prepared",
            "message": self.message,
            "reasons": dict(self.reasons),
            "dropped_by_rule": dict(self.dropped_by_rule),
        }


@dataclass(frozen=True)
class RunReport:
    """What a run did, table by table in the order in which they were prepared."""

    run_id: str
    tables: tuple[TableReport, ...]

    def to_json_object(self) -> dict[str, Any]:
        """What `prepare --json` prints."""
        return {"run_id": self.run_id, "tables": [table.to_json_object() for table in self.tables]}


def prepare(
    config: ProjectConfig,
    tables: Sequence[Table],
    sources: Sequence[CsvSource],
    names: Sequence[str] | None = None,
    *,
    full_refresh: bool = False,
    progress: Progress | None = None,
    clock: Clock = system_clock,
) -> RunReport:
    """Prepare the tables of `names` and those that they need, or all tables where `names` is None.

    A table over raw files takes the files that are new, and reads other tables as they stand then; a table over tables is made anew
    if one of those or its code changed. With
    `full_refresh`, the tables of `names` (or all) are made anew from all their input. Each table is published whole or not at all;
    at the first error the run ends, and the tables published before stay.

    Raises:
        DefinitionError, UnknownNameError: the tables contradict each other, or a name is none of theirs.
        SourceError: raw files are missing, damaged, or not as declared.
        TransformError, QuarantineLimitError: a function failed, or too many rows were refused.
        StoreError: the disk is full, or cannot be written.
        CorruptDataError: a table or its ledger is damaged.
        BusyError: another prepare run is at work.
    """
    project = ProjectTables(tuple(tables), tuple(sources))
    wanted = project.needed(names)
    anew = {table.name for table in wanted if full_refresh and (names is None or table.name in names)}
    started = clock()
    run_id = from_microseconds(started).strftime("%Y%m%dT%H%M%S.%fZ")
    reports: list[TableReport] = []
    with exclusive(config.data / ".prepare.lock", "prepare run"):
        for table in wanted:
            if progress is not None:
                progress("prepare", table.name, 0, 1)
            reports.append(_prepare_table(config, project, table, table.name in anew, run_id, started))
            if progress is not None:
                progress("prepare", table.name, 1, 1)
    return RunReport(run_id, tuple(reports))


def _prepare_table(
    config: ProjectConfig, project: ProjectTables, table: Table, anew: bool, run_id: str, started_us: int
) -> TableReport:
    began = time.perf_counter()
    existing = delta.opened(table_folder(config, table.name))
    committed = existing.number if existing else 0
    ledger = Ledger(config.ledger)
    entries = () if anew else ledger.current(table.name, committed)
    source = project.raw_source(table)
    code_hash = project.code_hash(table)
    if entries:
        _check_last(table, source, entries[-1])
    inputs = {each.name: _opened(config, each) for each in project.table_inputs(table)}
    outcome: Outcome | Skipped
    if source is not None:
        replaced = _readable(ledger, table.name, committed) if anew else ()
        outcome = run_raw(config, table, source, inputs, None if anew else existing, entries, replaced, code_hash)
    else:
        outcome = run_derived(table, inputs, entries[-1] if entries else None, code_hash)
    if isinstance(outcome, Skipped):
        seconds = time.perf_counter() - began
        return TableReport(table.name, _NONE, seconds, existing.version if existing else None, True, outcome.message)
    version = commit(config, table, outcome, code_hash=code_hash, number=committed + 1, run_id=run_id, started_us=started_us)
    return TableReport(
        table=table.name,
        fates=outcome.fates,
        seconds=time.perf_counter() - began,
        version=version,
        message=outcome.message,
        reasons={f"{reason.rule}/{reason.column}": reason.rows for reason in outcome.reasons},
        dropped_by_rule=outcome.dropped_by_rule,
    )


def _check_last(table: Table, source: CsvSource | None, last: Entry) -> None:
    """See that new rows can stand beside those of the table's last run, or replace them as it did."""
    remedy = f"run `featurestore prepare {table.name} --full-refresh` to make it anew"
    origin = "tables" if source is None else "files"
    if last.origin != origin:
        raise DefinitionError(f"table {table.name} was made of {last.origin}, and its function now reads {origin}", remedy)
    if origin == "files" and last.key != table.key:
        raise DefinitionError(f"table {table.name} was made with the key {', '.join(last.key)}, now {', '.join(table.key)}", remedy)


def _readable(ledger: Ledger, table: str, committed: int) -> tuple[Entry, ...]:
    """The runs that made a table, none where its ledger is damaged: that is what a full refresh mends."""
    try:
        return ledger.current(table, committed)
    except CorruptDataError:
        return ()


def _opened(config: ProjectConfig, table: Table) -> delta.Published:
    published = delta.opened(table_folder(config, table.name))
    if published is None:
        raise NotMaterializedError(f"table {table.name} has not been prepared", f"run `featurestore prepare {table.name}`")
    return published

"""The commit protocol: quarantine and ledger first, under a number that counts only when the table's Delta commit carries it."""

from __future__ import annotations

import polars as pl

from featurestore.core.config import ProjectConfig
from featurestore.files import kill_point
from featurestore.offline import delta
from featurestore.preparation import quarantine
from featurestore.preparation.ledger import Entry, Ledger
from featurestore.preparation.outcome import Outcome
from featurestore.preparation.places import table_folder
from featurestore.preparation.settle import published_schema
from featurestore.preparation.tables import Table


def commit(
    config: ProjectConfig, table: Table, outcome: Outcome, *, code_hash: str, number: int, run_id: str, started_us: int
) -> int:
    """Make an outcome the table's next version; returns that Delta version.

    Killed at any moment, the process leaves the old table with files of a number that no reader asks for, or the new table with all
    that belongs to it. The next run takes the same number in the first case and overwrites those files.

    Raises:
        StoreError: the disk is full, or a folder cannot be written. The table is as before.
    """
    rows = outcome.quarantined.with_columns(pl.lit(run_id).alias("run_id"), pl.lit(table.name).alias("table"))
    quarantine.write(config.quarantine, table.name, number, rows)
    kill_point("prepare.quarantine_written")
    Ledger(config.ledger).write(
        Entry(
            number=number,
            run_id=run_id,
            table=table.name,
            mode=outcome.mode,
            started_us=started_us,
            code_hash=code_hash,
            files=outcome.files,
            origin=outcome.origin,
            key=table.key,
            inputs=outcome.inputs,
            fates=outcome.fates,
            reasons=outcome.reasons,
            dropped_by_rule=outcome.dropped_by_rule,
        )
    )
    kill_point("prepare.ledger_written")
    data = outcome.accepted.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(published_schema(table.contract))
    folder = table_folder(config, table.name)
    kill_point("prepare.before_commit")
    version = delta.publish(folder, data, mode=outcome.mode, number=number, run_id=run_id)
    kill_point("prepare.committed")
    return version

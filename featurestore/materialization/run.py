"""Carry the latest rows of views from the offline tables to the online store, all of one call in one generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurestore.core.catalog import Catalog, View
from featurestore.core.clock import Clock, from_microseconds, system_clock
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import SourceError
from featurestore.core.types import ValueType
from featurestore.materialization.plan import Step, plan_increment, plan_interval
from featurestore.materialization.report import MaterializeReport, ViewReport
from featurestore.offline.latest import LatestRows, latest_rows
from featurestore.online import NO_CREATED_TIME, OnlineStore, Publication, RowCodec, encode_keys
from featurestore.wire.arrow import column_from_arrow

Progress = Callable[[str, str, int, int | None], None]
"""progress(stage, view, keys done, keys in all)."""

STAGE = "materialize"


def _silent(stage: str, name: str, done: int, total: int | None) -> None:
    """No progress is shown."""


def materialize(
    config: ProjectConfig,
    catalog: Catalog,
    views: Sequence[str] | None,
    start_us: int | None,
    end_us: int,
    *,
    store: OnlineStore,
    progress: Progress = _silent,
    clock: Clock = system_clock,
) -> MaterializeReport:
    """Write each key's latest row with an event time in [start, end], both included, to the online store; newer wins.

    All views (every online one for None) become visible together, or none does. Times are microseconds since the epoch, UTC.
    Each view's watermark moves to `end`, or to the clock's present if that is earlier: rows may still come for what lies ahead. It
    never moves back, nor over a gap that an interval leaves after it.

    Raises:
        InvalidInputError: start is after end, or a named view is not online.
        UnknownNameError: there is no view of that name.
        SourceError, NotMaterializedError, CorruptDataError: a source cannot be read, or all its rows have a null join key.
        BusyError: another materialization is at work.
        StoreError: the store cannot be written.
    """
    return _carry_out(plan_interval(catalog, views, start_us, end_us), config.root, store, progress, clock)


def materialize_incremental(
    config: ProjectConfig,
    catalog: Catalog,
    views: Sequence[str] | None,
    end_us: int,
    *,
    store: OnlineStore,
    progress: Progress = _silent,
    clock: Clock = system_clock,
) -> MaterializeReport:
    """As `materialize`, for each view from where its last materialization ended; from `end - ttl` on for its first.

    A view without ttl begins at the beginning. The moment of the watermark itself is read again, for rows that came late.
    """
    return _carry_out(plan_increment(catalog, views, end_us, store.snapshot()), config.root, store, progress, clock)


def _carry_out(steps: Sequence[Step], root: Path, store: OnlineStore, progress: Progress, clock: Clock) -> MaterializeReport:
    if all(step.done for step in steps):
        return MaterializeReport(tuple(ViewReport(step.view.name, 0, 0, 0.0, note=step.done) for step in steps))
    with store.publication() as publication:
        reports = tuple(_carry(step, root, publication, progress, clock) for step in steps)
        publication.commit()
    return MaterializeReport(reports)


def _carry(step: Step, root: Path, publication: Publication, progress: Progress, clock: Clock) -> ViewReport:
    view, begun = step.view, clock()
    if step.done:
        return ViewReport(view.name, 0, 0, 0.0, note=step.done)
    latest = latest_rows(view.source, view, step.start_us, step.end_us, root)
    if latest.rows_read and latest.rows_read == latest.null_keys:
        keys = ", ".join(key.name for key in view.join_keys)
        raise SourceError(
            f"view {view.name}: all {latest.rows_read} rows in the interval have a null in {keys}",
            "mend the source or its join keys",
        )
    before, mark, notes = publication.watermark(view), min(step.end_us, begun), []
    if not latest.rows_read:
        notes.append("the source has no rows in the interval")
    gap = step.start_us is not None and (step.start_us > mark or (before is not None and step.start_us > before + 1))
    if step.start_us is not None and step.start_us > mark:
        notes.append("the interval begins in the future")
    elif gap and before is not None:
        until = from_microseconds(before).isoformat()
        notes.append(f"the interval leaves a gap after {until}, from where the next increment goes on")
    # Recorded so that a longer ttl is noticed later: see `plan_increment`.
    back = step.start_us is None or (view.ttl is not None and step.start_us <= mark - view.ttl)
    reaches_back = back and not gap and (before is None or mark >= before)
    written = publication.write(view, _batches(view, latest, progress), None if gap else mark, reaches_back=reaches_back)
    return ViewReport(
        view=view.name,
        rows_read=latest.rows_read,
        keys_written=written,
        seconds=(clock() - begun) / 1e6,
        null_keys=latest.null_keys,
        null_times=latest.null_times,
        note="; ".join(notes),
    )


def _batches(view: View, latest: LatestRows, progress: Progress) -> Iterator[tuple[list[bytes], list[bytes]]]:
    codec, done = RowCodec(view), 0
    fields = (*view.join_keys, *view.features)
    progress(STAGE, view.name, 0, latest.keys)
    for batch in latest.reader:
        # By position: a feature may be called event_timestamp too.
        *values, event, created = batch.columns
        columns = [column_from_arrow(array, f.dtype, f.name) for array, f in zip(values, fields, strict=True)]
        keys, features = columns[: len(view.join_keys)], columns[len(view.join_keys) :]
        # A view without entities has the one constant key, which an empty batch has no row for.
        stored = encode_keys(keys, [key.name for key in view.join_keys]) if batch.num_rows else []
        rows = codec.encode(stored, features, _times(event, "event time"), _times(created, "created time"))
        if rows:
            yield stored, rows
        done += batch.num_rows
        progress(STAGE, view.name, done, latest.keys)


def _times(array: pa.Array, name: str) -> NDArray[np.int64]:
    column = column_from_arrow(array, ValueType.UNIX_TIMESTAMP, name)
    times = column.values.astype(np.int64)
    return times if column.valid is None else np.where(column.valid, times, NO_CREATED_TIME)

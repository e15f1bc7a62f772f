"""The latest row of every key in an interval of event times: what materialization carries to the online store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from featurestore.core.catalog import Field, Source, View
from featurestore.core.errors import InvalidInputError, SourceError
from featurestore.core.types import ValueType
from featurestore.offline.conform import conform
from featurestore.offline.engine import reading, session
from featurestore.offline.scan import INTEGERS, TIMESTAMPS, Scan, open_scan
from featurestore.offline.ties import Rows, winners

BATCH_ROWS = 50_000
"""Rows of a batch, about; DuckDB rounds to its own vectors."""

_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class LatestRows:
    """A stream of rows, one a key, in no particular order, and what was read for it.

    `reader` can be read once: the join keys, the features, then event_timestamp and created_timestamp, both timestamp[us, UTC], the
    latter all null where the source has none. What goes wrong while it is read is raised as by `latest_rows`.

    `keys`: rows of the stream. `rows_read`: source rows with an event time in the interval. `null_keys`: those of them left out
    because a join key is null. `null_times`: rows of the whole source that no interval holds because they have no event time.
    """

    reader: pa.RecordBatchReader
    keys: int
    rows_read: int
    null_keys: int
    null_times: int


def latest_rows(source: Source, view: View, start_us: int | None, end_us: int, root: Path) -> LatestRows:
    """For each key of `view`, its row of `source` with the greatest event time in [start, end], both included. Ties: see `ties`.

    Keys and features come in the Arrow types of their declared types.

    Args:
        source: where the rows are; the view's own source, or another with the same columns.
        view: what they mean: join keys and features with their declared types.
        start_us: microseconds since the epoch, None for the beginning of the data.
        end_us: microseconds since the epoch.
        root: the project's folder, which relative source paths are under.

    Raises:
        InvalidInputError: start is after end.
        NotMaterializedError, SourceError, CorruptDataError, StoreError: the source cannot be read, see `open_scan` and `reading`.
    """
    names = [f.name for f in view.features]
    types = [f.dtype for f in view.features]
    labels = [f"view {view.name}: feature {name}" for name in names]

    def typed(features: list[pa.Array]) -> list[pa.Array]:
        return [conform(values, dtype, label) for values, dtype, label in zip(features, types, labels, strict=True)]

    connection = session()
    try:
        scan = open_scan(connection, source, root)
        return _latest(connection, scan, view.join_keys, names, start_us, end_us, typed)
    except BaseException:
        connection.close()
        raise


def latest_columns(
    source: Source, join_keys: Sequence[str], features: Sequence[str], start_us: int | None, end_us: int, root: Path
) -> LatestRows:
    """As `latest_rows`, for a caller who has names and no declared types: features come in the source's own Arrow types.

    Give all of the view's features in its order, else ties can be decided in another way than in `latest_rows`.
    """
    connection = session()
    try:
        scan = open_scan(connection, source, root)
        keys = [Field(name, _key_type(scan, name)) for name in join_keys]
        return _latest(connection, scan, keys, features, start_us, end_us, lambda values: values)
    except BaseException:
        connection.close()
        raise


Typed = Callable[[list[pa.Array]], list[pa.Array]]


def _latest(
    connection: duckdb.DuckDBPyConnection,
    scan: Scan,
    keys: Sequence[Field],
    features: Sequence[str],
    start_us: int | None,
    end_us: int,
    typed: Typed,
) -> LatestRows:
    """Find the rows and start the stream, which closes the connection when it ends or is dropped."""
    if start_us is not None and start_us > end_us:
        raise InvalidInputError("the interval's start is after its end", "swap START and END")
    rows = Rows(scan, keys, features, scan.within(start_us, end_us))
    with reading(scan.label):
        rows_read = _number(connection, f"SELECT count({scan.event_time()}) FROM {scan.relation} WHERE {rows.condition}")
        null_times = _number(connection, f"SELECT count(*) FROM {scan.relation} WHERE {scan.event_time()} IS NULL")
        connection.execute(f"CREATE TEMP TABLE narrow AS {rows.narrow()}")
        usable = _number(connection, "SELECT count(*) FROM narrow")
        columns = ", ".join(rows.key_columns)
        connection.execute(f"CREATE TEMP TABLE picks AS SELECT {columns}, max(t) AS t FROM narrow GROUP BY {columns}")
        count = _number(connection, "SELECT count(*) FROM picks")
        query = winners(connection, rows, features, [*rows.key_columns, "t"], [*rows.key_columns, "t"])
        stream = connection.sql(query).to_arrow_reader(BATCH_ROWS)

    names = [*(key.name for key in keys), *features, "event_timestamp", "created_timestamp"]

    def shaped(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = [_key(batch[f"k{i}"], key) for i, key in enumerate(keys)]
        values = typed([batch[f"f{i}"] for i in range(len(features))])
        return pa.RecordBatch.from_arrays([*found, *values, batch["t"].cast(_TIME), batch["c"].cast(_TIME)], names=names)

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            with reading(scan.label):
                yield from map(shaped, stream)
        finally:
            connection.close()

    schema = shaped(pa.RecordBatch.from_pylist([], schema=stream.schema)).schema
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    return LatestRows(reader, count, rows_read, rows_read - usable, null_times)


def _key(values: pa.Array, key: Field) -> pa.Array:
    """A join key from the form in which it was compared to its declared type."""
    if key.dtype is ValueType.UNIX_TIMESTAMP:
        values = values.cast(_TIME)
    return conform(values, key.dtype, f"join key {key.name}")


_KEY_TYPES = {
    "boolean": ValueType.BOOL,
    "varchar": ValueType.STRING,
    "uuid": ValueType.UUID,
    "blob": ValueType.BYTES,
    **dict.fromkeys(INTEGERS, ValueType.INT64),
    **dict.fromkeys(TIMESTAMPS, ValueType.UNIX_TIMESTAMP),
}


def _key_type(scan: Scan, name: str) -> ValueType:
    """The join key type that a source's column can be."""
    kind = scan.type(name)
    if kind not in _KEY_TYPES:
        raise SourceError(f"{scan.label}: join key {name} is {kind}", f"a join key is one of {', '.join(sorted(_KEY_TYPES))}")
    return _KEY_TYPES[kind]


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = connection.execute(query).fetchall()[0]
    return int(number)

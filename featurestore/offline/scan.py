"""How a view's source is read: the SQL that gives its keys, times and features, whatever the format and the column names are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from featurestore.core.catalog import Field, Source
from featurestore.core.errors import CorruptDataError, NotMaterializedError, SourceError, nearest
from featurestore.core.types import ValueType
from featurestore.offline import delta
from featurestore.offline.engine import literal, quoted, reading

INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"})
_MICROSECONDS = frozenset({"timestamp", "timestamp with time zone"})
_NANOSECONDS = frozenset({"timestamp_ns", "timestamptz_ns"})
_COARSE = frozenset({"date", "timestamp_s", "timestamp_ms"})
TIMESTAMPS = _MICROSECONDS | _NANOSECONDS | _COARSE
_KEY_SQL = {
    ValueType.BOOL: (frozenset({"boolean"}), "BOOLEAN"),
    ValueType.INT32: (INTEGERS, "BIGINT"),
    ValueType.INT64: (INTEGERS, "BIGINT"),
    ValueType.STRING: (frozenset({"varchar", "enum"}), "VARCHAR"),
    ValueType.UUID: (frozenset({"varchar", "uuid"}), "VARCHAR"),
    ValueType.BYTES: (frozenset({"blob"}), "BLOB"),
}
"""By a key's type: the DuckDB types its column may have, and the one it is compared in."""

_FAR = 9_200_000_000_000_000_000
"""DuckDB makes a timestamp of any microseconds nearer to the epoch than this."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A source opened on one connection. Each method gives an SQL expression over `relation`, named by the view's own names.

    `types` are the source's columns with their DuckDB types; `label` names the source in messages.
    """

    label: str
    relation: str
    source: Source
    types: Mapping[str, str]

    def value(self, name: str) -> str:
        """The column as it is.

        Raises:
            SourceError: the source has no such column.
        """
        return quoted(self._column(name))

    def type(self, name: str) -> str:
        """The column's DuckDB type id, such as `bigint`, `list` or `timestamp with time zone`."""
        return self.types[self._column(name)]

    def key(self, field: Field) -> str:
        """A join key in the type in which it is compared: BOOLEAN, BIGINT (timestamps too, as microseconds), VARCHAR or BLOB.

        Raises:
            SourceError: the source's column is of another kind than the key's declared type.
        """
        if field.dtype is ValueType.UNIX_TIMESTAMP:
            return self.time(field.name)
        allowed, form = _KEY_SQL[field.dtype]
        if self.type(field.name) not in allowed:
            raise SourceError(
                f"{self.label}: join key {self._column(field.name)} is {self.type(field.name)}, declared {field.dtype.name}",
                "store it in the declared type, or declare the type it has",
            )
        return f"{self.value(field.name)}::{form}"

    def time(self, name: str) -> str:
        """A time in BIGINT microseconds since the epoch. Naive is UTC, a date is its midnight, nanoseconds are rounded down.

        Raises:
            SourceError: the column is no timestamp.
        """
        column, kind = self.value(name), self.type(name)
        if kind in _NANOSECONDS:
            # epoch_us would round to the nearest, which can move an event past a later one.
            return f"(epoch_ns({column}) // 1000 - (epoch_ns({column}) % 1000 < 0)::BIGINT)"
        if kind in _COARSE:
            return f"epoch_us({column}::TIMESTAMP)"
        if kind in _MICROSECONDS:
            return f"epoch_us({column})"
        raise SourceError(
            f"{self.label}: {self._column(name)} is {kind}, not a timestamp",
            "store it as a timestamp, or name the column that is one",
        )

    def event_time(self) -> str:
        """The event time, as `time`."""
        return self.time(self.source.timestamp_field)

    def created_time(self) -> str | None:
        """The created time, as `time`; None where the source has none."""
        return self.time(self.source.created_timestamp_column) if self.source.created_timestamp_column else None

    def within(self, start_us: int | None, end_us: int) -> str:
        """The condition that the event time lies in [start, end], in the form that lets Parquet row groups be skipped."""
        column, kind = self.value(self.source.timestamp_field), self.type(self.source.timestamp_field)
        make = {"timestamp": "make_timestamp", "timestamp with time zone": "make_timestamptz"}.get(kind)
        bounds = [] if start_us is None else [(">=", start_us)]
        terms = []
        for sign, bound in (*bounds, ("<=", end_us)):
            if make and abs(bound) < _FAR:
                terms.append(f"{column} {sign} {make}({bound})")
            else:
                terms.append(f"{self.event_time()} {sign} {bound}")
        return " AND ".join(terms)

    def _column(self, name: str) -> str:
        column = self.source.column(name)
        if column not in self.types:
            raise SourceError(f"{self.label} has no column {column!r}", f"did you mean {', '.join(nearest(column, self.types))}?")
        return column


def open_scan(connection: duckdb.DuckDBPyConnection, source: Source, root: Path) -> Scan:
    """Find the files of `source` (a relative path is under `root`) and what columns they have.

    Raises:
        NotMaterializedError: the Delta table has not been published.
        SourceError: there is no such Parquet file or folder, or it is on a remote store.
        CorruptDataError: a file or the table's log is not what its format says.
    """
    label = f"source {source.name} ({source.path})"
    if "://" in source.path:
        raise SourceError(f"{label} is remote, which is not read yet", "use a local path")
    path = root / source.path
    relation = _delta(connection, label, path) if source.format == "delta" else _parquet(connection, label, path)
    with reading(label):
        columns = connection.sql(f"SELECT * FROM {relation}")
        types = {name: kind.id for name, kind in zip(columns.columns, columns.types, strict=True)}
    return Scan(label, relation, source, types)


def _delta(connection: duckdb.DuckDBPyConnection, label: str, path: Path) -> str:
    """The newest version of a Delta table."""
    try:
        table = DeltaTable(path)
        if table.protocol().min_reader_version == 1 and not table.metadata().partition_columns:
            opened = delta.opened(path)
            if opened is not None and opened.files and not _globs(opened.files):
                relation = _files(list(opened.files), union=True)
                with reading(label):
                    found = set(connection.sql(f"SELECT * FROM {relation}").columns)
                if found == set(opened.schema.names):  # else a column that the schema has gained is in no file yet
                    return relation
        return _registered(connection, path, table.to_pyarrow_dataset())
    except TableNotFoundError as error:
        remedy = "run `featurestore prepare` if the project prepares it, else mend the source's path"
        raise NotMaterializedError(f"{label}: there is no Delta table yet", remedy) from error
    except DeltaError as error:
        raise CorruptDataError(
            f"{label}: the Delta table cannot be read: {_line(error)}", "mend its log, or write it anew"
        ) from error


def _parquet(connection: duckdb.DuckDBPyConnection, label: str, path: Path) -> str:
    """A Parquet file, all *.parquet files below a folder, or those that a glob matches."""
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [f for f in sorted(path.rglob("*.parquet")) if not _hidden(f.relative_to(path))]
    else:
        files = [f for f in map(Path, sorted(glob(str(path), recursive=True))) if f.is_file()]
    if not files:
        raise SourceError(f"{label}: no Parquet file is there", "check the source's path, which is relative to the project")
    if _globs(files):
        try:
            return _registered(connection, path, ds.dataset(files, format="parquet"))
        except (pa.ArrowInvalid, OSError) as error:
            raise CorruptDataError(f"{label} is damaged: {_line(error)}", "write the file anew") from error
    return _files(
        files, hive=any("=" in part for f in files for part in f.relative_to(path).parts[:-1]) if path.is_dir() else False
    )


def _hidden(path: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in path.parts)


def _globs(files: list[Path] | tuple[Path, ...]) -> bool:
    """Whether DuckDB would take a file's name for a pattern."""
    return any(character in str(file) for file in files for character in "*?[")


def _files(files: list[Path], *, union: bool = False, hive: bool = False) -> str:
    names = ", ".join(literal(str(file)) for file in files)
    return f"read_parquet([{names}], union_by_name = {union}, hive_partitioning = {hive})"


def _registered(connection: duckdb.DuckDBPyConnection, path: Path, dataset: ds.Dataset) -> str:
    name = f"dataset {path}"
    connection.register(name, dataset)
    return quoted(name)


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0]

"""The point-in-time join: for each entity row and view, the features as they were known at the row's own time.

Keys and times are matched first, on narrow tables: by binary search where the key is one integer, else by DuckDB's ASOF join. The
features of the rows that were found are read afterwards.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featurestore.core.catalog import Field
from featurestore.core.errors import InvalidInputError
from featurestore.core.selection import Selection, ViewSelection
from featurestore.offline import entities as entity_rows
from featurestore.offline.conform import conform, whole
from featurestore.offline.engine import reading, session
from featurestore.offline.scan import open_scan
from featurestore.offline.search import search, searchable
from featurestore.offline.ties import Rows, winners

_BEFORE_ALL = -(2**63)

SPARSE = 8
"""Source rows an entity row from which on the source is first limited to the keys asked for."""


@dataclass(frozen=True, slots=True)
class Leakage:
    """Of one view over a source with a created timestamp: how many entity rows found values (`rows`), and how many of these found
    values that were created after the row's own time (`created_later`), so that the model could not have known them.

    `names` are the columns of the result that this is about: a view that is asked for under two aliases has an entry for each.
    """

    view: str
    names: tuple[str, ...]
    rows: int
    created_later: int


@dataclass(frozen=True, slots=True)
class Joined:
    """`table`: the entity rows in their order with their own columns untouched, then the features asked for.

    `leakage` has an entry for each part of the selection whose source has a created timestamp.
    """

    table: pa.Table
    leakage: tuple[Leakage, ...]


def point_in_time(
    entities: pa.Table, timestamp: str, selection: Selection, root: Path, *, filter_by_created_timestamp: bool = False
) -> pa.Table:
    """The table of `join`, for callers who do not ask about leakage."""
    return join(entities, timestamp, selection, root, filter_by_created_timestamp=filter_by_created_timestamp).table


def join(
    entities: pa.Table, timestamp: str, selection: Selection, root: Path, *, filter_by_created_timestamp: bool = False
) -> Joined:
    """Add to each entity row, at its time t, the values with the greatest event time in [t - ttl, t] of its key; null without any.

    Both ends are included; without ttl there is no lower bound. Rows of one key and event time: see `ties`. An entity row with a
    null key or a null time finds nothing. With `filter_by_created_timestamp`, source rows created after t (or without a created
    time) are left out where the source has a created timestamp.

    Args:
        entities: any columns, among them `timestamp` (an Arrow timestamp; naive is UTC) and the selection's join keys.
        timestamp: the column of the entity rows' times.
        selection: what to add; new columns have the names and the order of `selection.names`, typed as the features are declared.
        root: the project's folder, which relative source paths are under.

    Raises:
        InvalidInputError: a column is missing, of a wrong type, or has the name of a feature.
        NotMaterializedError, SourceError, CorruptDataError, StoreError: a source cannot be read, see `open_scan` and `reading`.
    """
    taken = sorted(set(selection.names) & set(entities.column_names))
    if taken:
        raise InvalidInputError(
            f"the entity rows have columns with the names of features: {', '.join(taken)}",
            "rename them, or ask with full_feature_names=True",
        )
    times = entity_rows.times(entities, timestamp)
    keys = {
        name: entity_rows.keys(entities, key, name)
        for part in selection.views
        for key, name in zip(part.view.join_keys, part.key_names, strict=True)
    }
    columns: list[pa.Array] = [None] * len(selection.names)
    leakage = []
    with closing(session()) as connection:
        for part in selection.views:
            found, late = _join_view(
                connection, times, [keys[name] for name in part.key_names], part, root, filter_by_created_timestamp
            )
            for position, values in zip(part.positions, found, strict=True):
                columns[position] = values
            if late is not None:
                leakage.append(Leakage(part.view.name, tuple(selection.names[place] for place in part.positions), *late))
    table = entities
    for name, values in zip(selection.names, columns, strict=True):
        table = table.append_column(name, values)
    return Joined(table, tuple(leakage))


def _join_view(
    connection: duckdb.DuckDBPyConnection, times: pa.Array, keys: list[pa.Array], part: ViewSelection, root: Path, only_known: bool
) -> tuple[list[pa.Array], tuple[int, int] | None]:
    """One view's columns, a value an entity row; and `_leakage` where the source has a created timestamp."""
    view, source = part.view, part.view.source
    scan = open_scan(connection, source, root)
    rows = Rows(scan, view.join_keys, [f.name for f in view.features], scan.within(*_bounds(times, view.ttl)))
    _register(connection, times, keys, rows.key_columns)
    with reading(scan.label):
        on, unique = _match(connection, rows, view.ttl, only_known and source.created_timestamp_column is not None)
        query = winners(connection, rows, [f.name for f in part.features], ["row"], on, unique=unique)
        found = connection.sql(query).to_arrow_table()
    order = _places(found["row"].to_numpy(), len(times))

    def placed(column: int, field: Field) -> pa.Array:
        return conform(whole(found[f"f{column}"]), field.dtype, f"view {view.name}: feature {field.name}").take(order)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Arrow gathers a column on one core
        values = list(pool.map(placed, range(len(part.features)), part.features))
    return values, None if source.created_timestamp_column is None else _leakage(found, times)


def _bounds(times: pa.Array, ttl: int | None) -> tuple[int | None, int]:
    """The event times that any entity row can reach."""
    ends = pc.min_max(times).as_py()
    if ends["min"] is None:
        return None, _BEFORE_ALL
    return None if ttl is None else ends["min"] - ttl, ends["max"]


def _register(connection: duckdb.DuckDBPyConnection, times: pa.Array, keys: list[pa.Array], names: list[str]) -> None:
    """Make the entity rows that can find something the table `wanted`: row, t, k0.. (a constant for a view without entities)."""
    given = keys or [pa.array(np.zeros(len(times), dtype=np.int8))]
    columns = {"row": pa.array(np.arange(len(times))), "t": times, **dict(zip(names, given, strict=True))}
    connection.register("given", pa.table(columns))
    conditions = " AND ".join(f"{name} IS NOT NULL" for name in ("t", *names))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT * FROM given WHERE {conditions}")
    connection.unregister("given")


def _match(connection: duckdb.DuckDBPyConnection, rows: Rows, ttl: int | None, only_known: bool) -> tuple[list[str], bool]:
    """Fill `picks` (row, keys, t, and c if `only_known`) with what identifies each entity row's source rows.

    Gives these columns, and whether it is known that they identify one source row each; if not, there is the table `narrow`.
    """
    keys = rows.key_columns
    same, carried = " AND ".join(f"w.{k} = n.{k}" for k in keys), ", ".join(f"w.{k}" for k in keys)
    # Times may lie at both ends of 64 bits, so their distance needs more.
    young = "true" if ttl is None else f"asked::HUGEINT - t <= {ttl}::HUGEINT"
    # To leave out keys that nobody asks for pays only where they are most of the source.
    size, asked = (connection.execute(f"SELECT count(*) FROM {of}").fetchall()[0][0] for of in (rows.scan.relation, "wanted"))
    limited = f"SEMI JOIN wanted USING ({', '.join(keys)})" if size > SPARSE * asked else ""
    narrow = f"SELECT * FROM ({rows.narrow()}) {limited}"
    searched = search(connection, rows, narrow, ttl) if not only_known and searchable(rows, size) else None
    if searched:
        return [*keys, "t"], True
    connection.execute(f"CREATE OR REPLACE TEMP TABLE narrow AS {narrow}")
    if searched is not None:
        return [*keys, "t"], False
    if not only_known:
        nearest = f"SELECT w.row, {carried}, n.t, w.t AS asked FROM wanted w ASOF JOIN narrow n ON {same} AND w.t >= n.t"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE picks AS SELECT * EXCLUDE asked FROM ({nearest}) WHERE {young}")
        return [*keys, "t"], False
    # A row is visible from u, the later of its two times. The greatest event time among the rows visible at u is a running maximum, so
    # one ASOF join on u finds the event time; a second one finds, among the rows of that event time, the latest creation by then.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE visible AS SELECT {', '.join(keys)}, u, max(t) OVER (PARTITION BY {', '.join(keys)} ORDER BY u) AS t "
        "FROM (SELECT *, greatest(t, c) AS u FROM narrow WHERE c IS NOT NULL)"
    )
    nearest = f"SELECT w.row, {carried}, n.t, w.t AS asked FROM wanted w ASOF JOIN visible n ON {same} AND w.t >= n.u"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE picks AS SELECT w.row, {carried}, w.t, n.c FROM (SELECT * FROM ({nearest}) WHERE {young}) w "
        f"ASOF JOIN (SELECT * FROM narrow WHERE c IS NOT NULL) n ON {same} AND w.t = n.t AND w.asked >= n.c"
    )
    return [*keys, "t", "c"], False


def _places(rows: NDArray[np.int64], count: int) -> pa.Array:
    """Where each entity row's result is; null where it has none."""
    places = np.full(count, -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    return pa.array(places, mask=places < 0)


def _leakage(found: pa.Table, times: pa.Array) -> tuple[int, int]:
    """How many entity rows found values, and how many of them found values created later."""
    created = found["c"].fill_null(_BEFORE_ALL).to_numpy()
    at = times.fill_null(0).to_numpy(zero_copy_only=False)[found["row"].to_numpy()]
    return len(created), int((created > at).sum())

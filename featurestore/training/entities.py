"""The entity rows of a training set in whatever form the caller has them: pandas, Polars, Arrow, or SQL over the project's files."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import duckdb
import polars as pl
import pyarrow as pa

from featurestore.core.catalog import Catalog, Source
from featurestore.core.errors import InvalidInputError
from featurestore.offline.engine import connected, literal, quoted
from featurestore.offline.scan import open_scan

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMP = "event_timestamp"
"""The entity rows' time column, unless they have exactly one timestamp column of another name."""


def is_pandas(frame: object) -> TypeGuard[pd.DataFrame]:
    """Whether this is a pandas DataFrame; pandas is not loaded to find out, for without it there can be none."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(frame, pandas.DataFrame)


def snapshot(frame: object) -> pa.Table | pl.DataFrame | pd.DataFrame:
    """The frame as it is now, in its own kind: what its owner does to it in place later does not reach this one.

    A lazy frame is collected. A pandas frame is copied, for its cells can be written to; objects in its cells are shared.

    Raises:
        InvalidInputError: it is no frame, or a lazy frame cannot be collected.
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.clone()
    if isinstance(frame, pl.LazyFrame):
        try:
            return frame.collect()
        except pl.exceptions.PolarsError as error:
            raise InvalidInputError(
                f"the lazy entity_df cannot be collected: {error}", "correct the query that it stands for"
            ) from error
    if is_pandas(frame):
        return frame.copy(deep=True)
    raise InvalidInputError(
        f"entity_df is a {type(frame).__name__}", "give a pandas or Polars DataFrame, an Arrow table, or the text of an SQL query"
    )


def to_arrow(frame: pa.Table | pl.DataFrame | pd.DataFrame) -> pa.Table:
    """The frame's columns in Arrow, where possible without copying them; an index of pandas is no column.

    Raises:
        InvalidInputError: two columns have one name, or a column holds what Arrow has no type for.
    """
    names = [*frame.column_names] if isinstance(frame, pa.Table) else [*frame.columns]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InvalidInputError(f"entity_df has more than one column {twice!r}", "give each column its own name")
    if isinstance(frame, pa.Table):
        return frame
    return _from_polars(frame) if isinstance(frame, pl.DataFrame) else _from_pandas(frame)


def _from_polars(frame: pl.DataFrame) -> pa.Table:
    odd = [name for name, dtype in frame.schema.items() if dtype == pl.Object]  # Arrow would get the objects' addresses
    if not odd:
        try:
            return frame.to_arrow()
        except (pa.ArrowException, pl.exceptions.PolarsError):
            odd = [name for name in frame.columns if not _has_arrow_type(frame[name])]
    columns = ", ".join(f"{name} ({frame.schema[name]})" for name in odd)
    raise InvalidInputError(f"entity_df has columns that Arrow has no type for: {columns}", "cast or drop them before the call")


def _has_arrow_type(column: pl.Series) -> bool:
    try:
        column.head(0).to_arrow()
    except (pa.ArrowException, pl.exceptions.PolarsError):
        return False
    return True


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise InvalidInputError(f"entity_df has a column named {odd[0]!r}, which is no text", "rename its columns")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:  # pyarrow lets Python's own errors through
        raise InvalidInputError(
            f"entity_df cannot be read: {error}", "let each column hold values of one type that Arrow has"
        ) from error


def refuse_index(frame: object, rows: pa.Table, keys: Sequence[str]) -> None:
    """Tell a caller whose times or join keys `keys` are in the index of a pandas frame, not among the columns `rows`.

    Raises:
        InvalidInputError: so it is.
    """
    if not is_pandas(frame):
        return
    import pandas as pd  # slow to load, and only a caller who has it loaded comes here

    wanted = set(keys)
    if not any(pa.types.is_timestamp(field.type) for field in rows.schema) and TIMESTAMP not in rows.column_names:
        wanted.add(TIMESTAMP)
    levels = [frame.index.get_level_values(place) for place in range(frame.index.nlevels)]
    for level in levels:
        missing = level.name in wanted and level.name not in rows.column_names
        if missing or (TIMESTAMP in wanted and isinstance(level, pd.DatetimeIndex)):
            what = "times" if level.name is None else repr(level.name)
            raise InvalidInputError(f"entity_df has {what} in its index, and an index is no column", "use reset_index()")


def query(sql: str, catalog: Catalog, root: Path) -> pa.Table:
    """What a DuckDB query gives: over files (`from 'entities.parquet'`, paths relative to the project) and prepared tables by name.

    Raises:
        InvalidInputError: the query is wrong, or not one SELECT: it must not write.
        NotMaterializedError, CorruptDataError: a prepared table that it names cannot be read.
    """
    with connected() as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(f"SET file_search_path = {literal(str(root))}")
        for table in catalog.tables:
            if re.search(rf"\b{re.escape(table.name)}\b", sql, re.IGNORECASE):
                source = Source(table.name, "delta", table.path, table.timestamp_field)
                scan = open_scan(connection, source, root)
                connection.execute(f"CREATE TEMP VIEW {quoted(table.name)} AS SELECT * FROM {scan.relation}")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise InvalidInputError(
                    f"the entity query is {len(statements)} SQL statements or one that is no query", "write it as one SELECT"
                )
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise InvalidInputError(
                f"the entity query failed: {error}", "correct the SQL; DuckDB runs it in the project"
            ) from error


def timestamp_column(entities: pa.Table) -> str:
    """`event_timestamp`, or the only timestamp column there is, as in Feast.

    Raises:
        InvalidInputError: there is no such column, or no telling which.
    """
    if TIMESTAMP in entities.column_names:
        return TIMESTAMP
    found = [field.name for field in entities.schema if pa.types.is_timestamp(field.type)]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise InvalidInputError(f"entity_df has the timestamps {', '.join(found)}", f"name the one that counts {TIMESTAMP}")
    if not entities.column_names:
        raise InvalidInputError("the entity rows have no columns", f"give each row its join keys, and its time in {TIMESTAMP}")
    columns = ", ".join(f"{field.name} ({field.type})" for field in entities.schema)
    raise InvalidInputError(
        f"entity_df has no timestamp column among {columns}",
        f"give each row its time in {TIMESTAMP}; text becomes times by pd.to_datetime in pandas, .str.to_datetime() in Polars",
    )

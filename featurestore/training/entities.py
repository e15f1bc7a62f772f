"""The entity rows of a training set in whatever form the caller has them: pandas, Polars, Arrow, or SQL over the project's files."""

from __future__ import annotations

import re
import sys
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


def to_arrow(frame: object) -> pa.Table:
    """The frame's columns in Arrow; an index of pandas is no column.

    Raises:
        InvalidInputError: it is no frame, or a column holds what Arrow has no type for.
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect().to_arrow()
    if isinstance(frame, pl.DataFrame):
        return frame.to_arrow()
    if is_pandas(frame):
        return _from_pandas(frame)
    raise InvalidInputError(
        f"entity_df is a {type(frame).__name__}", "give a pandas or Polars DataFrame, an Arrow table, or the text of an SQL query"
    )


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise InvalidInputError(f"entity_df has a column named {odd[0]!r}, which is no text", "rename its columns")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InvalidInputError(f"entity_df cannot be read: {error}", "let each column hold values of one type") from error


def query(sql: str, catalog: Catalog, root: Path) -> pa.Table:
    """What a DuckDB query gives: over files (`from 'entities.parquet'`, paths relative to the project) and prepared tables by name.

    Raises:
        InvalidInputError: the query is wrong or gives no rows.
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
            relation = connection.sql(sql)
            found = None if relation is None else relation.to_arrow_table()
        except duckdb.Error as error:
            raise InvalidInputError(
                f"the entity query failed: {error}", "correct the SQL; DuckDB runs it in the project"
            ) from error
    if found is None:
        raise InvalidInputError("the entity query gives no rows", "write it as a SELECT")
    return found


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
    columns = ", ".join(f"{field.name} ({field.type})" for field in entities.schema)
    raise InvalidInputError(f"entity_df has no timestamp column among {columns}", f"give each row its time in {TIMESTAMP}")

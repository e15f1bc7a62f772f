"""get_historical_features: the point-in-time join for a caller's frame, and its result in the forms callers work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from featurestore.core.catalog import Catalog
from featurestore.core.selection import select
from featurestore.offline.join import Leakage, join
from featurestore.training import entities as entity_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class HistoricalJob:
    """A training set: the entity rows as they were given, in their order, then the features asked for.

    `entity_df` is the caller's frame as it was at the call (an Arrow table for SQL): changing the frame in place later changes no
    training set. `entities` holds its columns in Arrow, `features` has a row for each of its rows. `leakage` says, for each view
    over a source with a created timestamp, how many rows found values that were created after their time.
    """

    entity_df: pa.Table | pl.DataFrame | pd.DataFrame
    entities: pa.Table
    features: pa.Table
    leakage: tuple[Leakage, ...]

    def to_arrow(self) -> pa.Table:
        """An Arrow table; features have the Arrow types of their declared types, times are timestamp[us, UTC]."""
        table = self.entities
        for name in self.features.column_names:
            table = table.append_column(name, self.features[name])
        return table

    def to_polars(self) -> pl.DataFrame:
        """A Polars frame; the entity columns of a Polars frame are its own."""
        if isinstance(self.entity_df, pl.DataFrame):
            return self.entity_df.hstack(pl.DataFrame(self.features))
        return pl.DataFrame(self.to_arrow())

    def to_df(self) -> pd.DataFrame:
        """A pandas frame; the entity columns and the index of a pandas frame are its own.

        Integers and booleans with nulls come as Int32, Int64 and boolean, never as floats; times as datetime64[us, UTC].
        """
        import pandas as pd  # slow to load, and only this method needs it

        if not entity_rows.is_pandas(self.entity_df):
            return _to_pandas(self.to_arrow())
        features = _to_pandas(self.features)
        features.index = self.entity_df.index
        return pd.concat([self.entity_df, features], axis=1)


def get_historical_features(
    root: Path,
    catalog: Catalog,
    features: Sequence[str] | str,
    entity_df: object,
    *,
    full_feature_names: bool = False,
    filter_by_created_timestamp: bool = False,
) -> HistoricalJob:
    """Join features to entity rows, each as of its own time; the semantics are those of `offline.join.join`.

    Args:
        root: the project's folder, which relative source paths are under.
        catalog: the project's definitions.
        features: references `view:feature`, or a feature service's name.
        entity_df: pandas, Polars (eager or lazy), Arrow, or the text of a DuckDB query (see `entities.query`). It has the join keys,
            any other columns, and the rows' times in `event_timestamp` or in its only timestamp column; naive times are UTC.
        full_feature_names: name features `view__feature`.
        filter_by_created_timestamp: leave out values created after a row's time.

    Raises:
        UnknownNameError: a view, feature or service does not exist.
        InvalidInputError: entity_df is of another kind or no SELECT, lacks a column, has two of one name, or a column has a wrong
            type or a feature's name.
        NotMaterializedError, SourceError, CorruptDataError, StoreError: a source cannot be read.
    """
    selection = select(catalog, features, full_feature_names=full_feature_names)
    given = entity_rows.query(entity_df, catalog, root) if isinstance(entity_df, str) else entity_df
    frame = entity_rows.snapshot(given)
    rows = entity_rows.to_arrow(frame)
    entity_rows.refuse_index(frame, rows, [key.name for key in selection.join_keys])
    timestamp = entity_rows.timestamp_column(rows)
    joined = join(rows, timestamp, selection, root, filter_by_created_timestamp=filter_by_created_timestamp)
    return HistoricalJob(frame, rows, joined.table.select(list(selection.names)), joined.leakage)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Column by column, because a gap in integers decides about that column's type alone."""
    import pandas as pd  # as in to_df

    nullable = {pa.bool_(): pd.BooleanDtype()}
    for kind in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"):
        nullable[getattr(pa, kind.lower())()] = getattr(pd, f"{kind}Dtype")()
    columns = [
        table.column(i).to_pandas(types_mapper=nullable.get if table.column(i).null_count else None)
        for i in range(table.num_columns)
    ]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
    frame.columns = table.column_names
    return frame

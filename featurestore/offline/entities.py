"""The caller's side of a join: times and keys of the entity rows in the form in which they are compared."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import types

from featurestore.core.catalog import Field
from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.offline.conform import whole
from featurestore.wire.arrow import column_from_arrow, column_to_arrow

_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}


def column(entities: pa.Table, name: str) -> pa.Array:
    """The one column of that name, in one piece.

    Raises:
        InvalidInputError: no column or more than one has the name.
    """
    places = entities.schema.get_all_field_indices(name)
    if not places:
        raise InvalidInputError(
            f"the entity rows have no column {name!r}", f"they have {', '.join(entities.column_names) or 'none'}"
        )
    if len(places) > 1:
        raise InvalidInputError(f"the entity rows have {len(places)} columns {name!r}", "give each column its own name")
    return whole(entities.column(places[0]))


def times(entities: pa.Table, name: str) -> pa.Array:
    """The timestamp column as int64 microseconds since the epoch: naive ones as UTC, nanoseconds rounded down.

    Raises:
        InvalidInputError: the column is missing, or is no timestamp, or a time is too far off for microseconds in 64 bits.
    """
    return _microseconds(column(entities, name), name)


def keys(entities: pa.Table, field: Field, name: str) -> pa.Array:
    """The caller's column `name` for the join key `field`: bool, int64 (timestamps too), string or binary.

    Raises:
        InvalidInputError: the column is missing, or of another kind than the key.
    """
    values = column(entities, name)
    if field.dtype is ValueType.UNIX_TIMESTAMP:
        return _microseconds(values, name)
    # A number that no INT32 key can be finds nothing; that makes it no error.
    dtype = ValueType.INT64 if field.dtype is ValueType.INT32 else field.dtype
    return column_to_arrow(column_from_arrow(values, dtype, f"entity column {name}"))


def _microseconds(values: pa.Array, name: str) -> pa.Array:
    if types.is_null(values.type):
        return pa.nulls(len(values), pa.int64())
    if not types.is_timestamp(values.type):
        raise InvalidInputError(
            f"the entity column {name!r} is {values.type}, not a timestamp",
            "convert it before the call: pd.to_datetime in pandas; in Polars .str.to_datetime() for text, "
            'else .cast(pl.Datetime("us"))',
        )
    ticks = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    null = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    return pa.array(_scaled(ticks, values.type.unit, name), mask=null)


def _scaled(ticks: NDArray[np.int64], unit: str, name: str) -> NDArray[np.int64]:
    if unit == "ns":
        return np.floor_divide(ticks, 1000)  # towards the past, never into a later microsecond
    factor = _PER_UNIT[unit]
    lowest, highest = -(2**63 // factor), (2**63 - 1) // factor
    if len(ticks) and (ticks.max() > highest or ticks.min() < lowest):
        raise InvalidInputError(
            f"the entity column {name!r} holds a time that 64 bits of microseconds cannot hold", "leave that row out"
        )
    return ticks * factor

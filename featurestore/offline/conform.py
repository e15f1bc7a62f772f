"""From the Arrow types a source happens to have to the types a view declares, by the one set of rules that the online store has too."""

from __future__ import annotations

import pyarrow as pa

from featurestore.core.errors import InvalidInputError, SourceError
from featurestore.core.types import ValueType
from featurestore.wire.arrow import arrow_type, column_from_arrow, column_to_arrow

_SAME_BYTES = frozenset(
    {
        ValueType.BOOL,
        ValueType.INT32,
        ValueType.INT64,
        ValueType.FLOAT,
        ValueType.DOUBLE,
        ValueType.UNIX_TIMESTAMP,
        ValueType.STRING,
        ValueType.JSON,
        ValueType.BYTES,
    }
)
"""Types of which every value in the right Arrow type is right."""


def conform(values: pa.Array, dtype: ValueType, what: str) -> pa.Array:
    """`values` in `arrow_type(dtype)`; maps, structs and nested collections stay in the source's own type.

    Exactly, or not at all, by the rules of `wire.arrow.column_from_arrow`. Only numbers for FLOAT and DOUBLE become the nearest there
    is: Feast's sources are mostly int64 and float64 whatever is declared. `what` names the column, as "view v: feature f".

    Raises:
        SourceError: the type cannot become the declared one, a value does not fit it, or a list holds a null.
    """
    if dtype.is_message or (dtype in _SAME_BYTES and values.type.equals(arrow_type(dtype))):
        return values
    try:
        return column_to_arrow(column_from_arrow(values, dtype, what))
    except InvalidInputError as error:
        raise SourceError(error.cause, error.remedy) from error


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A table's column in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)

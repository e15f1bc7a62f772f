"""Polars types as a contract may name them, and the value types they are kept as."""

from __future__ import annotations

import polars as pl

from featurestore.core.errors import DefinitionError
from featurestore.core.types import ValueType

_VALUE_TYPES: dict[pl.DataType, ValueType] = {
    pl.Boolean(): ValueType.BOOL,
    pl.Int8(): ValueType.INT32,
    pl.Int16(): ValueType.INT32,
    pl.Int32(): ValueType.INT32,
    pl.UInt8(): ValueType.INT32,
    pl.UInt16(): ValueType.INT32,
    pl.Int64(): ValueType.INT64,
    pl.UInt32(): ValueType.INT64,
    pl.Float32(): ValueType.FLOAT,
    pl.Float64(): ValueType.DOUBLE,
    pl.String(): ValueType.STRING,
    pl.Binary(): ValueType.BYTES,
    pl.Datetime("us", "UTC"): ValueType.UNIX_TIMESTAMP,
}


def value_type(dtype: pl.DataType, where: str) -> ValueType:
    """The value type of a Polars type; `where` names contract and column in the message.

    Raises:
        DefinitionError: no value type holds the Polars type exactly.
    """
    if isinstance(dtype, pl.List):
        inner = dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner()
        if not isinstance(inner, pl.List):
            return ValueType[f"{value_type(inner, where).name}_LIST"]
    known = _VALUE_TYPES.get(dtype)
    if known is None:
        raise DefinitionError(f"{where} is {dtype}, which no feature type holds", _remedy(dtype))
    return known


def _remedy(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return 'declare pl.Datetime("us", "UTC"), and bring local times there with cleaning.to_timestamp'
    if isinstance(dtype, pl.Date):
        return 'declare pl.Datetime("us", "UTC") for an instant, or text for a calendar day'
    if isinstance(dtype, pl.UInt64):
        return "declare Int64 where the values fit, or text"
    if isinstance(dtype, pl.Decimal):
        return "declare Float64, Int64 in the smallest unit, or text"
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return "declare String, with isin for the words allowed"
    if isinstance(dtype, pl.Struct):
        return "declare one column for each of its fields"
    return f"declare one of {', '.join(map(str, _VALUE_TYPES))}, or a list of one"


def as_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A value as people read it: numbers and times as Polars writes them, bytes in hexadecimal, lists in brackets. Null stays."""
    if isinstance(dtype, pl.List):
        element = as_text(pl.element(), dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner())
        return pl.concat_str(pl.lit("["), value.list.eval(element.fill_null("null")).list.join(", "), pl.lit("]"))
    if isinstance(dtype, pl.Binary):
        return value.bin.encode("hex")
    return value.cast(pl.String)

"""Whether a frame has the columns of its contract: the look at a table function's output before any row is read."""

from __future__ import annotations

from difflib import get_close_matches

import polars as pl

from featurestore.core.errors import TransformError
from featurestore.validation.contract import Contract


def check_schema(contract: Contract, schema: pl.Schema, what: str) -> None:
    """See that `schema` (without the store's own columns) has exactly the contract's columns and types, in any order.

    `what` names whose output it is, as in "table order_lines".

    Raises:
        TransformError: columns are missing, too many or of another type.
    """
    wanted = contract.schema
    missing = [name for name in wanted if name not in schema]
    extra = [name for name in schema if name not in wanted]
    faults = []
    if missing:
        faults.append(f"missing {', '.join(_with_likely(name, extra) for name in missing)}")
    if extra:
        faults.append(f"extra {', '.join(extra)}")
    if faults:
        raise TransformError(
            f"{what} returns the wrong columns: {'; '.join(faults)}", f"contract {contract.name} has {', '.join(wanted)}"
        )
    wrong = [name for name, dtype in wanted.items() if schema[name] != dtype]
    if wrong:
        found = ", ".join(f"{name} is {schema[name]} and should be {wanted[name]}" for name in wrong)
        raise TransformError(f"{what} returns wrong types: {found}", _remedy(schema[wrong[0]], wanted[wrong[0]]))


def _with_likely(name: str, extra: list[str]) -> str:
    likely = get_close_matches(name, extra, n=1, cutoff=0.5)
    return f"{name} (is it {likely[0]}?)" if likely else name


def _remedy(found: pl.DataType, wanted: pl.DataType) -> str:
    if isinstance(wanted, pl.Datetime):
        if found == pl.String:
            return "read the text with cleaning.to_timestamp, which asks for its time zone"
        if isinstance(found, pl.Datetime) and found.time_zone is None:
            return "name the zone that the naive times are in: cleaning.to_timestamp, or timezone('UTC', ...) in SQL"
        if isinstance(found, pl.Datetime):
            return "convert it with .dt.convert_time_zone('UTC').dt.cast_time_unit('us')"
    if isinstance(found, pl.Decimal) or found == pl.Int128:
        word = "bigint" if wanted.is_integer() else "double" if wanted.is_float() else str(wanted)
        return f"write cast(... as {word}) in the query (sum gives a wider type than it adds up), or .cast({wanted}) in Polars"
    if found == pl.String:
        return "read the text with cleaning.to_integer, to_float or to_boolean"
    return f"cast it, or declare {found} in the contract"

"""Cleaning steps: functions LazyFrame -> LazyFrame for `.pipe` that lose no row and no origin, but note what they refuse."""

from featurestore.cleaning.columns import rename, select
from featurestore.cleaning.numbers import to_boolean, to_float, to_integer
from featurestore.cleaning.rows import drop_rows, flag, refuse_rows, row_number
from featurestore.cleaning.text import null_if, strip_text, uppercase
from featurestore.cleaning.times import to_timestamp

__all__ = [
    "drop_rows",
    "flag",
    "null_if",
    "refuse_rows",
    "rename",
    "row_number",
    "select",
    "strip_text",
    "to_boolean",
    "to_float",
    "to_integer",
    "to_timestamp",
    "uppercase",
]

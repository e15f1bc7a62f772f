"""Steps that judge or number rows: a row that is dropped or refused stays in the frame, with its fate noted."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from featurestore.cleaning.frames import need, need_condition, need_new, need_rule, refusal
from featurestore.core.errors import DefinitionError
from featurestore.core.fates import DROPPED, FILE, ROW


def drop_rows(frame: pl.LazyFrame, rule: str, where: pl.Expr) -> pl.LazyFrame:
    """Drop the rows where `where` is true, and count them under `rule`. A row dropped before keeps its first rule.

    Raises:
        DefinitionError: `where` is no condition on this frame, or `rule` no name.
    """
    schema = frame.collect_schema()
    need_rule("drop_rows", rule)
    need_condition(schema, "drop_rows", where)
    dropped = pl.when(where).then(pl.lit(rule))
    return frame.with_columns((pl.coalesce(DROPPED, dropped) if DROPPED in schema else dropped).alias(DROPPED))


def refuse_rows(frame: pl.LazyFrame, rule: str, column: str, where: pl.Expr) -> pl.LazyFrame:
    """Send the rows where `where` is true to quarantine, for the value that `column` has there.

    Raises:
        DefinitionError: `where` is no condition on this frame, `rule` no name, `column` not there or not of a plain type.
    """
    schema = frame.collect_schema()
    need_rule("refuse_rows", rule)
    need(schema, "refuse_rows", [column])
    need_condition(schema, "refuse_rows", where)
    if schema[column].is_nested() or schema[column] in (pl.Binary, pl.Object):
        raise DefinitionError(
            f"cleaning.refuse_rows: column {column} is {schema[column]}", "name a column of text, numbers or times"
        )
    return frame.with_columns(refusal(schema, rule, column, where))


def flag(frame: pl.LazyFrame, name: str, where: pl.Expr) -> pl.LazyFrame:
    """A new Boolean column, true where `where` is true, and false where it is false or null.

    Raises:
        DefinitionError: `where` is no condition on this frame, or the column exists already.
    """
    schema = frame.collect_schema()
    need_new(schema, "flag", name)
    need_condition(schema, "flag", where)
    return frame.with_columns(where.fill_null(False).alias(name))


def row_number(frame: pl.LazyFrame, name: str, *, within: Sequence[str]) -> pl.LazyFrame:
    """A new Int64 column: 1, 2, 3 ... over the rows of one file with equal values in `within` (null equals null), in file order.

    Every row that is still in the frame counts, dropped and refused ones too, so the number of a row does not change when another
    row is repaired or a rule is added, nor with the files that are prepared in the same run. Exact duplicates have left before.

    Raises:
        DefinitionError: a column does not exist, or the new one does.
    """
    schema = frame.collect_schema()
    if isinstance(within, str):
        raise DefinitionError(f"cleaning.row_number: within is the text {within!r}", f"write within=[{within!r}]")
    need(schema, "row_number", [*within, FILE, ROW])
    need_new(schema, "row_number", name)
    return frame.with_columns(pl.col(ROW).rank("ordinal").over(FILE, *within).cast(pl.Int64).alias(name))

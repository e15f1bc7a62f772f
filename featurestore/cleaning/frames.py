"""What every step needs: the frame's columns checked by name and type, and refusals noted beside them."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from featurestore.core.errors import DefinitionError, nearest
from featurestore.core.fates import NULL_VALUE, is_hidden, refused_column


def need(schema: pl.Schema, step: str, names: Iterable[str]) -> None:
    """See that the frame has these columns.

    Raises:
        DefinitionError: it lacks one, or none is named; with the nearest it has.
    """
    wanted = list(names)
    if not wanted:
        raise DefinitionError(f"cleaning.{step} is given no column", "name at least one")
    for name in wanted:
        if name not in schema:
            likely = ", ".join(nearest(name, visible(schema))) or "none at all"
            raise DefinitionError(f"cleaning.{step}: there is no column {name!r} at this step", f"did you mean {likely}?")


def need_text(schema: pl.Schema, step: str, names: Iterable[str]) -> None:
    """See that the frame has these columns and that they are text.

    Raises:
        DefinitionError: it lacks one, or one is of another type.
    """
    wanted = list(names)
    need(schema, step, wanted)
    for name in wanted:
        if schema[name] != pl.String:
            raise DefinitionError(
                f"cleaning.{step} reads text, and column {name} is {schema[name]} at this step",
                "call it before the column is converted",
            )


def need_new(schema: pl.Schema, step: str, name: str) -> None:
    """See that `name` can become a column.

    Raises:
        DefinitionError: the frame has it already, or it is of the names kept for the store.
    """
    if name in schema:
        raise DefinitionError(f"cleaning.{step}: there is a column {name} already", "choose another name")
    if is_hidden(name):
        raise DefinitionError(f"cleaning.{step}: {name} begins with __, as the store's own columns do", "choose another name")


def need_condition(schema: pl.Schema, step: str, where: pl.Expr) -> None:
    """See that `where` is one true-or-false value a row of this frame.

    Raises:
        DefinitionError: it names a column that does not exist, cannot be computed, or is not Boolean.
    """
    # Computed on one row of nulls, since some wrong types show only when the expression runs.
    row = pl.DataFrame({name: [None] for name in schema}, schema=schema)
    try:
        found = row.select(where).schema
    except pl.exceptions.ColumnNotFoundError:
        need(schema, step, where.meta.root_names())
        raise
    except pl.exceptions.PolarsError as error:
        raise DefinitionError(f"cleaning.{step}: the condition cannot be computed ({error})", "mend the expression") from error
    if found.dtypes() != [pl.Boolean]:
        kinds = ", ".join(map(str, found.dtypes()))
        raise DefinitionError(
            f"cleaning.{step}: the condition gives {kinds}", "give an expression that is true or false for each row"
        )


def need_rule(step: str, rule: str) -> None:
    """See that `rule` can be a rule's name.

    Raises:
        DefinitionError: it is empty or holds a `|`.
    """
    if not rule or "|" in rule:
        raise DefinitionError(f"cleaning.{step}: {rule!r} cannot name a rule", "use a short name without |, such as bad_debt")


def refusal(schema: pl.Schema, rule: str, column: str, refused: pl.Expr) -> pl.Expr:
    """The hidden column that notes the value of `column` where `refused` is true; what an earlier step noted there stays.

    Computed from the column as it was before the step, so put it into the same `with_columns` as the conversion.
    """
    hidden = refused_column(rule, column)
    value = pl.col(column).cast(pl.String).fill_null(NULL_VALUE)
    noted = pl.when(refused).then(value)
    return (pl.coalesce(hidden, noted) if hidden in schema else noted).alias(hidden)


def visible(schema: pl.Schema) -> list[str]:
    """The frame's columns without the store's own."""
    return [name for name in schema if not is_hidden(name)]

"""A contract's verdict on every row, noted beside it: one hidden column for each rule that can refuse something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import polars as pl

from featurestore.core.fates import DROPPED, NULL_VALUE, refused_column, refused_parts
from featurestore.validation.contract import Contract, ContractColumn, Rule
from featurestore.validation.dtypes import as_text


def judge(frame: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """Add a column `__refused|rule|column` of String for each rule: the value refused, "\\x00" for null; null where it is not.

    The rules: "not_null" for columns that are not nullable (NaN counts as null, as in pandera), "null_element" for lists (no
    feature type holds a null inside one), "unique" for each column or set of columns that must be (every one of the rows that are
    alike is refused; null is like null), and the checks by their names. Rules over several columns name them `a,b` and give the
    values as `a=1, b=2`. Rows dropped by an earlier step are not judged, nor counted by "unique". Where an earlier step refused a
    column's value already, its being null now is not held against it. What is noted already stays.

    The frame has the contract's columns and types: `check_schema` sees to that. Everything but "unique" is decided row by row, in
    one pass over the frame.
    """
    schema = frame.collect_schema()
    live = pl.col(DROPPED).is_null() if DROPPED in schema else pl.lit(True)
    notes: dict[str, list[pl.Expr]] = defaultdict(list)
    for rule in _rules(contract, schema):
        label = refused_column(rule.name, ",".join(rule.columns))
        notes[label].append(_note(rule, live, schema))
    return frame.with_columns(
        pl.coalesce(*([label] if label in schema else []), *values).alias(label) for label, values in notes.items()
    )


def _rules(contract: Contract, schema: pl.Schema) -> Iterator[Rule]:
    for column in contract.columns:
        if not column.nullable:
            yield _not_null(column, schema)
        if isinstance(column.dtype, pl.List):
            yield _no_null_element(column)
        if column.unique:
            yield _unique((column.name,), schema)
        yield from column.checks
    yield from contract.checks
    for columns in contract.unique:
        yield _unique(columns, schema)


def _not_null(column: ContractColumn, schema: pl.Schema) -> Rule:
    value = pl.col(column.name)
    refuse = value.is_null() | value.is_nan() if column.dtype.is_float() else value.is_null()
    for name in schema:
        parts = refused_parts(name)
        if parts is not None and parts[1] == column.name:
            refuse &= pl.col(name).is_null()
    return Rule("not_null", (column.name,), refuse)


def _no_null_element(column: ContractColumn) -> Rule:
    elements = pl.col(column.name).list
    return Rule("null_element", (column.name,), elements.drop_nulls().list.len() < elements.len())


def _unique(columns: tuple[str, ...], schema: pl.Schema) -> Rule:
    alike = pl.col(DROPPED).is_null().sum() if DROPPED in schema else pl.len()
    return Rule("unique", columns, alike.over(*columns) > 1)


def _note(rule: Rule, live: pl.Expr, schema: pl.Schema) -> pl.Expr:
    refused = live & rule.refuse
    # The value is masked first and turned into text after, so that text is made for the few rows that are refused.
    masked = {name: as_text(pl.when(refused).then(pl.col(name)), schema[name]) for name in rule.columns}
    if len(rule.columns) == 1:
        (text,) = masked.values()
        return pl.when(refused).then(text.fill_null(NULL_VALUE))
    parts = [part for name, text in masked.items() for part in (pl.lit(f"{name}="), text.fill_null("null"), pl.lit(", "))]
    return pl.when(refused).then(pl.concat_str(parts[:-1]))

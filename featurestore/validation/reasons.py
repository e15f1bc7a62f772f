"""Why rows were refused, one line a reason, gathered from the columns in which steps and contracts noted it."""

from __future__ import annotations

import polars as pl

from featurestore.core.fates import NULL_VALUE, ROW, refused_parts

SCHEMA = pl.Schema({ROW: pl.Int64(), "rule": pl.String(), "column": pl.String(), "value": pl.String()})


def reasons(frame: pl.DataFrame) -> pl.DataFrame:
    """Every refusal noted in `frame`: `__row` Int64, `rule`, `column` and `value` String (null where the refused value is null).

    Sorted by row, and within a row by the order of the frame's columns: cleaning before contract.
    """
    noted = {name: parts for name in frame.columns if (parts := refused_parts(name)) is not None}
    if not noted:
        return pl.DataFrame(schema=SCHEMA)
    names = pl.DataFrame(
        {"name": list(noted), "rule": [rule for rule, _ in noted.values()], "column": [column for _, column in noted.values()]}
    ).with_row_index("order")
    return (
        frame.lazy()
        .filter(pl.any_horizontal(pl.col(name).is_not_null() for name in noted))
        .unpivot(on=list(noted), index=ROW, variable_name="name", value_name="value")
        .filter(pl.col("value").is_not_null())
        .join(names.lazy(), on="name")
        .sort(ROW, "order")
        .select(pl.col(ROW), "rule", "column", pl.when(pl.col("value") != NULL_VALUE).then(pl.col("value")).alias("value"))
        .collect()
    )

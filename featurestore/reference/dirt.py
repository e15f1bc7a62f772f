"""The kinds of dirt in the shop's raw files: how to count each, and what the reference project does about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from featurestore.core.errors import SourceError

_QUANTITY = pl.col("Quantity").cast(pl.Int64, strict=False)
_PRICE = pl.col("UnitPrice").cast(pl.Float64, strict=False)
_DESCRIPTION = pl.col("Description")


@dataclass(frozen=True, slots=True)
class Dirt:
    """One kind: `rows` of the raw files that show it (or codes, or customers, as `kind` says) and its `treatment`."""

    kind: str
    rows: int
    treatment: str


def count_dirt(raw: Path) -> tuple[Dirt, ...]:
    """Each kind of dirt among the raw CSV files in folder `raw`, counted before any cleaning.

    Raises:
        SourceError: the folder holds no CSV file of the expected columns.
    """
    try:
        rows = pl.read_csv(raw / "*.csv", infer_schema=False)
        counted = rows.select(expression.alias(kind) for kind, expression, _ in _BY_ROW).row(0, named=True)
        counted["exact duplicate rows"] = rows.height - rows.n_unique()
        counted["stock codes with several descriptions"] = _with_several(rows, "StockCode", "Description")
        counted["customers in several countries"] = _with_several(rows, "CustomerID", "Country")
    except (pl.exceptions.PolarsError, OSError) as error:
        cause = str(error).partition("\n")[0]
        raise SourceError(f"cannot count the rows in {raw}: {cause}", "put the shop's CSV files there") from error
    treatments = {kind: treatment for kind, _, treatment in _BY_ROW} | dict(_BY_GROUP)
    return tuple(Dirt(kind, counted[kind], treatment) for kind, treatment in treatments.items())


def _with_several(rows: pl.DataFrame, what: str, of: str) -> int:
    return rows.drop_nulls([what, of]).group_by(what).agg(pl.col(of).n_unique()).filter(pl.col(of) > 1).height


_BY_ROW = (
    (
        "no CustomerID",
        pl.col("CustomerID").is_null().sum(),
        "kept in order_lines without a customer; left out of customer_days",
    ),
    (
        "CustomerID written as a float",
        pl.col("CustomerID").str.ends_with(".0").sum(),
        "repaired by cleaning.to_integer",
    ),
    (
        "no Description",
        _DESCRIPTION.is_null().sum(),
        "dropped as stock_adjustment, else quarantined: not_null",
    ),
    (
        "padded descriptions",
        (_DESCRIPTION.str.strip_chars() != _DESCRIPTION).sum(),
        "repaired by cleaning.strip_text",
    ),
    (
        "lower-case stock codes",
        pl.col("StockCode").str.contains("[a-z]").sum(),
        "repaired by cleaning.uppercase",
    ),
    (
        "cancellations (InvoiceNo C...)",
        pl.col("InvoiceNo").str.starts_with("C").sum(),
        "kept and marked by cleaning.flag: is_cancellation, with the negative quantity",
    ),
    (
        "bad-debt adjustments (InvoiceNo A...)",
        pl.col("InvoiceNo").str.starts_with("A").sum(),
        "dropped under the rule bad_debt_adjustment",
    ),
    (
        "Quantity not above 0",
        (_QUANTITY <= 0).sum(),
        "kept in cancellations, else dropped under the rule stock_adjustment",
    ),
    (
        "UnitPrice not above 0",
        (_PRICE <= 0).sum(),
        "quarantined: greater_than, unless dropped before",
    ),
    (
        "Quantity beyond 10,000 either way",
        (_QUANTITY.abs() > 10_000).sum(),
        "quarantined: in_range",
    ),
)

_BY_GROUP = (
    ("exact duplicate rows", "counted as deduplicated, the first is kept"),
    ("stock codes with several descriptions", "kept in order_lines; product_days takes the day's most recent"),
    ("customers in several countries", "kept in order_lines; customer_days takes the day's most recent"),
)

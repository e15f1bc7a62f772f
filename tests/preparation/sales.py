"""Definitions over a small CSV file, for the tests of preparation and for the child processes that they kill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandera.polars as pa
import polars as pl

from featurestore import cleaning
from featurestore.core.config import ProjectConfig
from featurestore.offline import delta
from featurestore.preparation import RunReport, Table, TableReport, prepare, sql_table, table
from featurestore.sources import CsvSource

HEADER = "id,buyer,amount,at\n"
AT = "2026-01-01 10:00:00"


class RawSale(pa.DataFrameModel):
    id: str = pa.Field(nullable=True)
    buyer: str = pa.Field(nullable=True)
    amount: str
    at: str


class Sale(pa.DataFrameModel):
    id: int
    buyer: str = pa.Field(nullable=True)
    amount: float = pa.Field(gt=0)
    at: Annotated[pl.Datetime, "us", "UTC"]


class BuyerDay(pa.DataFrameModel):
    buyer: str
    day_end: Annotated[pl.Datetime, "us", "UTC"]
    spend: float
    sales: int


raw_sales = CsvSource(name="raw_sales", path="data/raw/*.csv", contract=RawSale)


def clean(raw: pl.LazyFrame) -> pl.LazyFrame:
    """The cleaning that most tests need: two columns to numbers, one to time, and one rule that drops."""
    return (
        raw.pipe(cleaning.to_integer, "id")
        .pipe(cleaning.to_float, "amount")
        .pipe(cleaning.to_timestamp, "at", format="%Y-%m-%d %H:%M:%S", zone="UTC")
        .pipe(cleaning.drop_rows, "test_buyer", pl.col("buyer") == "test")
    )


@table(contract=Sale, key=["id"], timestamp_field="at", max_quarantined=1.0)
def sales(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    """Every sale once."""
    return clean(raw_sales)


@sql_table(contract=BuyerDay, key=["buyer", "day_end"], timestamp_field="day_end")
def buyer_days(sales: str) -> str:
    """What each buyer spent on a day."""
    return """
    select buyer, date_trunc('day', "at") + interval 1 day as day_end, sum(amount) as spend, count(*) as sales
    from sales where buyer is not null group by all
    """


def project(root: Path, **files: str) -> ProjectConfig:
    """A project in `root` with these raw files (name without .csv -> rows below the header)."""
    (root / "data" / "raw").mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        (root / "data" / "raw" / f"{name}.csv").write_text(HEADER + rows)
    return ProjectConfig(root=root, project="shop", registry=root / "data" / "registry.db", online=root / "data" / "online")


def prepared(config: ProjectConfig, *tables: Table, full_refresh: bool = False) -> RunReport:
    """Prepare these tables, `sales` if none is given."""
    return prepare(config, tables or (sales,), (raw_sales,), full_refresh=full_refresh)


def report(config: ProjectConfig, *tables: Table, full_refresh: bool = False) -> TableReport:
    """The last table's report."""
    return prepared(config, *tables, full_refresh=full_refresh).tables[-1]


def published(config: ProjectConfig, name: str = "sales") -> list[dict[str, object]]:
    """A published table's rows, sorted by all their values."""
    opened = delta.opened(config.root / "data" / "offline" / name)
    return [] if opened is None else opened.scan().collect().sort(pl.all()).to_dicts()

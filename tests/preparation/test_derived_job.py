"""Tables over tables, in SQL and in Polars: when they are made, what they may see, and their faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from featurestore import cleaning
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import QuarantineLimitError, TransformError, UnknownNameError
from featurestore.core.fates import Fates
from featurestore.preparation import Quarantine, Table, prepare, sql_table, table
from tests.preparation.sales import BuyerDay, Sale, buyer_days, project, published, raw_sales, report, sales
from tests.shop import stored

DAY1 = "1,ann,2.5,2026-01-01 10:00:00\n2,bob,3,2026-01-01 23:59:59\n3,ann,1,2026-01-01 12:00:00\n4,,7,2026-01-01 13:00:00\n"
DAY2 = "5,ann,8,2026-01-02 00:00:00\n"
JAN2 = datetime(2026, 1, 2, tzinfo=UTC)
JAN3 = datetime(2026, 1, 3, tzinfo=UTC)
ON_DAY1 = [
    {"buyer": "ann", "day_end": JAN2, "spend": 3.5, "sales": 2},
    {"buyer": "bob", "day_end": JAN2, "spend": 3.0, "sales": 1},
]


@table(contract=BuyerDay, key=["buyer", "day_end"], timestamp_field="day_end")
def polars_days(sales: pl.LazyFrame) -> pl.LazyFrame:
    """`buyer_days` in Polars."""
    return (
        sales.filter(pl.col("buyer").is_not_null())
        .group_by("buyer", day_end=pl.col("at").dt.truncate("1d").dt.offset_by("1d"))
        .agg(spend=pl.col("amount").sum(), sales=pl.len().cast(pl.Int64))
    )


def days(query: str | Callable[..., Any], **changes: Any) -> Table:
    """The table `buyer_days` with another query, or with another function in Polars."""
    decorate = sql_table if isinstance(query, str) else table
    function = (lambda sales: query) if isinstance(query, str) else query
    return replace(
        decorate(contract=BuyerDay, key=["buyer", "day_end"], timestamp_field="day_end")(function), name="buyer_days", **changes
    )


@pytest.mark.parametrize("made", [buyer_days, polars_days])
def test_rows_are_made_of_the_input_tables_as_they_stand(tmp_path: Path, made: Table) -> None:
    config = project(tmp_path, day1=DAY1)
    assert report(config, sales, made).fates == Fates(2, 2, 0, 0, 0)
    assert published(config, made.name) == ON_DAY1
    project(tmp_path, day2=DAY2)
    assert report(config, sales, made).fates == Fates(3, 3, 0, 0, 0)
    assert published(config, made.name) == [ON_DAY1[0], {"buyer": "ann", "day_end": JAN3, "spend": 8.0, "sales": 1}, ON_DAY1[1]]


def test_nothing_is_made_while_inputs_and_code_are_the_same(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    report(config, sales, buyer_days)
    before = stored(tmp_path)
    again = report(config, sales, buyer_days)
    assert (again.skipped, again.message, again.version) == (True, "up to date", 0)
    assert stored(tmp_path) == before
    recoded = report(config, sales, replace(buyer_days, code_hash="other"))
    assert (recoded.skipped, recoded.version) == (False, 1)
    assert not report(config, sales, replace(buyer_days, code_hash="other"), full_refresh=True).skipped


def test_only_the_named_table_is_made_anew_but_what_it_needs_is_brought_up_to_date(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    tables = (sales, buyer_days, polars_days)
    run = prepare(config, tables, [raw_sales], ["buyer_days"])
    assert [(done.table, done.skipped) for done in run.tables] == [("sales", False), ("buyer_days", False)]
    run = prepare(config, tables, [raw_sales], ["buyer_days"], full_refresh=True)
    assert [(done.table, done.skipped) for done in run.tables] == [("sales", True), ("buyer_days", False)]
    with pytest.raises(UnknownNameError, match="'buyer_day'; did you mean buyer_days"):
        prepare(config, tables, [raw_sales], ["buyer_day"])


def test_the_order_that_the_query_gives_does_not_matter(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1, day2=DAY2)
    query = "select buyer, date_trunc('day', \"at\") + interval 1 day as day_end, sum(amount) as spend, count(*) as sales "
    query += "from sales where buyer is not null group by all order by buyer "
    files = set()
    for direction in ("asc", "desc"):
        report(config, sales, days(query + direction), full_refresh=True)
        files |= {path.name.split("-")[1] for path in (tmp_path / "data/offline/buyer_days").glob("*.parquet")}
    assert len(files) == 1  # the names are digests


def test_refused_derived_rows_are_kept_with_their_values(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    query = "select unnest(['ann', null, 'ann', 'ann']) buyer, max(\"at\") day_end, unnest([1.0::double, 2, 1, 5]) spend, 3::bigint sales from sales"
    made = days(query, max_quarantined=0.5)
    assert report(config, sales, made).fates == Fates(4, 1, 2, 1, 0)
    shown = {row["reasons"][0]["rule"]: row for row in Quarantine(config).show("buyer_days")}
    assert shown["not_null"]["reasons"] == [{"rule": "not_null", "column": "buyer", "value": None}]
    assert shown["duplicate_key"]["reasons"][0]["value"].startswith("ann, 2026-01-01 23:59:59")
    assert shown["duplicate_key"]["raw"]["spend"] == 5.0
    assert (shown["duplicate_key"]["file"], shown["duplicate_key"]["line"]) == (None, None)
    with pytest.raises(QuarantineLimitError, match="2 of 4 rows are refused"):
        report(config, sales, days(query, max_quarantined=0.4), full_refresh=True)


def test_a_derived_table_may_drop_rows_by_a_rule(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)

    def small(sales: pl.LazyFrame) -> pl.LazyFrame:
        return sales.pipe(cleaning.drop_rows, "large", pl.col("amount") > 2.6)

    done = report(config, sales, table(contract=Sale, key=["id"], timestamp_field="at")(small))
    assert (done.fates, done.dropped_by_rule) == (Fates(4, 2, 0, 0, 2), {"large": 2})


ALL = 'select buyer, "at" as day_end, amount as spend, 1::bigint as sales from sales where buyer is not null'


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", r"Parser Error: syntax error at or near \"selec\" \(line 1 of the query: selec 1\)"),
        ("select\n nope from sales", r"Binder Error: .*nope"),
        ("select 'x'::int as buyer\nfrom sales", "Conversion Error: Could not convert string 'x'"),
        ("select 1; select 2", "returned 2 SQL statements"),
        ("create table t(a int)", "one that is no query"),
        ("select * from raw_sales", "raw_sales does not exist"),
        ("select * from 'data/raw/day1.csv'", "Permission Error"),
        ("select * from read_text('/etc/passwd')", "Permission Error"),
        (f"{ALL} and false", "read rows and returned none"),
        (ALL.replace("spend", "spent"), r"missing spend \(is it spent\?\); extra spent"),
        (ALL.replace('"at"', '"at"::timestamp'), "day_end is Datetime.*timezone"),
        (ALL.replace("1::bigint", "sum(1) over ()"), "sales is Decimal"),
        (lambda sales: None, "returned NoneType; return a LazyFrame"),
        (lambda sales: sales.select("nothing"), "ColumnNotFoundError"),
        (lambda sales: sales.select("id"), "missing buyer, day_end, spend"),
    ],
)
def test_faults_are_told_on_one_line_and_change_nothing(tmp_path: Path, query: str | Callable[..., Any], message: str) -> None:
    config = project(tmp_path, day1=DAY1)
    report(config, sales, buyer_days)
    before = stored(tmp_path)
    with pytest.raises(TransformError, match=message) as caught:
        report(config, sales, days(query, code_hash="new"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("table buyer_days: tests.preparation.test_derived_job.")
    assert stored(tmp_path) == before


def test_sql_that_is_no_text_is_refused(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    made = sql_table(contract=BuyerDay, key=["buyer"], timestamp_field="day_end")(lambda sales: 3)
    with pytest.raises(TransformError, match="returned int; return the text of one SQL query"):
        report(config, sales, made)


def test_a_query_over_an_empty_table_gives_an_empty_table(tmp_path: Path) -> None:
    config = project(tmp_path, day1="")
    for made in (buyer_days, polars_days):
        assert report(config, sales, made).fates == Fates(0, 0, 0, 0, 0)
        assert published(config, made.name) == []


def test_a_project_folder_of_any_name_works(tmp_path: Path) -> None:
    config: ProjectConfig = project(tmp_path / "our [1] shop*", day1=DAY1)
    report(config, sales, buyer_days)
    assert published(config, "buyer_days") == ON_DAY1

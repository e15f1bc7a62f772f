"""Tables over raw files: what is new, what a function may not do, and the limits of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from featurestore import cleaning
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import DefinitionError, QuarantineLimitError, SourceError, TransformError
from featurestore.core.fates import Fates
from featurestore.offline import delta
from featurestore.preparation import Quarantine, Table, prepare, table
from tests.preparation.sales import AT, HEADER, Sale, clean, project, published, raw_sales, report, sales
from tests.shop import stored

GOOD = f"1,ann,2,{AT}\n2,bob,3,{AT}\n"


class WiderSale(Sale):
    extra: str


def as_sales(function: Callable[..., Any], **changes: Any) -> Table:
    """The table `sales` with another function."""
    made = table(contract=Sale, key=["id"], timestamp_field="at")(function)
    return replace(made, name="sales", **changes)


def fails(config: ProjectConfig, error: type[Exception], message: str, *tables: Table) -> str:
    """Prepare, expecting this error and no change of what is stored; the whole message."""
    before = stored(config.root)
    with pytest.raises(error, match=message) as caught:
        report(config, *tables)
    assert stored(config.root) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_run_over_the_same_files_does_nothing_and_says_so(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    assert report(config).version == 0
    before = stored(tmp_path)
    again = report(config)
    assert (again.skipped, again.message, again.fates, again.version) == (True, "nothing new", Fates(0, 0, 0, 0, 0), 0)
    assert stored(tmp_path) == before


def test_a_new_file_is_processed_alone(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    project(tmp_path, day2=f"3,cid,4,{AT}\n")
    done = report(config)
    assert (done.fates, done.version, done.message) == (Fates(1, 1, 0, 0, 0), 1, "1 new file")
    assert [row["id"] for row in published(config)] == [1, 2, 3]


def test_a_file_that_changed_after_it_was_processed_is_refused_until_a_full_refresh(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    project(tmp_path, day1=f"1,ann,9,{AT}\n")
    fails(config, SourceError, "day1.csv changed since it was processed .*featurestore prepare sales --full-refresh")
    assert report(config, full_refresh=True).fates == Fates(1, 1, 0, 0, 0)
    assert [row["amount"] for row in published(config)] == [9.0]
    assert report(config).skipped


def test_a_copy_of_a_processed_file_counts_as_duplicates(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    project(tmp_path, day1b=GOOD)
    assert report(config).fates == Fates(2, 0, 0, 2, 0)
    assert len(published(config)) == 2
    assert report(config).skipped


def test_a_file_with_a_header_alone_is_processed_and_counts_no_rows(tmp_path: Path) -> None:
    config = project(tmp_path, day1="")
    done = report(config)
    assert (done.fates, done.skipped, done.version) == (Fates(0, 0, 0, 0, 0), False, 0)
    assert published(config) == []
    assert report(config).skipped


def test_a_row_of_a_known_key_is_a_duplicate_if_equal_and_refused_if_not(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    project(tmp_path, day2=f"2,bob,8,{AT}\n1, ann,2.0,{AT}\n2,bob,3.0,{AT}\n3,cid,1,{AT}\n3,cid,1.0,{AT}\n3,cid,2,{AT}\n")
    trimmed = as_sales(lambda raw_sales: clean(raw_sales.pipe(cleaning.strip_text, "buyer")), max_quarantined=1.0)
    assert report(config, trimmed).fates == Fates(6, 1, 2, 3, 0)
    assert [(row["line"], row["reasons"]) for row in Quarantine(config).show("sales")] == [
        (2, [{"rule": "duplicate_key", "column": "id", "value": "2"}]),
        (7, [{"rule": "duplicate_key", "column": "id", "value": "3"}]),
    ]


def test_null_equals_null_and_nothing_else_when_rows_of_one_key_are_compared(tmp_path: Path) -> None:
    config = project(tmp_path, day1=f"1,,2,{AT}\n2,bob,2,{AT}\n3,,2,{AT}\n")
    report(config)
    project(tmp_path, day2=f"1,,2.0,{AT}\n2,,2,{AT}\n3,ann,2,{AT}\n")
    project(tmp_path, day3=f"9,dan,1,{AT}\n")  # a run must accept something
    done = report(config)
    assert (done.fates, done.reasons) == (Fates(4, 1, 2, 1, 0), {"duplicate_key/id": 2})


def test_a_full_refresh_makes_the_table_and_its_quarantine_anew(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD + f"3,cid,-1,{AT}\n")
    report(config)
    project(tmp_path, day2=f"4,dan,1,{AT}\n")
    report(config)
    done = report(config, full_refresh=True)
    assert (done.fates, done.version) == (Fates(4, 3, 1, 0, 0), 2)
    assert len(published(config)) == 3
    assert len(Quarantine(config).show("sales")) == 1
    assert [row["run_id"] for row in Quarantine(config).list()] == [Quarantine(config).show("sales")[0]["run_id"]]


def test_changed_code_is_told_when_nothing_is_new(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    assert "--full-refresh" in report(config, replace(sales, code_hash="other")).message


def test_a_dropped_row_counts_under_its_rule_even_if_it_is_refused_too(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD + f"x,test,-1,{AT}\n")
    done = report(config)
    assert (done.fates, done.dropped_by_rule, done.reasons) == (Fates(3, 2, 0, 0, 1), {"test_buyer": 1}, {})


def test_more_refused_rows_than_allowed_publish_nothing(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD + f"3,cid,-1,{AT}\n4,cid,-1,{AT}\nx,cid,1,{AT}\n")
    strict = replace(sales, max_quarantined=0.5)
    message = fails(config, QuarantineLimitError, r"3 of 5 rows are refused.*max_quarantined=0.5", strict)
    assert "greater_than of amount: 2, integer of id: 1" in message
    assert delta.opened(tmp_path / "data/offline/sales") is None
    assert report(config, replace(sales, max_quarantined=0.6)).fates.quarantined == 3


def test_a_run_that_reads_rows_and_accepts_none_fails(tmp_path: Path) -> None:
    config = project(tmp_path, day1=f"1,test,1,{AT}\n2,test,1,{AT}\n")
    fails(config, TransformError, r"read 2 rows and accepted none: 2 dropped \(test_buyer: 2\)")


def failing(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyError("no such thing")


def strict_cast(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    return raw_sales.with_columns(pl.col("id").cast(pl.Int64), pl.col("amount").cast(pl.Float64)).pipe(
        cleaning.to_timestamp, "at", format="%Y-%m-%d %H:%M:%S", zone="UTC"
    )


def misnamed(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    return raw_sales.pipe(cleaning.to_integer, "idd")


def unknown_column(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    return clean(raw_sales).with_columns(pl.col("nope"))


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            failing,
            rf"test_raw_job\.failing \(test_raw_job\.py:\d+\) raised KeyError in line {line_of(failing, 1)}: 'no such thing'",
        ),
        (strict_cast, r"strict_cast .*raised InvalidOperationError.*conversion"),
        (misnamed, rf"misnamed .* in line {line_of(misnamed, 1)}: cleaning.to_integer.*'idd'.*did you mean id"),
        (unknown_column, r"unknown_column .*raised ColumnNotFoundError.*nope"),
        (lambda raw_sales: 3, "returned int; return the LazyFrame"),
        (lambda raw_sales: clean(raw_sales).collect(), "returned DataFrame; return the LazyFrame"),
        (lambda raw_sales: clean(raw_sales).drop("amount"), "missing amount"),
        (lambda raw_sales: clean(raw_sales).rename({"amount": "amounts"}), r"missing amount \(is it amounts\?\); extra amounts"),
        (lambda raw_sales: clean(raw_sales).with_columns(pl.col("id").cast(pl.String)), "id is String and should be Int64"),
        (
            lambda raw_sales: clean(raw_sales).with_columns(pl.col("at").dt.replace_time_zone(None)),
            r"at is Datetime\(.*cleaning.to_timestamp",
        ),
        (
            lambda raw_sales: clean(raw_sales).filter(pl.col("id") == 1),
            r"lost 2 rows without a rule \(such as data/raw/day1.csv, line 3\).*cleaning.drop_rows",
        ),
        (
            lambda raw_sales: pl.concat([clean(raw_sales), clean(raw_sales).head(1)]),
            r"returned 1 rows more than once \(such as data/raw/day1.csv, line 2\)",
        ),
        (
            lambda raw_sales: pl.concat(
                [clean(raw_sales), clean(raw_sales).head(2).with_columns(__row=pl.lit(77) + pl.col("__row"))]
            ),
            "returned 2 rows that are not its input's",
        ),
        (lambda raw_sales: clean(raw_sales).select("id", "buyer", "amount", "at"), "lost the hidden columns .*cleaning.select"),
    ],
)
def test_a_function_that_does_not_keep_to_its_contract_is_named(tmp_path: Path, function: Callable[..., Any], message: str) -> None:
    config = project(tmp_path, day1=GOOD + f"3,cid,x,{AT}\n")
    made = as_sales(function, max_quarantined=1.0)
    fails(config, TransformError, message, made)


def test_what_the_raw_contract_refuses_cannot_be_lost_by_selecting_the_origin(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD + f"3,cid,,{AT}\n")
    names = ["id", "buyer", "amount", "at", "__file", "__line", "__row"]
    made = as_sales(lambda raw_sales: clean(raw_sales.select(names)), max_quarantined=1.0)
    fails(config, TransformError, "lost the hidden columns", made)
    kept = as_sales(lambda raw_sales: clean(raw_sales.pipe(cleaning.select, "id", "buyer", "amount", "at")), max_quarantined=1.0)
    assert report(config, kept).reasons == {"not_null/amount": 1}


def test_a_raw_table_may_read_other_tables(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)

    def rich(raw_sales: pl.LazyFrame, sales: pl.LazyFrame) -> pl.LazyFrame:
        known = sales.select("id", pl.col("amount").alias("known"))
        return clean(raw_sales).join(known, on="id", how="left").with_columns(amount=pl.col("known") * 2).drop("known")

    assert report(config, sales, table(contract=Sale, key=["id"], timestamp_field="at")(rich)).fates == Fates(2, 2, 0, 0, 0)
    assert [row["amount"] for row in published(config, "rich")] == [4.0, 6.0]


def test_the_order_of_rows_may_change(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD + f"1,ann,9,{AT}\n")
    made = as_sales(lambda raw_sales: clean(raw_sales).sort("amount", descending=True), max_quarantined=1.0)
    assert report(config, made).fates == Fates(3, 2, 1, 0, 0)
    assert [row["amount"] for row in published(config)] == [2.0, 3.0]


def test_a_table_of_other_columns_is_made_anew_only_when_told(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)

    wider = table(contract=WiderSale, key=["id"], timestamp_field="at")
    made = replace(wider(lambda raw_sales: clean(raw_sales).with_columns(extra=pl.lit("e"))), name="sales")
    project(tmp_path, day2=f"3,cid,4,{AT}\n")
    fails(config, DefinitionError, "extra is missing, now string; run `featurestore prepare sales --full-refresh`", made)
    assert report(config, made, full_refresh=True).fates == Fates(3, 3, 0, 0, 0)
    assert {row["extra"] for row in published(config)} == {"e"}


def test_a_raw_contract_of_other_types_than_text_is_refused(tmp_path: Path) -> None:
    config = project(tmp_path, day1=GOOD)
    with pytest.raises(DefinitionError, match="gives id, amount, at another type than text"):
        prepare(config, [sales], [replace(raw_sales, contract=Sale)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + f"1,ann,2,{AT}\n2,bob", "ends in the middle of line 3"),
        (HEADER.replace("amount", "amounts") + GOOD, "column amount is missing .did you mean it by 'amounts'"),
        (HEADER.replace(",at", "") + "1,ann,2\n", "column at is missing"),
        ("", "is empty"),
    ],
)
def test_a_fault_in_a_file_stops_the_run_before_anything_is_read(tmp_path: Path, content: str, message: str) -> None:
    config = project(tmp_path, day1=GOOD)
    report(config)
    (tmp_path / "data/raw/day2.csv").write_text(content)
    fails(config, SourceError, message)
    assert len(published(config)) == 2


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    config = ProjectConfig(tmp_path, "shop", tmp_path / "data/registry.db", tmp_path / "data/online")
    with pytest.raises(SourceError, match=r"the folder .*data/raw does not exist"):
        report(config)

"""The reference project's tables against a slow plain-Python reading of the same raw files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from featurestore.preparation import TableReport
from featurestore.reference import copy_project
from tests.reference import oracle
from tests.reference.conftest import Prepared, prepared

Key = tuple[Any, ...]


def fates(report: TableReport) -> dict[str, int]:
    """What a table's report counts, under the oracle's names, zeros left out."""
    counts = {
        "accepted": report.fates.accepted,
        "deduplicated": report.fates.deduplicated,
        "quarantined": report.fates.quarantined,
        **{f"dropped {rule}": count for rule, count in report.dropped_by_rule.items()},
    }
    assert report.fates.rows_in == sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def assert_same(table: pl.DataFrame, wanted: Mapping[Key, oracle.Row], key: list[str], sampled: int = 1) -> None:
    """Every row, or every n-th, is the oracle's in every column; floats are equal to the last bit."""
    assert table.height == len(wanted)
    rows = table.sort(key).gather_every(sampled).rows(named=True)
    for row in rows:
        assert row == wanted[tuple(row[name] for name in key)]


def test_every_generated_row_meets_the_fate_of_the_definition(generated: Prepared) -> None:
    lines, counted = oracle.order_lines(oracle.raw_rows(generated.raw))
    assert fates(generated.report.tables[0]) == dict(counted)
    assert sum(counted.values()) == 12_000
    assert {"dropped bad_debt_adjustment", "dropped stock_adjustment", "quarantined", "deduplicated"} <= counted.keys()
    assert_same(generated.rows("order_lines"), {(line["invoice_no"], line["line"]): line for line in lines}, ["invoice_no", "line"])


def test_customer_days_are_those_of_the_definition(generated: Prepared) -> None:
    lines, _ = oracle.order_lines(oracle.raw_rows(generated.raw))
    wanted = oracle.customer_days(lines)
    assert_same(generated.rows("customer_days"), wanted, ["customer_id", "day_end"])
    assert {row["is_returning"] for row in wanted.values()} == {True, False}
    assert any(row["day_mean_price"] is None for row in wanted.values())


def test_product_days_are_those_of_the_definition(generated: Prepared) -> None:
    lines, _ = oracle.order_lines(oracle.raw_rows(generated.raw))
    wanted = oracle.product_days(lines)
    assert_same(generated.rows("product_days"), wanted, ["stock_code", "day_end"])
    assert any(row["mean_price"] is None for row in wanted.values())


def test_a_second_run_over_the_same_files_does_nothing(generated: Prepared) -> None:
    before = {name: generated.rows(name) for name in ("order_lines", "customer_days", "product_days")}
    again = prepared(generated.root)
    assert [(table.skipped, table.fates.rows_in) for table in again.report.tables] == [(True, 0)] * 3
    assert all(again.rows(name).equals(rows) for name, rows in before.items())


def test_files_that_come_one_after_the_other_give_the_tables_of_one_run(generated: Prepared, tmp_path: Path) -> None:
    root = copy_project(tmp_path / "retail")
    files = sorted(generated.raw.iterdir())
    for batch in (files[:100], files[100:101], files[101:]):
        for file in batch:
            shutil.copy(file, root / "data" / "raw")
        later = prepared(root)
        assert later.report.tables[0].fates.rows_in == sum(len(file.read_text().splitlines()) - 1 for file in batch)
    for name, key in (("order_lines", ["invoice_no", "line"]), ("customer_days", ["customer_id", "day_end"])):
        assert later.rows(name).sort(key).equals(generated.rows(name).sort(key))
    assert (
        later.rows("product_days")
        .sort("stock_code", "day_end")
        .equals(generated.rows("product_days").sort("stock_code", "day_end"))
    )


def test_the_real_files_reconcile_to_the_last_row(real: Prepared) -> None:
    report = real.report.tables[0]
    assert fates(report) == {
        "accepted": 534_124,
        "deduplicated": 5_268,
        "quarantined": 1_178,
        "dropped bad_debt_adjustment": 3,
        "dropped stock_adjustment": 1_336,
    }
    assert report.fates.rows_in == 541_909
    assert dict(report.reasons) == {"greater_than/unit_price": 1_174, "not_null/description": 592, "in_range/quantity": 5}
    assert report.fates.quarantined / report.fates.rows_in < 0.05


@pytest.mark.slow
def test_the_real_tables_are_those_of_the_definition(real: Prepared) -> None:
    lines, counted = oracle.order_lines(oracle.raw_rows(real.raw))
    assert fates(real.report.tables[0]) == dict(counted)
    assert_same(real.rows("order_lines"), {(line["invoice_no"], line["line"]): line for line in lines}, ["invoice_no", "line"], 7)
    assert_same(real.rows("customer_days"), oracle.customer_days(lines), ["customer_id", "day_end"])
    assert_same(real.rows("product_days"), oracle.product_days(lines), ["stock_code", "day_end"], 7)


def test_published_times_are_utc_and_a_day_is_known_only_after_it(generated: Prepared) -> None:
    days, lines = generated.rows("customer_days"), generated.rows("order_lines")
    assert days.schema["day_end"] == days.schema["last_invoice_at"] == lines.schema["invoiced_at"] == pl.Datetime("us", "UTC")
    assert days.filter(pl.col("day_end") <= pl.col("last_invoice_at")).is_empty()
    assert all(isinstance(end, datetime) and (end.hour, end.minute, end.second) == (0, 0, 0) for end in days["day_end"].to_list())

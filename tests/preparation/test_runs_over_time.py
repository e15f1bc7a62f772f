"""What a later run makes of an earlier one's work: other code, other keys, files gone, tables removed or damaged."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from featurestore import cleaning
from featurestore.core.errors import CorruptDataError, DefinitionError, SourceError, StoreError, TransformError
from featurestore.core.fates import Fates
from featurestore.preparation import ProjectTables, Quarantine, prepare, sql_table, table
from featurestore.sources import CsvSource
from tests.preparation.sales import (
    AT,
    BuyerDay,
    RawSale,
    Sale,
    buyer_days,
    clean,
    prepared,
    project,
    published,
    raw_sales,
    report,
    sales,
)

ONE = f"1,ann,1,{AT}\n"


class Line(Sale):
    line: int


class OncePerBuyer(Sale):
    buyer: str = pa.Field(unique=True)


class Blob(Sale):
    blob: bytes


@table(contract=Line, key=["at", "line"], timestamp_field="at", max_quarantined=1.0)
def lines(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales numbered within their time and file."""
    return clean(raw_sales).pipe(cleaning.row_number, "line", within=["at"])


def test_a_table_that_was_removed_and_made_again_is_another_input(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    prepared(config, sales, buyer_days)
    shutil.rmtree(tmp_path / "data/offline/sales")
    project(tmp_path, day1=f"1,ann,999,{AT}\n")
    prepared(config, sales, buyer_days)
    assert [row["spend"] for row in published(config, "buyer_days")] == [999.0]


def test_numbered_rows_are_the_same_file_by_file_and_all_together(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    report(config, lines)
    project(tmp_path, day2=ONE + ONE + f"2,ann,5,{AT}\n")
    assert report(config, lines).fates == Fates(3, 1, 0, 2, 0)
    apart = published(config, "lines")
    assert report(config, lines, full_refresh=True).fates == Fates(4, 2, 0, 2, 0)
    assert published(config, "lines") == apart
    assert [(row["id"], row["line"]) for row in apart] == [(1, 1), (2, 2)]


def test_new_files_under_changed_code_are_taken_and_the_older_rows_are_told(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    report(config)
    project(tmp_path, day2=f"2,bob,1,{AT}\n")
    recoded = replace(sales, code_hash="other")
    for message in ("1 new file; its code has changed since", "nothing new; its code has changed since"):
        assert report(config, recoded).message.startswith(message)
    assert "prepare sales --full-refresh" in report(config, recoded).message
    assert report(config, recoded, full_refresh=True).message == "2 new files"


def test_the_code_of_a_table_is_all_that_its_rows_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "STEP = {}\nSEEN = {{'x', 'y', 'z'}}\ndef deep(n):\n    return n + STEP\ndef shallow(raw_sales):\n    return deep({}) in SEEN\n"

    def hashed(step: int, given: int, source: CsvSource = raw_sales, contract: type = Sale) -> str:
        path = tmp_path / "steps.py"
        path.write_text(text.format(step, given) + "\n" * (step + given))  # another size, so that no cache is asked
        module = ModuleType("steps")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "steps", module)
        exec(compile(path.read_text(), str(path), "exec"), vars(module))
        made = table(contract=contract, key=["id"], timestamp_field="at")(module.shallow)
        return ProjectTables((made,), (source,)).code_hash(made)

    class Dearer(Sale):
        amount: float = pa.Field(gt=10)

    class Narrow(RawSale):
        buyer: str = pa.Field(isin=["ann", "bob"])

    before = hashed(1, 1)
    assert hashed(1, 1) == before
    others = [
        hashed(2, 1),
        hashed(1, 2),
        hashed(1, 1, contract=Dearer),
        hashed(1, 1, replace(raw_sales, path="data/raw/**/*.csv")),
        hashed(1, 1, replace(raw_sales, contract=Narrow)),
    ]
    assert len({before, *others}) == 6


def test_a_changed_key_or_origin_needs_a_full_refresh(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    prepared(config, sales, buyer_days)
    project(tmp_path, day2=f"2,bob,1,{AT}\n")
    rekeyed = replace(sales, key=("id", "at"))
    with pytest.raises(DefinitionError, match=r"made with the key id, now id, at; run `featurestore prepare sales --full-refresh`"):
        report(config, rekeyed)
    assert report(config, rekeyed, full_refresh=True).fates.accepted == 2
    raw_days = replace(sales, name="buyer_days")
    with pytest.raises(DefinitionError, match=r"buyer_days was made of tables, and its function now reads files.*--full-refresh"):
        report(config, raw_days)


def test_unique_is_refused_where_files_are_judged_one_by_one() -> None:
    made = table(contract=OncePerBuyer, key=["id"], timestamp_field="at")(lambda raw_sales: clean(raw_sales))
    with pytest.raises(DefinitionError, match="contract OncePerBuyer declares buyer unique"):
        ProjectTables((made,), (raw_sales,))


def test_a_full_refresh_tells_which_files_are_gone(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE, day2=f"2,bob,1,{AT}\n")
    report(config)
    (tmp_path / "data/raw/day1.csv").unlink()
    done = report(config, full_refresh=True)
    assert done.message == "1 new file; 1 file of earlier runs is gone, and the table without their rows: data/raw/day1.csv"


def test_a_file_of_dropped_rows_alone_is_taken_once_the_table_has_rows(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    report(config)
    project(tmp_path, day2=f"2,test,1,{AT}\n")
    assert report(config).fates == Fates(1, 0, 0, 0, 1)
    project(tmp_path, day3=f"3,ann,-1,{AT}\n")
    with pytest.raises(TransformError, match="accepted none"):
        report(config)


@pytest.mark.parametrize("bad", [29, 30])
def test_the_limit_is_the_decimal_that_was_written(tmp_path: Path, bad: int) -> None:
    config = project(tmp_path, day1="".join(f"{n},a,{-1 if n < bad else 1},{AT}\n" for n in range(100)))
    strict = replace(sales, max_quarantined=0.29)
    if bad == 29:
        assert report(config, strict).fates.quarantined == 29
    else:
        with pytest.raises(Exception, match="30 of 100"):
            report(config, strict)


def test_what_a_function_prints_or_how_it_exits_does_not_reach_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = project(tmp_path, day1=ONE)

    def loud(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
        print("hello")
        return clean(raw_sales)

    report(config, table(contract=Sale, key=["id"], timestamp_field="at")(loud))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\n")
    leaving = table(contract=Sale, key=["id"], timestamp_field="at")(lambda raw_sales: sys.exit(0))
    with pytest.raises(TransformError, match="raised SystemExit"):
        prepare(config, [replace(leaving, name="leaving")], [raw_sales])


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ('buyer, "at" as day_end, amount as spend, "at" - "at" as sales', "sales is .*interval"),
        ('buyer, "at" as day_end, amount as spend, union_value(a := 1) as sales', "union"),
        ('buyer, buyer, "at" as day_end, amount as spend, 1::bigint as sales', "more than one column called buyer"),
        ('buyer, "at" as day_end, amount as spend, id::hugeint as sales', r"write cast\(... as bigint\) in the query"),
    ],
)
def test_results_that_no_table_can_hold_are_told(tmp_path: Path, select: str, message: str) -> None:
    config = project(tmp_path, day1=ONE)
    made = sql_table(contract=BuyerDay, key=["buyer"], timestamp_field="day_end")(lambda sales: f"select {select} from sales")
    with pytest.raises(TransformError, match=message):
        report(config, sales, made)


def test_refused_rows_with_bytes_are_shown_in_hexadecimal(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE + f"2,,1,{AT}\n")

    def blobs(sales: pl.LazyFrame) -> pl.LazyFrame:
        return pl.concat([sales.with_columns(id=pl.lit(1, pl.Int64), blob=pl.lit(b"\xff\x00"))])

    made: Any = table(contract=Blob, key=["blob"], timestamp_field="at", max_quarantined=1.0)(blobs)
    assert report(config, sales, made).fates == Fates(2, 1, 1, 0, 0)
    (row,) = Quarantine(config).show("blobs")
    assert (row["reasons"][0]["value"], row["raw"]["blob"]) == ("ff00", "ff00")


def test_damaged_rows_of_a_table_are_told_as_damage(tmp_path: Path) -> None:
    config = project(tmp_path, day1="".join(f"{n},ann,{n + 1},{AT}\n" for n in range(2000)))
    report(config)
    (path,) = (tmp_path / "data/offline/sales").glob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(200) + content[204:])
    project(tmp_path, day2=f"1,ann,2,{AT}\n9000,ann,2,{AT}\n")
    with pytest.raises(CorruptDataError, match="is damaged: its bytes do not fit"):
        report(config)


def test_raw_files_that_cannot_be_named_or_found_are_told(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    raw = tmp_path / "data/raw"
    (raw / "day2.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"day2\.csv is a link to nothing"):
        report(config)
    (raw / "day2.csv").unlink()
    Path(os.fsdecode(os.fsencode(raw) + b"/\xff.csv")).write_text("x")
    with pytest.raises(SourceError, match=r"\\xff.csv is not UTF-8; rename"):
        report(config)
    shutil.rmtree(raw)
    raw.write_text("x")
    with pytest.raises(SourceError, match="raw is no folder"):
        report(config)


def test_a_folder_that_looks_quoted_is_refused(tmp_path: Path) -> None:
    config = project(tmp_path / "a%41", day1=ONE)
    with pytest.raises(StoreError, match="%41 in a folder's name; rename that folder"):
        report(config)
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_unreadable_ledger_is_told(tmp_path: Path) -> None:
    config = project(tmp_path, day1=ONE)
    config.ledger.write_text("x")
    with pytest.raises(StoreError, match=r"cannot read .*ledger"):
        Quarantine(config).list()


def test_a_list_cannot_be_a_key() -> None:
    class Many(Sale):
        many: list[str]

    with pytest.raises(DefinitionError, match="key column many is a list"):
        table(contract=Many, key=["many"], timestamp_field="at")(lambda sales: sales)

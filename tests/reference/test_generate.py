"""The generator of raw files, counted with the csv module alone."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from featurestore.core.errors import InvalidInputError, StoreError
from featurestore.reference import generate_raw
from featurestore.reference.generate import COLUMNS, trading_days

ROWS = 50_000
REAL = 541_909


def read(folder: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows.extend(csv.DictReader(file))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "raw"
    generate_raw(path, ROWS, seed=11)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    return read(folder)


def test_every_trading_day_is_a_file_with_the_header_and_a_final_newline(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{day:%Y-%m-%d}.csv" for day in trading_days()]
    assert len(names) == 305
    for path in folder.iterdir():
        text = path.read_bytes()
        assert text.startswith(",".join(COLUMNS).encode() + b"\n")
        assert text.endswith(b"\n")


def test_a_row_stands_in_the_file_of_its_day(folder: Path) -> None:
    for path in sorted(folder.iterdir())[::30]:
        with path.open(newline="", encoding="utf-8") as file:
            moments = [datetime.fromisoformat(row["InvoiceDate"]) for row in csv.DictReader(file)]
        assert {f"{moment:%Y-%m-%d}.csv" for moment in moments} == {path.name}
        assert all(6 <= moment.hour <= 21 for moment in moments)
        assert moments == sorted(moments)


@pytest.mark.parametrize("count", [1, 2, 17, 999, 1_000, 3_333])
def test_there_are_exactly_as_many_rows_as_asked_for(tmp_path: Path, count: int) -> None:
    files = generate_raw(tmp_path / "raw", count, seed=3)
    assert len(read(tmp_path / "raw")) == count
    assert files == len(list((tmp_path / "raw").iterdir()))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        generate_raw(tmp_path / name, 5_000, seed)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    assert written("a", 5) == written("b", 5)
    assert written("c", 6) != written("d", 5)


def share_of(count: int, real: int) -> float:
    """How often something occurs beside how often it does in the real files; 1.0 is as often."""
    return (count / ROWS) / (real / REAL)


def test_each_kind_of_dirt_is_about_as_frequent_as_in_the_real_files(rows: list[dict[str, str]]) -> None:
    counted = {
        "duplicates": (sum(n - 1 for n in Counter(tuple(row.values()) for row in rows).values()), 5_268),
        "no customer": (sum(row["CustomerID"] == "" for row in rows), 135_080),
        "no description": (sum(row["Description"] == "" for row in rows), 1_454),
        "cancellations": (sum(row["InvoiceNo"].startswith("C") for row in rows), 9_288),
        "not above zero pieces": (sum(int(row["Quantity"]) <= 0 for row in rows), 10_624),
        "not above zero price": (sum(float(row["UnitPrice"]) <= 0 for row in rows), 2_517),
        "lower case": (sum(row["StockCode"] != row["StockCode"].upper() for row in rows), 1_977),
        "padded": (sum(row["Description"] != row["Description"].strip() for row in rows), 113_452),
    }
    shares = {kind: share_of(count, real) for kind, (count, real) in counted.items()}
    assert all(0.7 < share < 1.3 for share in shares.values()), shares


def test_the_rare_kinds_of_dirt_occur(rows: list[dict[str, str]]) -> None:
    bad_debts = [row for row in rows if row["InvoiceNo"].startswith("A")]
    assert bad_debts
    assert all(row["UnitPrice"] == "-11062.06" for row in bad_debts)
    assert sorted(int(row["Quantity"]) for row in rows if abs(int(row["Quantity"])) == 80_995) == [-80_995, 80_995]
    known = [row["CustomerID"] for row in rows if row["CustomerID"]]
    assert all(customer.endswith(".0") and customer[:-2].isdigit() for customer in known)
    assert any('"' in row["Description"] for row in rows)
    assert any("," in row["Description"] for row in rows)

    texts, countries = defaultdict(set), defaultdict(set)
    for row in rows:
        if row["Description"]:
            texts[row["StockCode"].upper()].add(row["Description"].strip())
        if row["CustomerID"]:
            countries[row["CustomerID"]].add(row["Country"])
    several = sum(len(names) > 1 for names in texts.values())
    assert 0.08 < several / len(texts) < 0.3  # 650 of 3,956 in the real files
    assert any(len(places) > 1 for places in countries.values())


def test_customers_come_back(rows: list[dict[str, str]]) -> None:
    days = defaultdict(set)
    for row in rows:
        if row["CustomerID"]:
            days[row["CustomerID"]].add(row["InvoiceDate"][:10])
    assert 200 < len(days) < 600  # 4,372 among 541,909 rows
    assert sum(len(d) > 1 for d in days.values()) > len(days) / 2


def test_no_rows_and_a_folder_with_csv_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="at least 1"):
        generate_raw(tmp_path / "raw", 0, seed=1)
    (tmp_path / "old.csv").write_text("x\n")
    with pytest.raises(InvalidInputError, match="already holds CSV files"):
        generate_raw(tmp_path, 10, seed=1)


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write into"):
        generate_raw(tmp_path / "file" / "raw", 10, seed=1)

"""Counting the dirt in raw files, against the csv module and against what is known of the real ones."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from featurestore.core.errors import SourceError
from featurestore.reference import generate_raw
from featurestore.reference.dirt import count_dirt
from tests.reference.conftest import REAL

REAL_COUNTS = {
    "exact duplicate rows": 5_268,
    "no CustomerID": 135_080,
    "CustomerID written as a float": 541_909 - 135_080,
    "no Description": 1_454,
    "cancellations (InvoiceNo C...)": 9_288,
    "bad-debt adjustments (InvoiceNo A...)": 3,
    "Quantity not above 0": 10_624,
    "UnitPrice not above 0": 2_517,
    "Quantity beyond 10,000 either way": 5,
    "lower-case stock codes": 1_977,
    "padded descriptions": 113_452,
    "stock codes with several descriptions": 650,
    "customers in several countries": 8,
}
"""As the description of the files has them; of the five extreme quantities it names the two largest."""


def test_counts_are_those_of_a_slow_count_of_the_same_files(tmp_path: Path) -> None:
    generate_raw(tmp_path, 8_000, seed=2)
    rows: list[dict[str, str]] = []
    for path in tmp_path.iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            rows.extend(csv.DictReader(file))
    texts, countries = defaultdict(set), defaultdict(set)
    for row in rows:
        if row["Description"]:
            texts[row["StockCode"]].add(row["Description"])
        if row["CustomerID"]:
            countries[row["CustomerID"]].add(row["Country"])
    assert {dirt.kind: dirt.rows for dirt in count_dirt(tmp_path)} == {
        "exact duplicate rows": sum(n - 1 for n in Counter(tuple(row.values()) for row in rows).values()),
        "no CustomerID": sum(row["CustomerID"] == "" for row in rows),
        "CustomerID written as a float": sum(row["CustomerID"].endswith(".0") for row in rows),
        "no Description": sum(row["Description"] == "" for row in rows),
        "cancellations (InvoiceNo C...)": sum(row["InvoiceNo"][0] == "C" for row in rows),
        "bad-debt adjustments (InvoiceNo A...)": sum(row["InvoiceNo"][0] == "A" for row in rows),
        "Quantity not above 0": sum(int(row["Quantity"]) <= 0 for row in rows),
        "UnitPrice not above 0": sum(float(row["UnitPrice"]) <= 0 for row in rows),
        "Quantity beyond 10,000 either way": sum(abs(int(row["Quantity"])) > 10_000 for row in rows),
        "lower-case stock codes": sum(row["StockCode"] != row["StockCode"].upper() for row in rows),
        "padded descriptions": sum(row["Description"] != row["Description"].strip() for row in rows),
        "stock codes with several descriptions": sum(len(names) > 1 for names in texts.values()),
        "customers in several countries": sum(len(places) > 1 for places in countries.values()),
    }


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real files are not at {REAL}")
def test_the_real_files_show_the_dirt_they_are_known_for() -> None:
    assert {dirt.kind: dirt.rows for dirt in count_dirt(REAL)} == REAL_COUNTS


def test_a_folder_without_the_shops_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot count the rows"):
        count_dirt(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="cannot count the rows"):
        count_dirt(tmp_path)

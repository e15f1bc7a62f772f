"""What can be asked of the quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.core.errors import CorruptDataError, InvalidInputError, UnknownNameError
from featurestore.preparation import Quarantine
from tests.preparation.sales import AT, buyer_days, prepared, project, sales


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    """Two runs: three rows refused by two rules in the first, one in the second."""
    config = project(tmp_path, day1=f"1,ann,2,{AT}\n2,bob,-3,{AT}\n3,bob,-4,{AT}\nx,bob,-5,{AT}\n")
    prepared(config, sales, buyer_days)
    project(tmp_path, day2=f"4,ann,2,{AT}\n4,ann,3,{AT}\n")
    prepared(config, sales, buyer_days)
    return Quarantine(config)


def test_list_counts_rows_by_run_rule_and_column(quarantine: Quarantine) -> None:
    listed = quarantine.list()
    assert [(row["table"], row["rule"], row["column"], row["rows"]) for row in listed] == [
        ("sales", "greater_than", "amount", 3),
        ("sales", "integer", "id", 1),
        ("sales", "duplicate_key", "id", 1),
    ]
    assert listed[0]["run_id"] == listed[1]["run_id"] != listed[2]["run_id"]


def test_show_filters_by_rule_and_stops_at_the_limit(quarantine: Quarantine) -> None:
    assert [row["line"] for row in quarantine.show("sales")] == [3, 4, 5, 3]
    assert [row["line"] for row in quarantine.show("sales", rule="greater_than")] == [3, 4, 5]
    assert [row["line"] for row in quarantine.show("sales", limit=1)] == [3]
    assert quarantine.show("sales", limit=0) == []
    assert quarantine.show("buyer_days") == []
    assert [reason["rule"] for reason in quarantine.show("sales", rule="integer")[0]["reasons"]] == ["integer", "greater_than"]


def test_wrong_questions_are_answered_with_the_remedy(quarantine: Quarantine) -> None:
    with pytest.raises(UnknownNameError, match="'sale'; did you mean sales"):
        quarantine.show("sale")
    with pytest.raises(UnknownNameError, match="'integr'; did you mean integer"):
        quarantine.show("sales", rule="integr")
    with pytest.raises(InvalidInputError, match="limit is -1"):
        quarantine.show("sales", limit=-1)


@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, quarantine: Quarantine, fault: str) -> None:
    path = tmp_path / "data" / "quarantine" / "sales" / "00000001.parquet"
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptDataError, match=r"00000001.parquet is missing or damaged; restore it, or run .*full-refresh"):
        quarantine.show("sales")

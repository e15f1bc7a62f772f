"""Every raw row has one fate: the counts, the table and the quarantine against plain Python over the same files."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.errors import TransformError
from featurestore.core.fates import Fates
from featurestore.preparation import Quarantine
from tests.preparation.sales import AT, HEADER, project, published, report

# What meets in a key is drawn more often than what is refused anyway.
IDS = ["1", "2", "1", "2", "3", "x", ""]
BUYERS = ["ann", "", "ann", "", "bob", "test"]
AMOUNTS = ["1", "2.5", "1", "1", "-1", "zz", ""]
TIMES = [AT, AT, AT, AT, "2026-01-01 11:00:00", "soon"]

Row = tuple[str, str, str, str]
ROWS = st.lists(st.tuples(*map(st.sampled_from, (IDS, BUYERS, AMOUNTS, TIMES))), max_size=6)
RUNS = st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=3)


@dataclass
class Oracle:
    """What should be there after each run, kept by a loop over rows."""

    table: dict[int, tuple[str | None, float, datetime]] = field(default_factory=dict)
    refused: set[tuple[str, int, frozenset[tuple[str, str]]]] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)

    def run(self, files: dict[str, str]) -> Fates | None:
        """Take these files (path -> content); None, and nothing changed, where the run should fail."""
        rows_in = copied = repeated = dropped = 0
        refused: set[tuple[str, int, frozenset[tuple[str, str]]]] = set()
        table = dict(self.table)
        contents = set(self.contents)
        for path, content in sorted(files.items()):
            rows = list(csv.reader(io.StringIO(content)))[1:]
            rows_in += len(rows)
            if content in contents:
                copied += len(rows)
                continue
            contents.add(content)
            seen: set[tuple[str, ...]] = set()
            for line, row in enumerate(rows, start=2):
                if tuple(row) in seen:
                    repeated += 1
                    continue
                seen.add(tuple(row))
                identity, buyer, amount, at = row
                faults = set()
                if identity == "":
                    faults.add(("not_null", "id"))
                elif not identity.isdigit():
                    faults.add(("integer", "id"))
                if amount == "":
                    faults.add(("not_null", "amount"))
                elif amount == "zz":
                    faults.add(("float", "amount"))
                elif float(amount) <= 0:
                    faults.add(("greater_than", "amount"))
                if at == "soon":
                    faults.add(("timestamp", "at"))
                if buyer == "test":
                    dropped += 1
                    continue
                if not faults:
                    value = (buyer or None, float(amount), datetime.fromisoformat(at).replace(tzinfo=UTC))
                    if table.setdefault(int(identity), value) is value:
                        continue
                    if table[int(identity)] == value:
                        repeated += 1
                        continue
                    faults.add(("duplicate_key", "id"))
                refused.add((path, line, frozenset(faults)))
        accepted = len(table) - len(self.table)
        fates = Fates(rows_in, accepted, len(refused), copied + repeated, dropped)
        judged = rows_in - copied
        if judged and accepted == 0 and (not table or len(refused) == judged):
            return None
        self.table = table
        self.refused |= refused
        self.contents = contents
        return fates


@settings(max_examples=25, deadline=None)
@given(RUNS)
def test_counts_table_and_quarantine_are_those_of_a_loop_over_rows(runs: list[list[list[Row]]]) -> None:
    with TemporaryDirectory() as name:
        config = project(Path(name))
        oracle = Oracle()
        waiting: dict[str, str] = {}
        for number, files in enumerate(runs):
            for letter, rows in zip("abc", files, strict=False):
                content = HEADER + "".join(",".join(row) + "\n" for row in rows)
                waiting[f"data/raw/{number}{letter}.csv"] = content
                (config.root / f"data/raw/{number}{letter}.csv").write_text(content)
            want = oracle.run(waiting)
            if want is None:
                with pytest.raises(TransformError, match="accepted none"):
                    report(config)
            else:
                done = report(config)
                assert done.fates == want
                assert not done.skipped
                waiting = {}
            rows_now = {row["id"]: (row["buyer"], row["amount"], row["at"]) for row in published(config)}
            assert rows_now == oracle.table
            if rows_now:
                shown = Quarantine(config).show("sales")
                assert {
                    (row["file"], row["line"], frozenset((reason["rule"], reason["column"]) for reason in row["reasons"]))
                    for row in shown
                } == oracle.refused
                assert len(shown) == len(oracle.refused)


@settings(max_examples=10, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_files_prepared_one_by_one_make_the_table_that_they_make_together(files: list[list[Row]]) -> None:
    filler = [(str(100 + number), "ann", "1", AT) for number in range(len(files))]  # so that no run accepts nothing
    texts = {f"day{number}": "".join(",".join(row) + "\n" for row in (*rows, filler[number])) for number, rows in enumerate(files)}
    with TemporaryDirectory() as together, TemporaryDirectory() as apart:
        whole = project(Path(together), **texts)
        report(whole)
        for name, text in texts.items():
            pieces = project(Path(apart), **{name: text})
            report(pieces)
        assert published(pieces) == published(whole)


def test_refused_rows_are_shown_with_file_line_value_and_the_raw_record(tmp_path: Path) -> None:
    config = project(tmp_path, day1=f'1,ann,2,{AT}\n2,"bob\nbold",-3,{AT}\n', day2=f"3,,x,{AT}\n")
    done = report(config)
    assert done.reasons == {"greater_than/amount": 1, "float/amount": 1}
    first, second = Quarantine(config).show("sales")
    assert first["raw"] == {"id": "2", "buyer": "bob\nbold", "amount": "-3", "at": AT}
    assert (first["file"], first["line"], first["row"]) == ("data/raw/day1.csv", 3, 1)
    assert first["reasons"] == [{"rule": "greater_than", "column": "amount", "value": "-3.0"}]
    assert second["reasons"] == [{"rule": "float", "column": "amount", "value": "x"}]
    assert second["raw"]["buyer"] is None
    assert math.isclose(sum(row["amount"] for row in published(config)), 2.0)  # type: ignore[misc]

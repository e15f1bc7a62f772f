"""The commit protocol: whatever kills a run and wherever, the old state stands, and a rerun makes what one clean run makes."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from featurestore.core.config import ProjectConfig
from featurestore.core.errors import BusyError, CorruptDataError, NotMaterializedError
from featurestore.files import exclusive
from featurestore.offline import delta
from featurestore.preparation import ProjectTables, Quarantine
from featurestore.preparation.ledger import Ledger
from tests.preparation.children import start
from tests.preparation.sales import AT, buyer_days, prepared, project, published, raw_sales, report, sales

POINTS = ["prepare.quarantine_written", "prepare.ledger_written", "prepare.before_commit", "prepare.committed"]
DAY1 = f"1,ann,2,{AT}\n2,bob,-3,{AT}\n3,test,1,{AT}\n"
DAY2 = f"4,cid,5,{AT}\n4,cid,6,{AT}\n4,cid,6,{AT}\n" + "".join(f"{number},dan,{number}.125,{AT}\n" for number in range(10, 3000))


def state(config: ProjectConfig) -> dict[str, Any]:
    """All that a reader can learn: rows, refused rows and counts, but for run ids and versions."""
    quarantine = Quarantine(config)
    found: dict[str, Any] = {}
    for name in ("sales", "buyer_days"):
        number = delta.committed(config.root / "data/offline" / name)
        entries = Ledger(config.ledger).current(name, number)
        found[name] = {
            "rows": published(config, name),
            "refused": [{k: v for k, v in row.items() if k != "run_id"} for row in quarantine.show(name)] if number else [],
            "runs": [(entry.mode, entry.files, entry.fates, entry.reasons, entry.dropped_by_rule) for entry in entries],
        }
    return found


def begun(root: Path) -> ProjectConfig:
    """A project with one day prepared and a second one waiting."""
    config = project(root, day1=DAY1)
    prepared(config, sales, buyer_days)
    return project(root, day2=DAY2)


@pytest.fixture(scope="module")
def clean_states(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The states before and after the second day's run, when nothing happens to it."""
    config = begun(tmp_path_factory.mktemp("clean"))
    before = state(config)
    prepared(config, sales, buyer_days)
    return before, state(config)


def test_a_run_killed_at_any_point_leaves_a_whole_state_and_a_rerun_completes(
    tmp_path: Path, clean_states: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, after = clean_states
    # A point is first met in the table of sales; where that is up to date already, in the one over it.
    cases = [("sales", point) for point in POINTS] + [("buyer_days", point) for point in POINTS[1::2]] + [("any", "")]
    runs = []
    for table, point in cases:
        config = begun(tmp_path / f"{table} {point}")
        if table == "buyer_days":
            report(config, sales)
        runs.append((table, point, config, *start(config.root, kill_at=point)))  # all at once: each imports for long
    *_, process, said = runs[-1]
    assert said.recv() == "ready"
    said.poll(random.uniform(0, 0.2))
    process.kill()
    for table, point, config, process, said in runs:
        process.join(60)
        said.close()
        found = state(config)
        if point:
            assert process.exitcode == -signal.SIGKILL
            is_after = {"sales": table == "buyer_days" or point == "prepare.committed", "buyer_days": False}
            is_after[table] = point == "prepare.committed"
            assert found == {name: (after if new else before)[name] for name, new in is_after.items()}, (table, point)
        else:
            assert all(found[name] in (before[name], after[name]) for name in found)
        prepared(config, sales, buyer_days)
        assert state(config) == after, (table, point)


def test_a_first_run_that_was_killed_leaves_no_table(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    process, connection = start(tmp_path, kill_at="prepare.before_commit")
    process.join(60)
    connection.close()
    assert process.exitcode == -signal.SIGKILL
    assert delta.opened(tmp_path / "data/offline/sales") is None
    assert Quarantine(config).list() == []
    with pytest.raises(NotMaterializedError, match="featurestore prepare"):
        Quarantine(config).show("sales")
    assert report(config).fates.accepted == 1
    assert len(Quarantine(config).show("sales")) == 1


@pytest.mark.parametrize("limit", [0, 10_000])
def test_a_full_disk_is_told_on_one_line_and_the_old_state_stands(
    tmp_path: Path, limit: int, clean_states: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, after = clean_states
    config = begun(tmp_path)
    process, connection = start(tmp_path, file_limit=limit)
    said = [connection.recv(), connection.recv()]
    process.join(60)
    connection.close()
    assert process.exitcode == 0
    assert "free space" in said[1]
    assert ("quarantine" in said[1]) == (limit == 0)
    assert "\n" not in said[1]
    assert state(config) == before
    prepared(config, sales, buyer_days)
    assert state(config) == after


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    with exclusive(config.data / ".prepare.lock", "prepare run"), pytest.raises(BusyError, match="another prepare run"):
        report(config)
    assert report(config).fates.rows_in == 3


@pytest.mark.parametrize("fault", ["missing", "cut", "changed"])
def test_a_damaged_ledger_is_told_and_a_full_refresh_mends_it(tmp_path: Path, fault: str) -> None:
    config = project(tmp_path, day1=DAY1)
    report(config)
    path = config.ledger / "sales" / "00000001.json"
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_text(path.read_text().replace('"accepted": 1', '"accepted": 2').replace('"rows_in": 3', '"rows_in": 4'))
    with pytest.raises(CorruptDataError, match="featurestore prepare sales --full-refresh"):
        report(config)
    report(config, full_refresh=True)
    assert report(config).skipped


def test_the_ledger_says_what_was_read_and_what_became_of_it(tmp_path: Path) -> None:
    config = project(tmp_path, day1=DAY1)
    done = prepared(config, sales, buyer_days)
    (entry,) = Ledger(config.ledger).current("sales", 1)
    assert (entry.run_id, entry.number, entry.mode, entry.code_hash) == (
        done.run_id,
        1,
        "overwrite",
        ProjectTables((sales,), (raw_sales,)).code_hash(sales),
    )
    assert [(file.path, file.rows) for file in entry.files] == [("data/raw/day1.csv", 3)]
    assert entry.fates == done.tables[0].fates
    (derived,) = Ledger(config.ledger).current("buyer_days", 1)
    assert (list(derived.inputs), derived.files, derived.key) == (["sales"], (), ("buyer", "day_end"))
    assert derived.inputs["sales"].endswith("@0")


def test_the_report_as_json_reconciles(tmp_path: Path) -> None:
    run = prepared(project(tmp_path, day1=DAY1), sales, buyer_days)
    document = json.loads(json.dumps(run.to_json_object()))
    assert document["run_id"] == run.run_id
    for each in document["tables"]:
        assert each["rows_in"] == each["accepted"] + each["quarantined"] + each["deduplicated"] + each["dropped"]
        assert {"table", "seconds", "version"} <= each.keys()
    assert document["tables"][0]["reasons"] == {"greater_than/amount": 1}
    assert document["tables"][0]["dropped_by_rule"] == {"test_buyer": 1}

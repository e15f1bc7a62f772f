"""The demo from end to end: generated raw files to lookups on a real server in a process of its own."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from featurestore.cli.app import app
from featurestore.cli.demo import _text, show
from featurestore.core.errors import InvalidInputError, SourceError, StoreError
from featurestore.reference import copy_project, generate_raw, run_demo
from featurestore.reference.child import serving
from featurestore.reference.demo import Comparison, DemoReport, Stage

STAGES = ["raw files", "apply", "prepare", "count the dirt", "materialize", "training set", "model", "serve", "look up"]


@pytest.fixture(scope="module")
def told() -> list[Stage]:
    return []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, told: list[Stage]) -> DemoReport:
    return run_demo(None, tmp_path_factory.mktemp("demo") / "retail", rows=15_000, finished=told.append)


def test_every_row_is_accounted_for_and_dirt_is_found(report: DemoReport) -> None:
    lines = report.prepare.to_json_object()["tables"][0]
    assert lines["rows_in"] == 15_000
    assert lines["rows_in"] == sum(lines[fate] for fate in ("accepted", "quarantined", "deduplicated", "dropped"))
    assert all(kind.rows > 0 for kind in report.dirt)


def test_online_and_historical_values_are_equal_for_every_feature_and_entity(report: DemoReport) -> None:
    kinds = {tuple(pair.entity): pair.historical.keys() for pair in report.lookups}
    assert {kind: len(features) for kind, features in kinds.items()} == {("customer_id",): 18, ("stock_code",): 11}
    assert all(pair.equal for pair in report.lookups)
    values = [value for pair in report.lookups for value in pair.online.values()]
    assert {type(value) for value in values} == {int, float, str, bool, list, datetime, type(None)}
    unknown = [pair for pair in report.lookups if all(value is None for value in pair.online.values())]
    assert {tuple(pair.entity) for pair in unknown} >= {("customer_id",), ("stock_code",)}  # and they agree on what is not known


def test_the_model_learned_and_scores_the_same_online_and_offline(report: DemoReport) -> None:
    assert report.model is not None
    assert report.model.auc > 0.55
    assert report.score is not None
    assert report.score.online == report.score.historical
    assert report.training_head.height == 5
    assert {"customer_id", "event_timestamp", "bought_again", "spend_total", "top_codes"} <= set(report.training_head.columns)


def test_each_stage_is_told_with_its_time(report: DemoReport, told: list[Stage]) -> None:
    assert [stage.name for stage in told] == STAGES
    assert told == list(report.stages)
    assert all(stage.seconds >= 0 and stage.result for stage in told)


def test_the_report_is_plain_json(report: DemoReport) -> None:
    printed = json.loads(json.dumps(report.to_json_object()))
    assert printed["lookups"][0].keys() == {"entity", "historical", "online", "equal"}
    assert {table["table"] for table in printed["prepare"]["tables"]} == {"order_lines", "customer_days", "product_days"}
    assert {view["view"] for view in printed["materialize"]["views"]} == {"customer_day", "customer_profile", "product_day"}
    assert [stage["stage"] for stage in printed["stages"]] == STAGES
    assert printed["auc"] == pytest.approx(report.model.auc if report.model else None)


def test_given_files_are_read_where_they_are_and_too_few_rows_give_no_model(tmp_path: Path) -> None:
    generate_raw(tmp_path / "raw", 60, seed=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    report = run_demo(tmp_path / "raw", tmp_path / "retail")
    rows = 0
    for path in (tmp_path / "raw").iterdir():
        with path.open(newline="") as file:
            rows += len(list(csv.reader(file))) - 1
    assert report.prepare.tables[0].fates.rows_in == rows == 60
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before
    assert all(pair.equal for pair in report.lookups)
    assert (report.model, report.score) == (None, None)
    assert report.to_json_object()["auc"] is None


def test_a_missing_or_empty_raw_folder_or_a_used_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        run_demo(tmp_path / "nowhere", tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no CSV file"):
        run_demo(tmp_path / "empty", tmp_path / "b")
    with pytest.raises(InvalidInputError, match="not an empty folder"):
        run_demo(None, tmp_path, rows=10)


@pytest.mark.parametrize(
    ("historical", "online", "equal"),
    [
        (1, 1, True),
        (1, 2, False),
        (1, 1.0, False),
        (1, True, False),
        (None, None, True),
        (None, 0, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        (["a", None], ["a", None], True),
        (["a"], ["a", "b"], False),
        (datetime(2011, 1, 1, tzinfo=UTC), datetime(2011, 1, 1, tzinfo=UTC), True),
        (datetime(2011, 1, 1, tzinfo=UTC), datetime(2011, 1, 1, 0, 0, 1, tzinfo=UTC), False),
    ],
)
def test_values_are_equal_when_value_and_type_are(historical: object, online: object, equal: bool) -> None:
    assert Comparison({"id": 1}, {"feature": historical}, {"feature": online}).equal is equal


def test_a_missing_feature_is_a_difference() -> None:
    assert not Comparison({"id": 1}, {"a": None, "b": None}, {"a": None}).equal


def test_a_server_that_cannot_start_is_one_error_with_its_words(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "retail")  # never applied: there is no catalog to serve
    with (
        pytest.raises(StoreError, match=r"the server did not start: .*featurestore apply"),
        serving(root, datetime(2011, 1, 1, tzinfo=UTC)),
    ):
        pass


def test_a_server_is_gone_after_its_block(report: DemoReport) -> None:
    address = next(stage.result for stage in report.stages if stage.name == "serve").removeprefix("on ")
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_a_damaged_raw_file_is_told_as_prepare_tells_it(tmp_path: Path) -> None:
    generate_raw(tmp_path / "raw", 50, seed=1)
    some = next((tmp_path / "raw").iterdir())
    some.write_text(some.read_text().rstrip("\n")[:-3])  # cut in the middle of the last line
    with pytest.raises(SourceError, match=some.name):
        run_demo(tmp_path / "raw", tmp_path / "retail")


def test_a_person_is_shown_counts_reasons_the_training_set_the_model_and_both_values(
    report: DemoReport, capsys: pytest.CaptureFixture[str]
) -> None:
    show(report)
    out, shown = capsys.readouterr()
    assert out == ""
    words = " ".join(shown.split())
    lines = report.prepare.tables[0]
    assert f"order_lines {lines.fates.rows_in:,} {lines.fates.accepted:,} {lines.fates.quarantined:,}" in words
    assert f"quarantined greater_than/unit_price {lines.reasons['greater_than/unit_price']}" in words
    assert f"dropped stock_adjustment {lines.dropped_by_rule['stock_adjustment']}" in words
    assert report.model is not None
    assert f"AUC {report.model.auc:.3f}" in words
    assert f"{len(report.lookups)} of {len(report.lookups)} entities equal" in words
    country = report.lookups[0].historical["customer_profile__country"]
    assert f"{country} {country}" in words
    assert all(stage.name in words for stage in report.stages)


def test_at_80_columns_no_name_is_cut_and_sentences_break_between_words(
    report: DemoReport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(report)
    shown = capsys.readouterr().err
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    firsts = [line.split()[0] for line in lines if line.strip()]
    assert set(report.training_head.columns) <= set(firsts)
    assert {name for pair in (report.lookups[0], report.lookups[-1]) for name in pair.historical} <= set(firsts)
    words = " ".join(shown.split())
    assert "a row can have more than one reason" in words
    assert report.model is not None
    between = report.training_rows - report.model.train_rows - report.model.test_rows
    assert f"{between:,} rows in between are left out: their 30 days were not over at the time of the first rows judged" in words
    assert f"customer_id {report.training_head['customer_id'][0]} " in words  # a name, so without a separator of thousands


def test_quantities_have_separators_whether_whole_or_not() -> None:
    assert [_text(value) for value in (1234, 1234.5, True, None, -1_000_000)] == ["1,234", "1,234.50", "True", "null", "-1,000,000"]


def test_the_command_prints_one_json_object_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = CliRunner().invoke(app, ["demo", "--rows", "200", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["prepare"]["tables"][0]["rows_in"] == 200
    assert "look up" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong_with_its_folder_in_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--raw", "nowhere", "--chdir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr == f"error: there is no folder {tmp_path / 'nowhere'}; name the folder that holds the raw CSV files\n"


def test_the_command_line_knows_the_demo_without_loading_what_it_needs() -> None:
    heavy = "{'feast', 'pandas', 'sklearn', 'pandera', 'duckdb', 'pyarrow'}"
    program = f"import sys, featurestore.cli.demo; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"

"""The commands when nothing is wrong: what they print for machines and for people."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from featurestore.cli.app import app
from featurestore.cli.output import print_json
from featurestore.core.clock import parse_time
from featurestore.reference.child import serving
from tests.shop import FEATURES, HEADER, write_shop


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result


def answer(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_shop(tmp_path_factory.mktemp("commands") / "shop")
    run("apply", "-c", project)
    run("prepare", "-c", project)
    run("materialize", "2026-01-01", "2026-01-03", "-c", project)
    return project


def test_plan_then_apply_then_nothing(tmp_path: Path) -> None:
    project = write_shop(tmp_path / "shop")
    planned = answer("plan", "-c", project)
    assert planned["applied"] is False
    assert {(change["kind"], change["object"], change["name"]) for change in planned["changes"]} >= {
        ("created", "feature view", "buyer_day"),
        ("created", "entity", "buyer"),
        ("created", "feature service", "scoring_v1"),
        ("created", "table", "sales"),
    }
    assert not (project / "data" / "registry.db").exists()
    assert answer("apply", "-c", project)["changes"] == planned["changes"]
    assert answer("plan", "-c", project)["changes"] == []
    (project / "features.py").write_text(FEATURES.replace("days=30", "days=31"))
    (change,) = answer("plan", "-c", project)["changes"]
    assert (change["kind"], change["name"]) == ("changed", "buyer_day")
    assert [field["name"] for field in change["fields"]] == ["ttl"]
    assert "31 days" in run("plan", "-c", project).stderr


def test_prepare_reports_the_designs_object_and_then_nothing_new(tmp_path: Path) -> None:
    project = write_shop(tmp_path / "shop")
    first = answer("prepare", "-c", project)
    sales, days = first["tables"]
    assert {"table", "rows_in", "accepted", "quarantined", "deduplicated", "dropped", "seconds", "version"} <= sales.keys()
    assert (sales["rows_in"], sales["accepted"], sales["quarantined"], sales["deduplicated"], sales["dropped"]) == (9, 7, 1, 1, 0)
    assert (days["rows_in"], days["accepted"]) == (5, 5)
    again = answer("prepare", "-c", project)
    assert [table["rows_in"] for table in again["tables"]] == [0, 0]
    assert "nothing new" in run("prepare", "-c", project).stderr
    (project / "data" / "raw" / "2026-01-03.csv").write_text(HEADER + "9,ann,1,2026-01-03 10:00:00\n")
    assert answer("prepare", "-c", project)["tables"][0]["rows_in"] == 1


def test_materialize_reports_the_designs_object(shop: Path) -> None:
    report = answer("materialize-incremental", "2026-01-03", "-c", shop)
    assert set(report) == {"views"}
    (view,) = report["views"]
    assert set(view) >= {"view", "rows_read", "keys_written", "seconds"}


def test_quarantine_tells_file_line_rule_column_and_value(shop: Path) -> None:
    (count,) = answer("quarantine", "list", "-c", shop)["quarantine"]
    assert (count["table"], count["rule"], count["column"], count["rows"]) == ("sales", "greater_than", "amount", 1)
    (row,) = answer("quarantine", "show", "sales", "-c", shop)["rows"]
    assert (row["file"], row["line"]) == ("data/raw/2026-01-02.csv", 5)
    assert row["reasons"] == [{"rule": "greater_than", "column": "amount", "value": "-1.0"}]
    assert row["raw"]["amount"] == "-1"
    shown = run("quarantine", "show", "sales", "--rule", "greater_than", "-c", shop).stderr
    assert "2026-01-02.csv" in shown


def test_a_historical_set_from_json_and_from_a_file(shop: Path, tmp_path: Path) -> None:
    rows = '[{"buyer": "ann", "event_timestamp": "2026-01-02"}, {"buyer": "zed", "event_timestamp": "2026-01-02"}]'
    got = answer("get-historical-features", "-d", rows, "-s", "scoring_v1", "-c", shop)["rows"]
    assert [(row["buyer"], row["spend"], row["sales"]) for row in got] == [("ann", 3.5, 2), ("zed", None, None)]
    entities, out = tmp_path / "entities.csv", tmp_path / "set.parquet"
    entities.write_text("buyer,event_timestamp\nann,2026-01-02\n")
    run("get-historical-features", "-d", entities, "-f", "buyer_day:spend", "-o", out, "-c", shop)
    assert pl.read_parquet(out)["spend"].to_list() == [3.5]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678901+00:00"),
        ("2026-01-02 03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ("2026-01-02 03:04", "2026-01-02T03:04:00+00:00"),
    ],
)
def test_the_times_of_entity_rows_as_people_write_them(text: str, moment: str, shop: Path, tmp_path: Path) -> None:
    entities, out = tmp_path / "entities.csv", tmp_path / "set.parquet"
    entities.write_text(f"buyer,event_timestamp\n007,{text}\nann,\n")
    run("get-historical-features", "-d", entities, "-f", "buyer_day:spend", "-o", out, "-c", shop)
    written = pl.read_parquet(out)
    assert written["buyer"].to_list() == ["007", "ann"]
    assert [time and time.isoformat() for time in written["event_timestamp"].to_list()] == [moment, None]


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"rows": [{"a": float("nan"), "b": [float("inf"), -float("inf"), 1.5]}]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "rows": [{"a": "NaN", "b": ["Infinity", "-Infinity", 1.5]}]
    }


def test_an_online_lookup_by_a_server(shop: Path) -> None:
    with serving(shop, parse_time("2026-01-03")) as address:
        got = answer(
            "get-online-features", "-s", "scoring_v1", "-e", "buyer=ann", "-e", "buyer=zed", "--address", address, "-c", shop
        )
        shown = run("get-online-features", "-f", "buyer_day:spend", "-e", "buyer=zed", "--address", address, "-c", shop).stderr
    assert got["values"] == {"buyer": ["ann", "zed"], "spend": [8.0, None], "sales": [1, None]}
    assert got["statuses"]["spend"] == ["PRESENT", "NOT_FOUND"]
    assert "NOT_FOUND" in shown


def test_values_that_look_like_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    project = write_shop(tmp_path / "[bold]shop")
    (project / "data" / "raw" / "[red]a.csv").write_text(HEADER + "[/b],ann,1,2026-01-03 10:00:00\n")
    run("prepare", "-c", project)
    shown = run("quarantine", "show", "sales", "-c", project).stderr
    assert "[/b]" in shown
    assert "[red]a.csv" in shown


def test_a_view_without_entities_is_asked_for_without_keys(tmp_path: Path) -> None:
    whole = """
whole_day = FeatureView(
    name="whole_day", entities=[], source=buyer_days.source, schema=[Field(name="sales", dtype=Int64)], online=True
)
"""
    imports = "import polars as pl\nfrom feast import Field\nfrom feast.types import Int64\n"
    project = write_shop(tmp_path / "shop", features=FEATURES.replace("import polars as pl\n", imports) + whole)
    run("apply", "-c", project)
    run("prepare", "-c", project)
    run("materialize", "2026-01-01", "2026-01-03", "-v", "whole_day", "-c", project)
    with serving(project, parse_time("2026-01-03")) as address:
        got = answer("get-online-features", "-f", "whole_day:sales", "--address", address, "-c", project)
    assert got["statuses"] == {"sales": ["PRESENT"]}


SERVED_MODULES = """
import sys, threading
import featurestore.cli.app
import featurestore.serving.server as server
from featurestore.registry import load_config
from featurestore.core.clock import system_clock
import grpc

sys.argv = ["featurestore", "serve", "-c", sys.argv[1], "--port", "0"]
real = server.Server.start
def start(self):
    address = real(self)
    threading.Thread(target=ask, args=(address,)).start()
    return address
def ask(address):
    import os, signal
    from featurestore.client import Client
    with Client(address) as client:
        client.get_online_features("scoring_v1", {"buyer": ["ann"]})
    heavy = {"feast", "pandas", "polars", "pandera", "pyarrow", "duckdb", "sklearn"} & sys.modules.keys()
    print("heavy", sorted(heavy), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
server.Server.start = start
featurestore.cli.app.main()
"""


def test_a_server_from_the_command_line_has_loaded_nothing_heavy(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVED_MODULES, str(shop)], capture_output=True, text=True, check=False, timeout=60
    )
    assert "heavy []" in done.stdout, (done.stdout, done.stderr)
    assert done.returncode == 0


def test_wrong_usage_is_exit_status_2() -> None:
    assert CliRunner().invoke(app, ["materialize"]).exit_code == 2
    assert CliRunner().invoke(app, ["srve"]).exit_code == 2


@pytest.mark.slow
def test_a_wheel_installed_alone_runs_the_demo(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, root], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "featurestore/reference/schemas/retail.py" in zipfile.ZipFile(wheel).namelist()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = str(root / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel], check=True, cwd=tmp_path)
    done = subprocess.run(
        [python.with_name("featurestore"), "demo", "--rows", "20000", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lookups = json.loads(done.stdout)["lookups"]
    assert lookups
    assert all(lookup["equal"] for lookup in lookups)

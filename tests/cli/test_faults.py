"""Every named fault, met through the command as a user meets it: one line, exit status 1, and the stores as they were."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from featurestore.cli.app import app
from tests.shop import CONTRACTS, DAY_TWO, FEATURES, HEADER, stored, write_shop


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def one_line(result: Result) -> str:
    """The single line of a failed command."""
    assert result.exit_code == 1, (result.exit_code, result.stderr)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "; " in lines[0], "the line names no remedy"
    return lines[0]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that was applied, prepared and materialized."""
    project = write_shop(tmp_path_factory.mktemp("ready") / "shop")
    succeed("apply", "-c", project)
    succeed("prepare", "-c", project)
    succeed("materialize", "2026-01-01", "2026-01-03", "-c", project)
    return project


@pytest.fixture
def shop(ready: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "shop"))


def third(project: Path) -> Path:
    return project / "data" / "raw" / "2026-01-03.csv"


def missing_folder(project: Path) -> None:
    shutil.rmtree(project / "data" / "raw")


def cut(text: str) -> Callable[[Path], object]:
    return lambda project: third(project).write_text(HEADER + text)


def raw(content: bytes) -> Callable[[Path], object]:
    return lambda project: third(project).write_bytes(content)


RAW_FAULTS = {
    "the raw folder is missing": (missing_folder, r"data/raw"),
    "a line is cut before its last field": (cut("9,ann,1"), r"2026-01-03\.csv.*line 2"),
    "a line is cut in its last field": (cut("9,ann,1,2026-01-03 10:"), r"2026-01-03\.csv.*line 2"),
    "a quoted field is cut": (cut('9,"an'), r"2026-01-03\.csv"),
    "a column is missing": (raw(b"id,buyer,sold_at\n9,ann,2026-01-03 10:00:00\n"), r"2026-01-03\.csv.*amount"),
    "a column is extra": (raw(b"id,buyer,amount,sold_at,colour\n9,ann,1,2026-01-03 10:00:00,red\n"), r"2026-01-03\.csv.*colour"),
    "a column is renamed": (
        raw(b"id,buyer,amout,sold_at\n9,ann,1,2026-01-03 10:00:00\n"),
        r"2026-01-03\.csv.*amount.*amout|amout.*amount",
    ),
    "the bytes are no UTF-8": (raw(HEADER.encode() + b"9,\xff\xfe,1,2026-01-03 10:00:00\n"), r"2026-01-03\.csv.*UTF-8"),
    "the file is empty": (raw(b""), r"2026-01-03\.csv.*empty"),
    "a processed file has changed": (
        lambda project: (project / "data/raw/2026-01-02.csv").write_text(DAY_TWO + "9,ann,1,2026-01-02 10:00:00\n"),
        r"2026-01-02\.csv.*--full-refresh",
    ),
    "too many rows are refused": (cut("9,ann,-1,2026-01-03 10:00:00\n10,ann,x,2026-01-03 10:00:00\n"), r"max_quarantined"),
}


@pytest.mark.parametrize("fault", RAW_FAULTS)
def test_bad_input_changes_nothing(fault: str, shop: Path) -> None:
    break_it, says = RAW_FAULTS[fault]
    break_it(shop)
    before = stored(shop)
    line = one_line(run("prepare", "-c", shop))
    assert re.search(says, line), line
    assert stored(shop) == before


RETURNS_TOO_LITTLE = FEATURES.replace(
    '.pipe(fs.cleaning.to_timestamp, "sold_at"', '.drop("buyer")\n        .pipe(fs.cleaning.to_timestamp, "sold_at"'
)
RAISES = FEATURES.replace(
    "    return (\n        raw_sales.pipe", "    raise RuntimeError('no luck today')\n    return (\n        raw_sales.pipe"
)
MUTUAL = FEATURES.replace("def buyer_days(sales)", "def buyer_days(sales, buyer_weeks)").replace(
    "buyer = Entity",
    """@fs.sql_table(contract=BuyerDay, key=["buyer", "day_end"], timestamp_field="day_end")
def buyer_weeks(buyer_days) -> str:
    return "select * from buyer_days"


buyer = Entity""",
)
BAD_SQL = FEATURES.replace("sum(amount) as spend", "sum(amuont) as spend")
DEFINITION_FAULTS = {
    "a table function returns too few columns": (RETURNS_TOO_LITTLE, CONTRACTS, r"sales.*buyer"),
    "a table function raises": (RAISES, CONTRACTS, r"sales.*RuntimeError.*no luck today"),
    "a contract column no input has": (
        FEATURES,
        CONTRACTS.replace("    sold_at: str\n", "    sold_at: str\n    colour: str\n"),
        r"colour",
    ),
    "two tables need each other": (MUTUAL, CONTRACTS, r"buyer_days.*buyer_weeks|buyer_weeks.*buyer_days"),
    "the SQL names no column": (BAD_SQL, CONTRACTS, r"buyer_days.*amuont"),
    "an unknown input": (FEATURES.replace("def buyer_days(sales)", "def buyer_days(sale)"), CONTRACTS, r"sale.*sales"),
    "the module does not compile": (FEATURES + "\ndef broken(:\n", CONTRACTS, r"features\.py"),
}


@pytest.mark.parametrize("fault", DEFINITION_FAULTS)
def test_bad_definitions_change_nothing(fault: str, shop: Path) -> None:
    features, contracts, says = DEFINITION_FAULTS[fault]
    (shop / "features.py").write_text(features)
    (shop / "schemas" / "shop.py").write_text(contracts)
    third(shop).write_text(HEADER + "9,ann,1,2026-01-03 10:00:00\n")
    before = stored(shop)
    line = one_line(run("prepare", "-c", shop, "--full-refresh"))
    assert re.search(says, line), line
    assert {path: digest for path, digest in stored(shop).items() if path in before} == before


def test_a_view_over_a_column_that_does_not_exist(shop: Path) -> None:
    schema = 'schema=[Field(name="spent", dtype=Float64)], ttl='
    features = FEATURES.replace("ttl=", schema, 1).replace(
        "import polars as pl\n", "import polars as pl\nfrom feast import Field\nfrom feast.types import Float64\n"
    )
    (shop / "features.py").write_text(features)
    before = stored(shop)
    line = one_line(run("apply", "-c", shop))
    assert "spent" in line
    assert "spend" in line
    assert stored(shop) == before


def test_a_start_after_the_end(shop: Path) -> None:
    before = stored(shop)
    assert "after" in one_line(run("materialize", "2026-01-05", "2026-01-01", "-c", shop))
    assert stored(shop) == before


def test_a_time_that_is_none(shop: Path) -> None:
    assert "is not a time" in one_line(run("materialize", "yesterday", "2026-01-01", "-c", shop))


def test_unknown_names_offer_the_nearest(shop: Path) -> None:
    assert "buyer_day" in one_line(run("materialize", "2026-01-01", "2026-01-03", "-v", "buyer_dya", "-c", shop))
    assert "sales" in one_line(run("prepare", "slaes", "-c", shop))
    assert "sales" in one_line(run("quarantine", "show", "slaes", "-c", shop))


def test_a_registry_file_that_is_none(shop: Path) -> None:
    (shop / "data" / "registry.db").write_bytes(b"no registry at all")
    before = stored(shop)
    assert "registry.db" in one_line(run("apply", "-c", shop))
    assert stored(shop) == before


def test_a_catalog_file_that_is_none(shop: Path) -> None:
    (shop / "data" / "catalog.json").write_text("{")
    assert "featurestore apply" in one_line(run("materialize", "2026-01-01", "2026-01-03", "-c", shop))


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    assert "feature_store.yaml" in one_line(run("prepare", "-c", tmp_path))
    assert "feature_store.yaml" in one_line(run("serve", "-c", tmp_path))


def test_serving_before_apply(tmp_path: Path) -> None:
    assert "featurestore apply" in one_line(run("serve", "-c", write_shop(tmp_path / "shop")))


def test_a_port_in_use(shop: Path) -> None:
    """In a process of its own: gRPC's core would write to its stderr too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "featurestore", "serve", "-c", str(shop), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert str(port) in line
    assert "--port" in line


def test_a_time_of_the_entity_rows_that_is_none(shop: Path) -> None:
    rows = '[{"buyer": "ann", "event_timestamp": "yesterday"}]'
    assert "'yesterday' is not a time" in one_line(run("get-historical-features", "-d", rows, "-s", "scoring_v1", "-c", shop))


def test_no_server_is_running(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    line = one_line(run("get-online-features", "-c", shop, "-e", "buyer=ann", "-s", "scoring_v1", "--address", f"127.0.0.1:{port}"))
    assert str(port) in line


def test_a_folder_for_init_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    one_line(run("init", tmp_path))
    assert (tmp_path / "file").read_text() == "mine"


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import featurestore.cli.app  # loads (and may cache bytecode) before the disk is full
import feast
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.dont_write_bytecode = True
sys.argv[0] = "featurestore"
featurestore.cli.app.main()
"""


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        (["prepare"], 300),
        (["prepare", "--full-refresh"], 300),
        (["materialize", "2026-01-01", "2026-01-04"], 4096),
        (["apply"], 100),
    ],
    ids=["prepare", "refresh", "materialize", "apply"],
)
def test_a_disk_that_is_full(command: list[str], limit: int, shop: Path) -> None:
    """No file may grow beyond some bytes: the kernel refuses the write as it does when the disk is full."""
    third(shop).write_text(HEADER + "".join(f"{n},ann,1,2026-01-03 10:00:00\n" for n in range(100, 400)))
    (shop / "features.py").write_text(FEATURES + "\nmore = FeatureService(name='more_v1', features=[buyer_day])\n")
    before = stored(shop)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), *command, "-c", str(shop)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "bug in featurestore" not in lines[0]
    after = stored(shop)
    assert {path: after.get(path) for path in before} == before
    succeed(*command, "-c", shop)


@pytest.mark.parametrize("limit", [100, 2000])
def test_a_disk_that_is_full_at_the_first_apply(limit: int, tmp_path: Path) -> None:
    """There is no registry to copy yet, and Feast's own writing of one would end half way without an error."""
    project = write_shop(tmp_path / "shop")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), "apply", "-c", str(project)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 1
    assert "free space" in line
    succeed("apply", "-c", project)
    assert '"changes": []' in succeed("plan", "-c", project, "--json").stdout

"""Published tables: numbered, whole or not at all, readable by everyone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.errors import CorruptDataError
from featurestore.offline import delta

ROOT = Path(__file__).parents[2]

EVERY_TYPE = pa.table(
    {
        "text": pa.array(["a", "", None], pa.string()),
        "bytes": pa.array([b"\xff\x00", b"", None], pa.binary()),
        "small": pa.array([2**31 - 1, -(2**31), None], pa.int32()),
        "large": pa.array([2**63 - 1, -(2**63), None], pa.int64()),
        "single": pa.array([0.1, float("inf"), None], pa.float32()),
        "double": pa.array([0.1, -0.0, None], pa.float64()),
        "truth": pa.array([True, False, None], pa.bool_()),
        "time": pa.array(
            [datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2030, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")
        ),
        "texts": pa.array([["x", "y"], [], None], pa.list_(pa.string())),
    }
)


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def put(folder: Path, data: pa.Table, number: int, mode: delta.Mode = "append") -> int:
    return delta.publish(folder, data, mode=mode, number=number, run_id=f"run{number}")


def rows(folder: Path) -> list[Any]:
    published = delta.opened(folder)
    assert published is not None
    return sorted(published.scan().collect()["n"].to_list())


def test_a_folder_without_a_table_has_no_version_and_number_zero(tmp_path: Path) -> None:
    assert delta.opened(tmp_path / "none") is None
    assert delta.version(tmp_path / "none") is None
    assert delta.committed(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()


def test_publications_add_or_replace_rows_and_carry_their_number(tmp_path: Path) -> None:
    assert put(tmp_path, numbers(1, 2), 1) == 0
    assert put(tmp_path, numbers(3), 2) == 1
    assert (rows(tmp_path), delta.committed(tmp_path), delta.version(tmp_path)) == ([1, 2, 3], 2, 1)
    assert put(tmp_path, numbers(9), 3, "overwrite") == 2
    assert (rows(tmp_path), delta.committed(tmp_path), delta.version(tmp_path)) == ([9], 3, 2)


def test_a_publication_without_rows_commits_its_number(tmp_path: Path) -> None:
    put(tmp_path, numbers(), 1)
    assert (rows(tmp_path), delta.committed(tmp_path)) == ([], 1)
    put(tmp_path, numbers(5), 2)
    put(tmp_path, numbers(), 3)
    assert (rows(tmp_path), delta.committed(tmp_path)) == ([5], 3)
    put(tmp_path, numbers(), 4, "overwrite")
    assert (rows(tmp_path), delta.committed(tmp_path)) == ([], 4)


def test_replacing_takes_other_columns_and_old_versions_stay_readable(tmp_path: Path) -> None:
    put(tmp_path, numbers(1), 1)
    before = delta.opened(tmp_path)
    put(tmp_path, pa.table({"other": ["x"]}), 2, "overwrite")
    after = delta.opened(tmp_path)
    assert before is not None
    assert after is not None
    assert before.scan().collect()["n"].to_list() == [1]
    assert after.schema.names == ["other"]
    assert after.scan().collect()["other"].to_list() == ["x"]


@pytest.mark.parametrize("name", ["plain", "a b", "é[1]*", "100%"])
def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, numbers(1), 1)
    put(tmp_path / name, numbers(2), 2)
    assert rows(tmp_path / name) == [1, 2]


def test_every_type_is_read_back_by_every_reader(tmp_path: Path) -> None:
    put(tmp_path, EVERY_TYPE, 1)
    published = delta.opened(tmp_path)
    assert published is not None
    assert published.schema == EVERY_TYPE.schema
    want = EVERY_TYPE.to_pylist()
    files = [str(file) for file in published.files]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        by_duckdb = connection.read_parquet(files).to_arrow_table().cast(EVERY_TYPE.schema)
    assert published.scan().collect().to_dicts() == want
    assert pl.scan_delta(str(tmp_path)).collect().to_dicts() == want
    assert DeltaTable(tmp_path).to_pyarrow_table().to_pylist() == want  # as stock Feast reads it
    assert by_duckdb.to_pylist() == want
    assert "view" not in str(pq.read_schema(files[0]))


def test_batches_are_written_as_they_come(tmp_path: Path) -> None:
    batches = numbers(*range(10)).to_batches(max_chunksize=3)
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))
    delta.publish(tmp_path, reader, mode="append", number=1, run_id="r")
    assert rows(tmp_path) == list(range(10))


def test_a_file_is_named_by_its_digest(tmp_path: Path) -> None:
    put(tmp_path, numbers(1), 1)
    (file,) = tmp_path.glob("*.parquet")
    assert file.name == f"00000001-{hashlib.sha256(file.read_bytes()).hexdigest()}.parquet"


def test_what_a_killed_publication_left_is_not_seen_and_not_in_the_way(tmp_path: Path) -> None:
    put(tmp_path, numbers(1), 1)
    (tmp_path / ".00000002.unfinished").write_bytes(b"half a file")
    pq.write_table(numbers(7), tmp_path / "00000002-aa.parquet")
    assert rows(tmp_path) == [1]
    put(tmp_path, numbers(2), 2)
    assert rows(tmp_path) == [1, 2]
    assert not list(tmp_path.glob(".*.unfinished"))


@pytest.mark.parametrize("fault", ["log", "missing", "cut"])
def test_damage_is_named_with_the_way_out(tmp_path: Path, fault: str) -> None:
    put(tmp_path, numbers(1, 2, 3), 1)
    (file,) = tmp_path.glob("*.parquet")
    if fault == "log":
        (tmp_path / "_delta_log" / f"{0:020}.json").write_text("no log")
    elif fault == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CorruptDataError, match="featurestore prepare") as caught:
        delta.opened(tmp_path)
    assert "<unknown>" not in str(caught.value)
    with pytest.raises(CorruptDataError):
        put(tmp_path, numbers(4), 2)


FULL_DISK = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from featurestore.core.errors import StoreError
from featurestore.offline import delta
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    delta.publish(Path(sys.argv[1]), pa.table({"n": list(range(100_000))}), mode="append", number=2, run_id="r")
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 5_000])
def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path, limit: int) -> None:
    put(tmp_path, numbers(1), 1)
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot publish" in run.stdout
    assert "free space" in run.stdout
    assert run.stderr == ""
    assert (rows(tmp_path), delta.committed(tmp_path)) == ([1], 1)
    assert not list(tmp_path.glob(".*.unfinished"))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["append", "overwrite"]), st.lists(st.integers(-9, 9), max_size=4)), min_size=1, max_size=5)
)
def test_a_table_is_what_its_publications_add_up_to(steps: list[tuple[delta.Mode, list[int]]]) -> None:
    with TemporaryDirectory() as name:
        folder, model = Path(name), list[int]()
        for number, (mode, values) in enumerate(steps, start=1):
            put(folder, numbers(*values), number, mode)
            model = values if mode == "overwrite" else model + values
            assert (rows(folder), delta.committed(folder), delta.version(folder)) == (sorted(model), number, number - 1)

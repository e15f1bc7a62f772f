"""Sources in every form they come in, and what is said when they are not what they should be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from featurestore.core.catalog import Field, Source, View
from featurestore.core.errors import CorruptDataError, InvalidInputError, NotMaterializedError, SourceError
from featurestore.core.types import ValueType
from featurestore.offline.engine import reading
from featurestore.offline.latest import latest_columns, latest_rows

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
END = 2**62
FEATURES = (Field("trips", ValueType.INT64),)


def rows(driver: list[int], trips: list[int], at: Any = None) -> pa.Table:
    times = at if at is not None else pa.array([NOON] * len(driver), pa.timestamp("us", "UTC"))
    return pa.table({"driver": pa.array(driver, pa.int64()), "at": times, "trips": pa.array(trips, pa.int64())})


def view_over(
    path: str, kind: Any = "parquet", mapping: tuple[tuple[str, str], ...] = (), dtype: ValueType = ValueType.INT64
) -> View:
    return View("v", (), (Field("driver", dtype),), FEATURES, None, Source("trips", kind, path, "at", None, mapping))


def trips(view: View, root: Path) -> dict[Any, Any]:
    table = latest_rows(view.source, view, None, END, root).reader.read_all()
    return dict(zip(table["driver"].to_pylist(), table["trips"].to_pylist(), strict=True))


def times(path: Path) -> list[int]:
    """Event times in microseconds, as the room reads them."""
    reader = latest_rows(view_over(str(path)).source, view_over(str(path)), None, END, path.parent).reader
    return list(reader.read_all()["event_timestamp"].cast(pa.int64()).to_pylist())


def test_a_file_a_folder_and_a_glob_are_read(tmp_path: Path) -> None:
    (tmp_path / "days" / "deeper").mkdir(parents=True)
    (tmp_path / "days" / "_log").mkdir()
    pq.write_table(rows([1], [10]), tmp_path / "days" / "a.parquet")
    pq.write_table(rows([2], [20]).select(["trips", "at", "driver"]), tmp_path / "days" / "deeper" / "b.parquet")
    pq.write_table(rows([3], [30]), tmp_path / "days" / "_log" / "hidden.parquet")
    assert trips(view_over("days/a.parquet"), tmp_path) == {1: 10}
    assert trips(view_over("days"), tmp_path) == {1: 10, 2: 20}
    assert trips(view_over(str(tmp_path / "days" / "*.parquet")), Path("/")) == {1: 10}


def test_names_that_look_like_patterns_and_sql_are_only_names(tmp_path: Path) -> None:
    folder = tmp_path / "it's [1]*"
    folder.mkdir()
    pq.write_table(rows([1], [10]), folder / "a?.parquet")
    assert trips(view_over(str(folder / "a?.parquet")), tmp_path) == {1: 10}
    write_deltalake(tmp_path / "it's *", rows([2], [20]))
    assert trips(view_over("it's *", "delta"), tmp_path) == {2: 20}


def test_columns_are_read_under_the_names_of_the_mapping(tmp_path: Path) -> None:
    table = rows([1], [10]).rename_columns(["ID", 'the "time"', "n"])
    pq.write_table(table, tmp_path / "a.parquet")
    mapping = (("ID", "driver"), ('the "time"', "at"), ("n", "trips"))
    assert trips(view_over("a.parquet", mapping=mapping), tmp_path) == {1: 10}


def test_delta_tables_are_read_whatever_their_layout(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "plain", rows([1], [10]))
    write_deltalake(tmp_path / "plain", rows([2], [20]), mode="append")
    assert trips(view_over("plain", "delta"), tmp_path) == {1: 10, 2: 20}

    write_deltalake(tmp_path / "split", rows([1, 2], [10, 20]), partition_by=["driver"])
    assert trips(view_over("split", "delta"), tmp_path) == {1: 10, 2: 20}

    write_deltalake(tmp_path / "grown", rows([1], [10]).select(["driver", "at"]))
    write_deltalake(tmp_path / "grown", rows([2], [20]), mode="append", schema_mode="merge")
    assert trips(view_over("grown", "delta"), tmp_path) == {1: None, 2: 20}

    DeltaTable(tmp_path / "plain").delete()
    assert trips(view_over("plain", "delta"), tmp_path) == {}


def test_times_of_every_unit_are_microseconds_rounded_down(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for unit, zone, ticks, expected in [
        ("ns", None, [-1, 1_999, -2_000], [-1, 1, -2]),
        ("ns", "UTC", [-1, 1_999, -2_000], [-1, 1, -2]),
        ("us", None, [-1, 0, 5], [-1, 0, 5]),
        ("us", "Europe/Berlin", [-1, 0, 5], [-1, 0, 5]),
        ("ms", "UTC", [-1, 0, 5], [-1_000, 0, 5_000]),
    ]:
        pq.write_table(rows([1, 2, 3], [1, 2, 3], pa.array(ticks, pa.timestamp(unit, zone))), path)
        assert sorted(times(path)) == sorted(expected), (unit, zone)
    pq.write_table(rows([1], [1], pa.array([date(1970, 1, 2)])), path)
    assert times(path) == [86_400_000_000]


def test_a_key_is_compared_as_its_declared_type(tmp_path: Path) -> None:
    table = rows([1, 2], [10, 20])
    pq.write_table(table.set_column(0, "driver", pa.array([1, 2], pa.uint16())), tmp_path / "small.parquet")
    reader = latest_rows(
        view_over("small.parquet").source, view_over("small.parquet", dtype=ValueType.INT32), None, END, tmp_path
    ).reader
    assert reader.schema.field("driver").type == pa.int32()
    assert sorted(reader.read_all()["driver"].to_pylist()) == [1, 2]

    keys = pa.array([NOON, NOON + timedelta(microseconds=1)], pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(0, "driver", keys), tmp_path / "timed.parquet")
    assert set(trips(view_over("timed.parquet", dtype=ValueType.UNIX_TIMESTAMP), tmp_path)) == set(keys.to_pylist())

    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.set_column(0, "driver", pa.array([[1], [2]])), tmp_path / "lists.parquet")
    with pytest.raises(SourceError, match=r"join key driver is bigint, declared STRING; store it in the declared type"):
        trips(view_over("a.parquet", dtype=ValueType.STRING), tmp_path)
    with pytest.raises(SourceError, match=r"join key driver is list; a join key is one of"):
        latest_columns(view_over("lists.parquet").source, ["driver"], ["trips"], None, END, tmp_path)


def test_what_is_missing_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no Parquet file is there; check the source's path"):
        trips(view_over("nowhere.parquet"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no Parquet file is there"):
        trips(view_over("empty"), tmp_path)
    for path in ("nowhere", "empty"):
        with pytest.raises(NotMaterializedError, match=r"no Delta table yet; run `featurestore prepare`"):
            trips(view_over(path, "delta"), tmp_path)
    with pytest.raises(SourceError, match=r"is remote"):
        trips(view_over("s3://bucket/a.parquet"), tmp_path)

    pq.write_table(rows([1], [10]).rename_columns(["driver", "at", "trip"]), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"has no column 'trips'; did you mean trip\?"):
        trips(view_over("a.parquet"), tmp_path)
    pq.write_table(rows([1], [10], pa.array(["2024-05-01"])), tmp_path / "text.parquet")
    with pytest.raises(SourceError, match=r"at is varchar, not a timestamp"):
        trips(view_over("text.parquet"), tmp_path)
    (tmp_path / "mixed").mkdir()
    pq.write_table(rows([1], [10]), tmp_path / "mixed" / "a.parquet")
    pq.write_table(rows([1], [10]).select(["driver", "at"]), tmp_path / "mixed" / "b.parquet")
    with pytest.raises((SourceError, CorruptDataError), match=r"trips"):
        trips(view_over("mixed"), tmp_path)


def test_damaged_files_are_told_from_missing_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(rows(list(range(5000)), list(range(5000))), path)
    good = path.read_bytes()
    for bad in (b"", good[:3], good[: len(good) // 2], good[:100] + b"\xff" * 2000 + good[2100:]):
        path.write_bytes(bad)
        with pytest.raises(CorruptDataError, match=r"source trips \(a.parquet\)"):
            trips(view_over("a.parquet"), tmp_path)

    write_deltalake(tmp_path / "t", rows([1], [10]))
    (tmp_path / "t" / "_delta_log" / f"{0:020}.json").write_text("garbage")
    with pytest.raises(CorruptDataError, match=r"Delta table cannot be read"):
        trips(view_over("t", "delta"), tmp_path)

    write_deltalake(tmp_path / "u", rows([1], [10]))
    next((tmp_path / "u").glob("*.parquet")).unlink()
    with pytest.raises(CorruptDataError, match=r"is missing"):
        trips(view_over("u", "delta"), tmp_path)


def test_a_value_that_does_not_fit_its_declared_type_is_told_with_view_and_column(tmp_path: Path) -> None:
    table = rows([1], [10]).set_column(2, "trips", pa.array([1.5]))
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"view v: feature trips"):
        trips(view_over("a.parquet"), tmp_path)


def test_an_interval_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    pq.write_table(rows([1], [10]), tmp_path / "a.parquet")
    view = view_over("a.parquet")
    with pytest.raises(InvalidInputError, match=r"start is after its end"):
        latest_rows(view.source, view, 2, 1, tmp_path)


def test_many_keys_come_in_batches_and_a_dropped_stream_lets_go_of_its_file(tmp_path: Path) -> None:
    count = 120_000
    pq.write_table(rows(list(range(count)), list(range(count))), tmp_path / "a.parquet")
    view = view_over("a.parquet")
    latest = latest_rows(view.source, view, None, END, tmp_path)
    sizes = [batch.num_rows for batch in latest.reader]
    assert sum(sizes) == latest.keys == count
    assert len(sizes) > 1
    del latest
    latest_rows(view.source, view, None, END, tmp_path).reader.close()


@pytest.mark.parametrize("error", [duckdb.InterruptException("INTERRUPT Error: Interrupted!"), RuntimeError("Query interrupted")])
def test_ctrl_c_in_a_query_is_pythons_own_interrupt(error: Exception) -> None:
    with pytest.raises(KeyboardInterrupt), reading("a table"):
        raise error

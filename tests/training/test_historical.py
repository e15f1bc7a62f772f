"""Training sets from every kind of frame, in every form they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from featurestore.core.catalog import Catalog, Field, Projection, Service, Source, Table, View
from featurestore.core.errors import InvalidInputError, NotMaterializedError, UnknownNameError
from featurestore.core.types import ValueType
from featurestore.training import get_historical_features

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
FEATURES = (
    Field("trips", ValueType.INT64),
    Field("small", ValueType.INT32),
    Field("rate", ValueType.DOUBLE),
    Field("active", ValueType.BOOL),
    Field("name", ValueType.STRING),
    Field("seen", ValueType.UNIX_TIMESTAMP),
    Field("codes", ValueType.INT64_LIST),
)
NAMES = [f.name for f in FEATURES]
ALL = ["stats:*"]
BIG = 2**53 + 1
"""An integer that no float holds."""


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, Catalog]:
    """Two drivers at noon; driver 1's values were created a minute later."""
    stored = pa.table(
        {
            "driver": [1, 2],
            "at": [NOON, NOON],
            "made": [NOON + timedelta(minutes=1), NOON],
            "trips": [BIG, None],
            "small": pa.array([3, None], pa.int32()),
            "rate": [0.5, None],
            "active": [True, None],
            "name": ["ann", None],
            "seen": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "codes": [[1, 2], None],
        }
    )
    pq.write_table(stored, tmp_path / "stats.parquet")
    source = Source("stats", "parquet", "stats.parquet", "at", "made")
    view = View("stats", ("driver",), (Field("driver", ValueType.INT64),), FEATURES, None, source)
    tables = (
        Table("driver_days", "data/driver_days", ("driver",), "at", (), (), "0"),
        Table("unprepared", "data/unprepared", ("driver",), "at", (), (), "0"),
    )
    write_deltalake(tmp_path / "data" / "driver_days", pa.table({"driver": [2, 1], "at": [NOON, NOON]}))
    service = Service("model", (Projection("stats", ("rate", "trips")),))
    return tmp_path, Catalog("p", views=(view,), services=(service,), tables=tables)


def entities_pandas() -> pd.DataFrame:
    """A frame as users have them: an index of its own, nanoseconds, a category, a gap."""
    return pd.DataFrame(
        {
            "driver": [2, 1, 3],
            "event_timestamp": pd.to_datetime([NOON + timedelta(hours=1)] * 3),
            "label": [0, 1, 0],
            "kind": pd.Categorical(["a", "b", "a"]),
            "weight": [1.5, None, 2.5],
        },
        index=pd.Index([7, 7, 3], name="row"),
    )


def test_a_pandas_frame_comes_back_with_its_own_columns_and_index(project: tuple[Path, Catalog]) -> None:
    entities = entities_pandas()
    before = entities.copy(deep=True)
    frame = get_historical_features(*project, ALL, entities).to_df()
    pd.testing.assert_frame_equal(frame[list(before.columns)], before)
    pd.testing.assert_frame_equal(entities, before)
    assert list(frame.columns) == [*before.columns, *NAMES]
    assert frame["trips"].tolist() == [pd.NA, BIG, pd.NA]
    assert [str(frame[name].dtype) for name in ("trips", "small", "rate", "active")] == ["Int64", "Int32", "float64", "boolean"]
    assert str(frame["seen"].dtype) == "datetime64[us, UTC]"
    assert frame["seen"].iloc[1] == pd.Timestamp(NOON)
    assert frame["seen"].isna().tolist() == [True, False, True]


def test_columns_without_gaps_keep_pandas_plain_types(project: tuple[Path, Catalog]) -> None:
    frame = get_historical_features(*project, ALL, entities_pandas().iloc[[1]]).to_df()
    assert [str(frame[name].dtype) for name in ("trips", "small", "active")] == ["int64", "int32", "bool"]
    assert frame["trips"].tolist() == [BIG]
    assert list(frame["codes"].iloc[0]) == [1, 2]


@pytest.mark.parametrize("kind", ["polars", "lazy", "arrow"])
def test_frames_of_every_kind_give_the_same_set(project: tuple[Path, Catalog], kind: str) -> None:
    plain = pl.DataFrame({"driver": [2, 1, 3], "event_timestamp": [NOON + timedelta(hours=1)] * 3, "word": ["x", "y", None]})
    entities: Any = {"polars": plain, "lazy": plain.lazy(), "arrow": plain.to_arrow()}[kind]
    job = get_historical_features(*project, ALL, entities)
    table = job.to_arrow()
    assert table.column_names == ["driver", "event_timestamp", "word", *NAMES]
    assert table["trips"].to_pylist() == [None, BIG, None]
    assert table["codes"].to_pylist() == [None, [1, 2], None]
    assert job.to_polars().select(plain.columns).equals(plain)
    assert job.to_polars()["name"].to_list() == [None, "ann", None]
    assert job.to_polars().schema["small"] == pl.Int32
    frame = job.to_df()
    assert str(frame["event_timestamp"].dtype) == "datetime64[us, UTC]"
    assert str(frame["trips"].dtype) == "Int64"
    assert frame["word"].tolist()[:2] == ["x", "y"]


def test_an_arrow_table_is_handed_back_cell_for_cell(project: tuple[Path, Catalog]) -> None:
    times = pa.array([NOON.replace(tzinfo=None)] * 2, pa.timestamp("ns"))
    entities = pa.table(
        {"event_timestamp": times, "driver": pa.array([1, 2]).dictionary_encode(), "note": pa.array(["a", "b"], pa.string_view())}
    )
    assert get_historical_features(*project, ALL, entities).to_arrow().select(entities.column_names).equals(entities)


def test_sql_reads_files_of_the_project_and_prepared_tables(project: tuple[Path, Catalog]) -> None:
    root, catalog = project
    pq.write_table(pa.table({"driver": [1, 2], "event_timestamp": [NOON, NOON]}), root / "entities.parquet")
    job = get_historical_features(root, catalog, ["stats:rate"], "select * from 'entities.parquet' order by driver desc")
    assert job.to_polars()["rate"].to_list() == [None, 0.5]
    days = get_historical_features(root, catalog, "model", 'select driver, "at" from DRIVER_DAYS order by driver')
    assert days.to_arrow().column_names == ["driver", "at", "rate", "trips"]
    assert days.to_arrow()["rate"].to_pylist() == [0.5, None]


def test_sql_that_cannot_be_run_is_told_with_its_cause(project: tuple[Path, Catalog]) -> None:
    local = pa.table({"driver": [1], "event_timestamp": [NOON]})
    for sql, message in [
        ("selekt 1", r"the entity query failed: .*selekt"),
        ("select * from 'nowhere.parquet'", r"nowhere.parquet"),
        ("select * from local", r"local"),
        ("create table t (a int)", r"is 1 SQL statements or one that is no query; write it as one SELECT"),
        ("select 1; select 2", r"is 2 SQL statements"),
        ("", r"is 0 SQL statements"),
        ("select 1 as driver, 2 as driver", r"more than one column 'driver'"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            get_historical_features(*project, ALL, sql)
    assert local.num_rows == 1
    with pytest.raises(NotMaterializedError, match=r"run `featurestore prepare`"):
        get_historical_features(*project, ALL, "select * from unprepared")


def test_an_entity_query_cannot_write(project: tuple[Path, Catalog]) -> None:
    root, catalog = project
    for sql in (f"copy (select 1 as driver) to '{root}/out.csv'", f"select 1; copy (select 1) to '{root}/out.csv'"):
        with pytest.raises(InvalidInputError, match=r"write it as one SELECT"):
            get_historical_features(root, catalog, ALL, sql)
    assert not (root / "out.csv").exists()


def _write_cell(frame: pd.DataFrame) -> None:
    frame.iat[0, 0] = 99
    frame.loc[3, "weight"] = 99.0


def _rename(frame: pd.DataFrame) -> None:
    frame.index.name = "other"
    frame.columns = pd.Index([f"{name}_2" for name in frame.columns])


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.sort_values("driver", inplace=True),
        lambda frame: frame.drop(7, inplace=True),
        lambda frame: frame.drop(columns="label", inplace=True),
        _write_cell,
        _rename,
    ],
)
def test_a_pandas_frame_that_changes_after_the_call_changes_no_training_set(
    project: tuple[Path, Catalog], change: Callable[[pd.DataFrame], None]
) -> None:
    entities = entities_pandas()
    job = get_historical_features(*project, ["stats:rate"], entities)
    expected, table = job.to_df(), job.to_arrow().to_pydict()
    change(entities)
    pd.testing.assert_frame_equal(job.to_df(), expected)
    pd.testing.assert_frame_equal(expected[list(entities_pandas().columns)], entities_pandas())
    assert job.to_arrow().to_pydict() == table
    assert job.to_polars()["driver"].to_list() == [2, 1, 3]
    change(job.to_df())  # nor does a change to what was handed out
    pd.testing.assert_frame_equal(job.to_df(), expected)


def test_a_polars_frame_that_changes_after_the_call_changes_no_training_set(project: tuple[Path, Catalog]) -> None:
    entities = pl.DataFrame({"driver": [2, 1], "event_timestamp": [NOON, NOON], "x": [1, 2]})
    job = get_historical_features(*project, ["stats:rate"], entities)
    entities[0, "driver"] = 9
    entities.drop_in_place("x")
    for columns in (job.to_polars().to_dict(as_series=False), job.to_arrow().to_pydict()):
        assert columns == {"driver": [2, 1], "event_timestamp": [NOON, NOON], "x": [1, 2], "rate": [None, 0.5]}


def test_the_only_timestamp_column_is_taken_for_the_time(project: tuple[Path, Catalog]) -> None:
    entities = pl.DataFrame({"driver": [1], "day": ["x"], "when": [NOON]})
    assert get_historical_features(*project, ["stats:rate"], entities).to_polars()["rate"].to_list() == [0.5]
    for frame, message in [
        (entities.with_columns(other=pl.col("when")), r"has the timestamps when, other; name the one that counts event_timestamp"),
        (entities.drop("when"), r"no timestamp column among driver \(int64\), day"),
        (
            entities.with_columns(event_timestamp=pl.lit("2024-05-01")),
            r"'event_timestamp' is .*string.*, not a timestamp; .*pd\.to_datetime in pandas.*\.str\.to_datetime\(\)",
        ),
        (pl.DataFrame(), r"the entity rows have no columns; give each row its join keys, and its time in event_timestamp"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            get_historical_features(*project, ["stats:rate"], frame)


def test_what_is_no_frame_is_refused(project: tuple[Path, Catalog]) -> None:
    for entities, message in [
        ([{"driver": 1}], r"entity_df is a list; give a pandas or Polars DataFrame"),
        (pd.DataFrame({0: [1]}), r"column named 0, which is no text"),
        (pd.DataFrame({"driver": [1, "a"]}), r"entity_df cannot be read"),
        (pd.DataFrame({"driver": [2**70]}), r"entity_df cannot be read"),
        (pd.DataFrame({"driver": pd.arrays.SparseArray([1, 0])}), r"entity_df cannot be read: Sparse"),
        (pd.DataFrame([[1, 2]], columns=["driver", "driver"]), r"more than one column 'driver'; give each column its own name"),
        (pa.table([[1], [2]], names=["driver", "driver"]), r"more than one column 'driver'"),
        (
            pl.DataFrame({"driver": [1], "wide": pl.Series([1], dtype=pl.Int128)}),
            r"no type for: wide \(Int128\); cast or drop them before the call",
        ),
        (pl.DataFrame({"driver": [1], "thing": pl.Series([object()], dtype=pl.Object)}), r"no type for: thing \(Object\)"),
        (pl.LazyFrame({"driver": [1]}).select("nothing"), r"lazy entity_df cannot be collected: .*nothing"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            get_historical_features(*project, ALL, entities)
    with pytest.raises(UnknownNameError, match=r"did you mean stats\?"):
        get_historical_features(*project, ["stat:rate"], entities_pandas())
    with pytest.raises(UnknownNameError, match=r"did you mean rate"):
        get_historical_features(*project, ["stats:rat"], entities_pandas())


def test_times_and_keys_in_a_pandas_index_are_told(project: tuple[Path, Catalog]) -> None:
    entities = entities_pandas()
    for frame, what in [
        (entities.set_index("event_timestamp"), "'event_timestamp'"),
        (entities.set_index("driver"), "'driver'"),
        (entities.set_index(["driver", "label"]), "'driver'"),
        (entities.set_index("event_timestamp").rename_axis(None), "times"),
    ]:
        with pytest.raises(
            InvalidInputError, match=rf"entity_df has {what} in its index, and an index is no column; use reset_index"
        ):
            get_historical_features(*project, ["stats:rate"], frame)
        mended = get_historical_features(*project, ["stats:rate"], frame.reset_index()).to_df()
        assert mended["rate"].isna().tolist() == [True, False, True]
    unrelated = entities.set_index(pd.DatetimeIndex(entities["event_timestamp"]))
    assert get_historical_features(*project, ["stats:rate"], unrelated).to_df()["rate"].iloc[1] == 0.5


def test_full_names_keep_apart_what_would_collide(project: tuple[Path, Catalog]) -> None:
    entities = pl.DataFrame({"driver": [1], "event_timestamp": [NOON], "rate": [9]})
    with pytest.raises(InvalidInputError, match=r"rate"):
        get_historical_features(*project, ["stats:rate"], entities)
    frame = get_historical_features(*project, ["stats:rate"], entities, full_feature_names=True).to_polars()
    assert frame.select("rate", "stats__rate").row(0) == (9, 0.5)


def test_values_created_after_the_row_are_counted_or_left_out(project: tuple[Path, Catalog]) -> None:
    entities = pl.DataFrame({"driver": [1, 2], "event_timestamp": [NOON, NOON]})
    job = get_historical_features(*project, ["stats:small"], entities)
    assert job.to_polars()["small"].to_list() == [3, None]
    assert [(part.view, part.names, part.rows, part.created_later) for part in job.leakage] == [("stats", ("small",), 2, 1)]
    known = get_historical_features(*project, ["stats:small"], entities, filter_by_created_timestamp=True)
    assert known.to_polars()["small"].to_list() == [None, None]
    assert [(part.rows, part.created_later) for part in known.leakage] == [(1, 0)]

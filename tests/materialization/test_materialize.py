"""Offline to online on real files: the newest row of each key, of all views or of none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.catalog import Catalog, Field, Source, View
from featurestore.core.clock import EPOCH, fixed_clock
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import FeatureStoreError, SourceError
from featurestore.core.types import ValueType
from featurestore.files.kill import VARIABLE
from featurestore.materialization import MaterializeReport, materialize, materialize_incremental
from featurestore.online import LmdbStore, RowCodec, encode_keys
from featurestore.wire.columns import Column
from featurestore.wire.values import column_to_python

ROOT = Path(__file__).parents[2]
SOURCE = Source("spends", "parquet", "spends.parquet", "at", "written")
SPEND = View(
    name="spend",
    entities=("customer",),
    join_keys=(Field("id", ValueType.INT64),),
    features=(Field("total", ValueType.DOUBLE), Field("city", ValueType.STRING)),
    ttl=None,
    source=SOURCE,
)
STOCK = replace(SPEND, name="stock", source=replace(SOURCE, name="stocks", path="stocks.parquet"))
CATALOG = Catalog("shop", views=(SPEND, STOCK))

NOW = 1_000_000
"""Microseconds; after all rows of the tests."""

Row = tuple[int | None, int, int | None, float | None, str | None]
"""id, event time, created time, total, city."""

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("written", pa.timestamp("us", "UTC")),
        ("total", pa.float64()),
        ("city", pa.string()),
    ]
)


class Shop:
    """A project of two Parquet sources and a real store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = ProjectConfig(root, "shop", root / "data/registry.db", root / "data/online")
        self.store = LmdbStore(self.config.online, fixed_clock(0))
        self.now = NOW

    def write(self, rows: Sequence[Row], source: Source = SOURCE) -> None:
        columns = [pa.array([row[place] for row in rows], type=f.type) for place, f in enumerate(SCHEMA)]
        table = pa.Table.from_arrays(columns, schema=SCHEMA)
        pq.write_table(table, self.root / source.path)

    def materialize(
        self, start: int | None, end: int, views: list[str] | None = None, catalog: Catalog = CATALOG, **more: Any
    ) -> MaterializeReport:
        return materialize(
            self.config, catalog, views or ["spend"], start, end, store=self.store, clock=fixed_clock(self.now), **more
        )

    def increment(self, end: int, catalog: Catalog = CATALOG) -> MaterializeReport:
        return materialize_incremental(self.config, catalog, ["spend"], end, store=self.store, clock=fixed_clock(self.now))

    def read(self, ids: Sequence[int], view: View = SPEND) -> list[tuple[int, float | None, str | None] | None]:
        """Event time and features by id."""
        keys = encode_keys([Column(ValueType.INT64, np.array(ids, dtype=np.int64))])
        rows = RowCodec(view).decode(keys, self.store.snapshot().get(view, keys), view.features)
        totals, cities = map(column_to_python, rows.columns)
        return [(int(rows.event_us[i]), totals[i], cities[i]) if rows.found[i] else None for i in range(len(ids))]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def numbers(report: MaterializeReport) -> list[tuple[str, int, int]]:
    return [(v.view, v.rows_read, v.keys_written) for v in report.views]


def test_the_newest_row_of_each_key_in_the_interval_is_served(shop: Shop) -> None:
    shop.write([(1, 5, 0, 5.0, "a"), (1, 7, 0, 7.0, "b"), (2, 6, 0, None, None), (3, 1, 0, 1.0, "c"), (1, 9, 0, 9.0, "d")])
    assert numbers(shop.materialize(2, 8)) == [("spend", 3, 2)]
    assert shop.read([1, 2, 3]) == [(7, 7.0, "b"), (6, None, None), None]


def test_both_ends_belong_to_the_interval(shop: Shop) -> None:
    shop.write([(1, 4, 0, 1.0, "a"), (2, 5, 0, 1.0, "a"), (3, 8, 0, 1.0, "a"), (4, 9, 0, 1.0, "a")])
    assert numbers(shop.materialize(5, 8)) == [("spend", 2, 2)]


Rows = st.lists(
    st.tuples(
        st.none() | st.integers(0, 3),
        st.integers(-4, 4),
        st.none() | st.integers(-2, 2),
        st.none() | st.sampled_from([0.0, 1.5, float("inf")]),
        st.none() | st.sampled_from(["", "x"]),
    ),
    max_size=12,
    unique_by=lambda row: row[:3],  # no two rows tie, so that the oracle needs no rule for ties
)


@settings(max_examples=20, deadline=None)
@given(rows=Rows, intervals=st.lists(st.tuples(st.none() | st.integers(-5, 5), st.integers(0, 5)), min_size=1, max_size=2))
def test_any_sequence_of_intervals_ends_with_the_newest_row_of_them_all(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], intervals: list[tuple[int | None, int]]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write(rows)
    best: dict[int, Row] = {}
    for start, length in intervals:
        end = (0 if start is None else start) + length
        inside = [r for r in rows if (start is None or r[1] >= start) and r[1] <= end]
        if inside and all(r[0] is None for r in inside):
            with pytest.raises(SourceError):
                shop.materialize(start, end)
            continue
        before = dict(best)
        for r in inside:
            if r[0] is not None:
                rank = (r[1], float("-inf") if r[2] is None else r[2])
                known = best.get(r[0])
                if known is None or rank >= (known[1], float("-inf") if known[2] is None else known[2]):
                    best[r[0]] = r
        (view,) = shop.materialize(start, end).views
        changed = sum(before.get(key) != row for key, row in best.items())
        assert (view.rows_read, view.keys_written, view.null_keys) == (len(inside), changed, sum(r[0] is None for r in inside))
        again = shop.materialize(start, end)
        assert again.views[0].keys_written == 0
    assert shop.read([0, 1, 2, 3]) == [(best[k][1], best[k][3], best[k][4]) if k in best else None for k in range(4)]


def test_rows_without_a_key_are_counted(shop: Shop) -> None:
    shop.write([(None, 5, 0, 1.0, "a"), (1, 5, 0, 1.0, "a"), (None, 6, 0, 1.0, "a")])
    (view,) = shop.materialize(0, 9).views
    assert (view.rows_read, view.keys_written, view.null_keys) == (3, 1, 2)


def test_a_run_that_reads_rows_and_could_write_none_fails(shop: Shop) -> None:
    shop.write([(None, 5, 0, 1.0, "a"), (None, 6, 0, 1.0, "a")])
    with pytest.raises(SourceError, match="view spend: all 2 rows in the interval have a null in id"):
        shop.materialize(0, 9)
    assert shop.store.snapshot().generation == 0


def test_an_interval_without_rows_is_said_and_moves_the_watermark(shop: Shop) -> None:
    shop.write([(1, 50, 0, 1.0, "a")])
    (view,) = shop.materialize(0, 9).views
    assert (view.rows_read, view.keys_written, view.note) == (0, 0, "the source has no rows in the interval")
    state = shop.store.snapshot().state("spend")
    assert state is not None
    assert state.watermark_us == 9


def test_the_report_as_json_has_all_fields_of_each_view(shop: Shop) -> None:
    timeless: Any = [(n, None, 0, 1.0, "a") for n in range(3)]
    shop.write([(1, 5, 0, 1.0, "a"), (None, 5, 0, 1.0, "a"), *timeless])
    shown = {"view": "spend", "rows_read": 2, "keys_written": 1, "seconds": 0.0, "null_keys": 1, "null_times": 3, "note": ""}
    assert json.loads(json.dumps(shop.materialize(0, 9).to_json_object())) == {"views": [shown]}


def test_progress_ends_at_the_number_of_keys(shop: Shop) -> None:
    calls: list[tuple[str, str, int, int | None]] = []
    shop.write([(n, 5, 0, 1.0, "a") for n in range(7)])
    shop.materialize(0, 9, progress=lambda *call: calls.append(call))
    assert calls[0] == ("materialize", "spend", 0, 7)
    assert calls[-1] == ("materialize", "spend", 7, 7)


def test_several_views_appear_together_or_not_at_all(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a")])
    with pytest.raises(FeatureStoreError, match="stocks"):
        shop.materialize(0, 9, ["spend", "stock"])
    assert shop.store.snapshot().generation == 0
    assert shop.read([1]) == [None]
    shop.write([(1, 5, 0, 2.0, "b")], STOCK.source)
    assert numbers(shop.materialize(0, 9, ["spend", "stock"])) == [("spend", 1, 1), ("stock", 1, 1)]
    assert shop.store.snapshot().generation == 1
    assert (shop.read([1]), shop.read([1], STOCK)) == ([(5, 1.0, "a")], [(5, 2.0, "b")])


def test_a_correction_at_the_same_times_gets_through(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "wrong")])
    shop.materialize(0, 9)
    shop.write([(1, 5, 0, 1.0, "right")])
    assert numbers(shop.materialize(0, 9)) == [("spend", 1, 1)]
    assert shop.read([1]) == [(5, 1.0, "right")]


def test_increments_go_on_from_the_watermark_and_see_rows_that_came_late_at_it(shop: Shop) -> None:
    rows: list[Row] = [(1, 5, 0, 1.0, "a"), (2, 10, 0, 1.0, "a")]
    shop.write(rows)
    assert numbers(shop.increment(10)) == [("spend", 2, 2)]
    shop.write([*rows, (3, 10, 0, 3.0, "late"), (4, 20, 0, 4.0, "b"), (5, 9, 0, 5.0, "before the watermark")])
    assert numbers(shop.increment(20)) == [("spend", 3, 2)]
    assert shop.read([1, 2, 3, 4, 5]) == [(5, 1.0, "a"), (10, 1.0, "a"), (10, 3.0, "late"), (20, 4.0, "b"), None]


def watermark(shop: Shop) -> int | None:
    state = shop.store.snapshot().state("spend")
    assert state is not None
    return state.watermark_us


def test_an_end_in_the_future_moves_the_watermark_to_the_present_only(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a")])
    shop.now = 10
    shop.materialize(None, 1000)
    assert watermark(shop) == 10
    shop.write([(1, 5, 0, 1.0, "a"), (1, 15, 0, 2.0, "b")])
    shop.now = 20
    assert numbers(shop.increment(20)) == [("spend", 1, 1)]
    assert (watermark(shop), shop.read([1])) == (20, [(15, 2.0, "b")])


def test_an_interval_that_begins_in_the_future_sets_no_watermark(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a")])
    shop.now = 10
    (view,) = shop.materialize(11, 1000).views
    assert view.note == "the source has no rows in the interval; the interval begins in the future"
    assert watermark(shop) is None


def test_the_watermark_stays_before_a_gap_and_the_next_increment_fills_it(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (1, 15, 0, 2.0, "in the gap"), (2, 25, 0, 3.0, "c")])
    shop.materialize(0, 9)
    (view,) = shop.materialize(20, 29).views
    assert view.note == "the interval leaves a gap after 1970-01-01T00:00:00.000009+00:00, from where the next increment goes on"
    assert (view.keys_written, watermark(shop)) == (1, 9)
    assert numbers(shop.increment(30)) == [("spend", 2, 1)]
    assert (watermark(shop), shop.read([1, 2])) == (30, [(15, 2.0, "in the gap"), (25, 3.0, "c")])


def test_an_interval_right_after_the_last_leaves_no_gap(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a")])
    shop.materialize(0, 9)
    (view,) = shop.materialize(10, 19).views
    assert (view.note, watermark(shop)) == ("the source has no rows in the interval", 19)


def test_a_view_of_another_source_starts_anew(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (2, 5, 0, 2.0, "a")])
    shop.increment(10)
    moved = replace(SPEND, source=replace(SOURCE, path="moved.parquet"))
    shop.write([(1, 3, 0, 100.0, "m")], moved.source)
    assert shop.read([1], moved) == [(5, 1.0, "a")]
    assert numbers(shop.increment(20, Catalog("shop", views=(moved,)))) == [("spend", 1, 1)]
    assert shop.read([1, 2], moved) == [(3, 100.0, "m"), None]
    assert watermark(shop) == 20


def test_rows_that_a_longer_ttl_lets_in_again_are_fetched_once(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (2, 15, 0, 2.0, "b")])
    short, long = (Catalog("shop", views=(replace(SPEND, ttl=ttl),)) for ttl in (5, 30))
    assert numbers(shop.increment(20, short)) == [("spend", 1, 1)]
    shop.materialize(20, 22, catalog=long)  # does not reach back
    assert numbers(shop.increment(25, long)) == [("spend", 2, 1)]
    assert numbers(shop.increment(26, long)) == [("spend", 0, 0)]
    assert shop.read([1, 2]) == [(5, 1.0, "a"), (15, 2.0, "b")]


def test_an_increment_that_is_behind_does_nothing_and_says_so(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a")])
    shop.increment(10)
    (view,) = shop.increment(9).views
    assert (view.rows_read, view.keys_written) == (0, 0)
    assert view.note.startswith("already materialized up to 1970-01-01T00:00:00.000010")
    assert shop.store.snapshot().generation == 1


def test_the_first_increment_of_a_view_with_ttl_leaves_out_what_has_expired(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (2, 15, 0, 1.0, "a"), (3, 14, 0, 1.0, "a")])
    catalog = Catalog("shop", views=(replace(SPEND, ttl=5),))
    assert numbers(shop.increment(20, catalog)) == [("spend", 1, 1)]
    assert shop.read([1, 2, 3]) == [None, (15, 1.0, "a"), None]


def test_a_changed_view_is_materialized_from_its_beginning(shop: Shop) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (2, 20, 0, 2.0, "b")])
    shop.increment(10)
    changed = replace(SPEND, features=SPEND.features[::-1])
    assert numbers(shop.increment(20, Catalog("shop", views=(changed,)))) == [("spend", 2, 2)]
    keys = encode_keys([Column(ValueType.INT64, np.array([1, 2]))])
    rows = RowCodec(changed).decode(keys, shop.store.snapshot().get(changed, keys), changed.features)
    assert [column_to_python(c) for c in rows.columns] == [["a", "b"], [1.0, 2.0]]


TYPES: list[tuple[ValueType, pa.DataType, list[Any]]] = [
    (ValueType.BOOL, pa.bool_(), [True, False, None]),
    (ValueType.INT32, pa.int32(), [-(2**31), 2**31 - 1, None]),
    (ValueType.INT64, pa.int64(), [-(2**63), 2**63 - 1, None]),
    (ValueType.FLOAT, pa.float32(), [0.5, float("-inf"), None]),
    (ValueType.DOUBLE, pa.float64(), [1e308, float("inf"), None]),
    (ValueType.STRING, pa.string(), ["", "größe", None]),
    (ValueType.BYTES, pa.binary(), [b"", b"\x00\xff", None]),
    (
        ValueType.UNIX_TIMESTAMP,
        pa.timestamp("us", "UTC"),
        [EPOCH - timedelta(microseconds=1), datetime(9999, 1, 1, tzinfo=UTC), None],
    ),
    (ValueType.INT64_LIST, pa.list_(pa.int64()), [[], [1, -1], None]),
    (ValueType.STRING_LIST, pa.list_(pa.string()), [["", "a"], [], None]),
    (ValueType.BOOL_LIST, pa.list_(pa.bool_()), [[True], [False, True], None]),
]


def test_values_of_every_type_come_through(shop: Shop) -> None:
    view = View(
        name="wide",
        entities=("e",),
        join_keys=(Field("k", ValueType.STRING), Field("n", ValueType.INT32)),
        features=tuple(Field(dtype.name.lower(), dtype) for dtype, _, _ in TYPES),
        ttl=None,
        source=Source("wide", "parquet", "wide.parquet", "at"),
    )
    columns = {dtype.name.lower(): pa.array(values, type=arrow) for dtype, arrow, values in TYPES}
    keys = {"k": pa.array(["a", "a", ""]), "n": pa.array([1, 2, 1], pa.int32())}
    pq.write_table(pa.table({**keys, "at": pa.array([1, 2, 3], pa.timestamp("us")), **columns}), shop.root / "wide.parquet")
    materialize(shop.config, Catalog("shop", views=(view,)), None, None, 9, store=shop.store)
    encoded = encode_keys(
        [Column.from_cells(ValueType.STRING, [b"a", b"a", b""]), Column(ValueType.INT32, np.array([1, 2, 1], "<i4"))]
    )
    rows = RowCodec(view).decode(encoded, shop.store.snapshot().get(view, encoded), view.features)
    assert rows.found.all()
    assert rows.event_us.tolist() == [1, 2, 3]
    assert [column_to_python(column) for column in rows.columns] == [values for _, _, values in TYPES]


def test_a_feature_may_have_the_name_of_a_time(shop: Shop) -> None:
    """The stream of latest rows has columns event_timestamp and created_timestamp of its own beside the features."""
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("event_timestamp", pa.string())])
    pq.write_table(
        pa.Table.from_pylist([{"id": 1, "at": 5, "event_timestamp": "noon"}], schema=schema), shop.root / "named.parquet"
    )
    view = replace(
        SPEND,
        name="named",
        features=(Field("event_timestamp", ValueType.STRING),),
        source=Source("named", "parquet", "named.parquet", "at"),
    )
    materialize(shop.config, Catalog("shop", views=(view,)), None, 0, 9, store=shop.store, clock=fixed_clock(0))
    keys = encode_keys([Column(ValueType.INT64, np.array([1]))])
    rows = RowCodec(view).decode(keys, shop.store.snapshot().get(view, keys), view.features)
    assert rows.event_us.tolist() == [5]
    assert column_to_python(rows.columns[0]) == ["noon"]


def test_a_view_without_entities_has_one_row(shop: Shop) -> None:
    view = replace(SPEND, name="weather", entities=(), join_keys=())
    shop.write([(1, 5, 0, 1.0, "old"), (None, 7, 0, 2.0, "new")])
    catalog = Catalog("shop", views=(view,))
    report = materialize(shop.config, catalog, None, 0, 9, store=shop.store)
    assert numbers(report) == [("weather", 2, 1)]
    rows = RowCodec(view).decode(encode_keys([]), shop.store.snapshot().get(view, encode_keys([])), view.features)
    assert [column_to_python(c) for c in rows.columns] == [[2.0], ["new"]]
    assert numbers(materialize(shop.config, catalog, None, 100, 200, store=shop.store)) == [("weather", 0, 0)]


@pytest.mark.parametrize("point", ["materialize.file_written", "materialize.published"])
def test_killed_at_a_named_point_the_old_state_or_the_new_is_served_and_a_rerun_completes(shop: Shop, point: str) -> None:
    shop.write([(1, 5, 0, 1.0, "a"), (2, 5, 0, 1.0, "a")])
    shop.materialize(0, 9)
    shop.write([(1, 15, 0, 2.0, "b")])
    code = "import sys\nfrom tests.materialization.test_materialize import *\nShop(Path(sys.argv[1])).materialize(10, 19)"
    done = subprocess.run([sys.executable, "-c", code, str(shop.root)], cwd=ROOT, env={**os.environ, VARIABLE: point}, check=False)
    assert done.returncode == -signal.SIGKILL
    published = point == "materialize.published"
    assert shop.read([1, 2]) == [(15, 2.0, "b") if published else (5, 1.0, "a"), (5, 1.0, "a")]
    assert numbers(shop.materialize(10, 19)) == [("spend", 1, 0 if published else 1)]
    assert shop.read([1, 2]) == [(15, 2.0, "b"), (5, 1.0, "a")]

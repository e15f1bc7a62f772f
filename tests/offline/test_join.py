"""What a join does with the types of its columns, the shapes of its views and the ends of its ranges."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.core.catalog import Catalog, Field, Projection, Service, Source, View
from featurestore.core.errors import InvalidInputError, SourceError
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.offline.join import join, point_in_time
from featurestore.wire.arrow import arrow_type

TIME = pa.timestamp("us", "UTC")
KEY = Field("driver", ValueType.INT64)


def view(
    name: str = "v", features: tuple[Field, ...] = (), keys: tuple[Field, ...] = (KEY,), ttl: int | None = None, **source: Any
) -> View:
    given = {"name": name, "format": "parquet", "path": f"{name}.parquet", "timestamp_field": "at", **source}
    return View(name, (), keys, features or (Field("x", ValueType.INT64),), ttl, Source(**given))


def times(*microseconds: int | None) -> pa.Array:
    return pa.array(microseconds, pa.int64()).cast(TIME)


def ask(root: Path, entities: pa.Table, *views: View, features: list[str] | None = None) -> pa.Table:
    catalog = Catalog("p", views=views)
    return point_in_time(entities, "event_timestamp", select(catalog, features or [f"{v.name}:*" for v in views]), root)


def test_every_type_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    cells: dict[ValueType, list[Any]] = {
        ValueType.BOOL: [True, False],
        ValueType.INT32: [-(2**31), 2**31 - 1],
        ValueType.INT64: [-(2**63), 2**63 - 1],
        ValueType.FLOAT: [math.inf, -0.0],
        ValueType.DOUBLE: [5e-324, -math.inf],
        ValueType.UNIX_TIMESTAMP: [moment, datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)],
        ValueType.STRING: ["", "naïve 🚕"],
        ValueType.BYTES: [b"", b"\x00\xff"],
        ValueType.JSON: ["{}", '{"a": [1, null]}'],
        ValueType.UUID: ["6f1a6a5c-7a35-4bd3-8c86-0b2a1a6f9a10"] * 2,
        ValueType.DECIMAL: ["-0.10", "12345678901234567890.5"],
        ValueType.BOOL_LIST: [[True], []],
        ValueType.INT32_LIST: [[-(2**31), 2**31 - 1], []],
        ValueType.FLOAT_LIST: [[math.inf, -0.0], [1.5]],
        ValueType.STRING_LIST: [["", "é"], []],
        ValueType.BYTES_LIST: [[b"\x00"], []],
        ValueType.UNIX_TIMESTAMP_LIST: [[moment], []],
        ValueType.INT64_SET: [[1, 2], []],
    }
    fields = tuple(Field(f"x{i}", dtype) for i, dtype in enumerate(cells))
    columns = {f"x{i}": pa.array([*values, None], arrow_type(dtype)) for i, (dtype, values) in enumerate(cells.items())}
    stored = pa.table({"driver": [1, 2, 3], "at": times(0, 0, 0), **columns})
    pq.write_table(stored, tmp_path / "v.parquet")
    entities = pa.table({"driver": [3, 2, 9, 1], "event_timestamp": times(0, 0, 0, 0)})
    found = ask(tmp_path, entities, view(features=fields)).select(list(columns))
    expected = stored.select(list(columns)).take(pa.array([2, 1, None, 0]))
    assert found.equals(expected)
    assert [math.copysign(1, x) for x in found["x3"].to_pylist() if x == 0] == [-1]


def test_nan_is_a_value_and_not_a_null(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"driver": [1, 2], "at": times(0, 0), "x": pa.array([math.nan, None], pa.float64())}), tmp_path / "v.parquet"
    )
    entities = pa.table({"driver": [1, 2], "event_timestamp": times(0, 0)})
    found = ask(tmp_path, entities, view(features=(Field("x", ValueType.DOUBLE),)))["x"]
    assert found.is_null().to_pylist() == [False, True]
    assert math.isnan(found[0].as_py())


def test_declared_types_are_kept_and_what_cannot_be_is_named(tmp_path: Path) -> None:
    stored = pa.table({"driver": [1], "at": times(0), "x": pa.array([16_777_217]), "y": pa.array([0.1]), "z": pa.array([3.0])})
    pq.write_table(stored, tmp_path / "v.parquet")
    entities = pa.table({"driver": [1], "event_timestamp": times(0)})
    declared = (Field("x", ValueType.FLOAT), Field("y", ValueType.FLOAT), Field("z", ValueType.INT32))
    found = ask(tmp_path, entities, view(features=declared)).select(["x", "y", "z"])
    assert found.schema.types == [pa.float32(), pa.float32(), pa.int32()]
    assert found.to_pylist() == [{"x": 16_777_216.0, "y": pa.scalar(0.1, pa.float32()).as_py(), "z": 3}]
    for name, dtype in [("y", ValueType.INT64), ("x", ValueType.STRING), ("x", ValueType.BOOL)]:
        with pytest.raises(SourceError, match=f"view v: feature {name}"):
            ask(tmp_path, entities, view(features=(Field(name, dtype),)))


def test_maps_and_structs_come_in_the_type_of_their_source(tmp_path: Path) -> None:
    table = pa.table({"driver": [1], "at": times(0), "x": [{"a": 1, "b": ["c"]}]})
    pq.write_table(table, tmp_path / "v.parquet")
    entities = pa.table({"driver": [1, 2], "event_timestamp": times(0, 0)})
    found = ask(tmp_path, entities, view(features=(Field("x", ValueType.STRUCT),)))
    assert found["x"].to_pylist() == [{"a": 1, "b": ["c"]}, None]


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (pa.array([[0.0, 1.0], [-0.0, 1.0]]), ValueType.DOUBLE_LIST),
        (pa.array([{"a": 1.0, "b": None}, {"a": -0.0, "b": "x"}]), ValueType.STRUCT),
        (pa.array([[("a", 1)], [("b", 0)]], pa.map_(pa.string(), pa.int64())), ValueType.MAP),
        (pa.array([b"\xff", b"\xff\x00"]), ValueType.BYTES),
    ],
)
def test_rows_that_differ_in_nested_values_alone_are_told_apart(tmp_path: Path, stored: pa.Array, dtype: ValueType) -> None:
    entities = pa.table({"driver": [1], "event_timestamp": times(5)})
    declared = view(features=(Field("other", ValueType.INT64), Field("x", dtype)))
    found = []
    for order in ([0, 1], [1, 0]):
        table = pa.table({"driver": [1, 1], "at": times(5, 5), "other": [7, 7], "x": stored}).take(pa.array(order))
        pq.write_table(table, tmp_path / "v.parquet")
        found.append(repr(ask(tmp_path, entities, declared)["x"].to_pylist()))
    assert found[0] == found[1]


def test_both_ends_of_the_ttl_count_to_the_microsecond(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1], "at": times(-3), "x": [7]}), tmp_path / "v.parquet")
    entities = pa.table({"driver": [1] * 5, "event_timestamp": times(-4, -3, 0, 1, 2)})
    assert ask(tmp_path, entities, view(ttl=4))["x"].to_pylist() == [None, 7, 7, 7, None]
    assert ask(tmp_path, entities, view(ttl=0))["x"].to_pylist() == [None, 7, None, None, None]


def test_times_at_the_ends_of_their_range_do_not_overflow(tmp_path: Path) -> None:
    far = 9_000_000_000_000_000_000
    pq.write_table(pa.table({"driver": [1, 2], "at": times(-far, far), "x": [7, 8]}), tmp_path / "v.parquet")
    entities = pa.table({"driver": [1, 2, 1], "event_timestamp": times(2**63 - 1, 2**63 - 1, -(2**63))})
    assert ask(tmp_path, entities, view())["x"].to_pylist() == [7, 8, None]
    assert ask(tmp_path, entities, view(ttl=2**62))["x"].to_pylist() == [None, 8, None]
    assert ask(tmp_path, entities, view(ttl=10**20))["x"].to_pylist() == [7, 8, None]


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([1, 2, None], pa.int32()),
        pa.array([1, 2, None], pa.uint64()),
        pa.array([1, 2, None], pa.int64()).dictionary_encode(),
        pa.array([1.0, 2.0, None], pa.float64()),
        pa.chunked_array([[1], [2, None]], pa.int64()),
    ],
)
def test_whole_numbers_of_every_layout_are_keys(tmp_path: Path, keys: Any) -> None:
    pq.write_table(pa.table({"driver": pa.array([1, 2], pa.int32()), "at": times(0, 0), "x": [7, 8]}), tmp_path / "v.parquet")
    entities = pa.table({"driver": keys, "event_timestamp": times(0, 0, 0)})
    for dtype in (ValueType.INT64, ValueType.INT32):
        found = ask(tmp_path, entities, view(keys=(Field("driver", dtype),)))
        assert found["x"].to_pylist() == [7, 8, None]
        assert found["driver"].equals(entities["driver"])


@pytest.mark.parametrize("layout", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_text_of_every_layout_is_a_key(tmp_path: Path, layout: pa.DataType) -> None:
    pq.write_table(pa.table({"driver": ["", "é"], "at": times(0, 0), "x": [7, 8]}), tmp_path / "v.parquet")
    entities = pa.table({"driver": pa.array(["é", "e", ""]).cast(layout), "event_timestamp": times(0, 0, 0)})
    found = ask(tmp_path, entities, view(keys=(Field("driver", ValueType.STRING),)))
    assert found["x"].to_pylist() == [8, None, 7]
    assert found["driver"].equals(entities["driver"])


def test_a_number_that_no_key_can_be_finds_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1], "at": times(0), "x": [7]}), tmp_path / "v.parquet")
    entities = pa.table({"driver": [2**40, 1], "event_timestamp": times(0, 0)})
    assert ask(tmp_path, entities, view(keys=(Field("driver", ValueType.INT32),)))["x"].to_pylist() == [None, 7]


def test_entity_times_of_every_unit_are_read_and_left_as_they_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1, 1], "at": times(-1, 1_000_000), "x": [7, 8]}), tmp_path / "v.parquet")
    for unit, ticks, expected in [
        ("ns", [-1_001, -1, 999_999_999, 1_000_000_000], [None, 7, 7, 8]),
        ("us", [-2, -1, 999_999, 1_000_000], [None, 7, 7, 8]),
        ("ms", [-1, 0, 999, 1_000], [None, 7, 7, 8]),
        ("s", [-1, 0, 0, 1], [None, 7, 7, 8]),
    ]:
        for zone in (None, "UTC", "Asia/Kolkata"):
            entities = pa.table({"driver": [1] * 4, "event_timestamp": pa.array(ticks, pa.timestamp(unit, zone))})
            found = ask(tmp_path, entities, view())
            assert found["x"].to_pylist() == expected
            assert found["event_timestamp"].equals(entities["event_timestamp"])
    entities = pa.table({"driver": [1], "event_timestamp": pa.array([2**62], pa.timestamp("s"))})
    with pytest.raises(InvalidInputError, match=r"holds a time that 64 bits of microseconds cannot hold"):
        ask(tmp_path, entities, view())


def test_entity_rows_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1], "at": times(0), "x": [7]}), tmp_path / "v.parquet")
    good = pa.table({"driver": [1], "event_timestamp": times(0)})
    for entities, message in [
        (good.drop_columns(["driver"]), r"no column 'driver'; they have event_timestamp"),
        (good.drop_columns(["event_timestamp"]), r"no column 'event_timestamp'; they have driver"),
        (good.set_column(0, "driver", pa.array(["1"])), r"entity column driver is string where INT64 is needed"),
        (good.set_column(0, "driver", pa.array([1.5])), r"entity column driver"),
        (good.set_column(1, "event_timestamp", pa.array(["2024-01-01"])), r"is string, not a timestamp; convert it"),
        (good.append_column("driver", good["driver"]), r"2 columns 'driver'; give each column its own name"),
        (good.append_column("x", good["driver"]), r"the names of features: x; rename them, or ask with full_feature_names"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            ask(tmp_path, entities, view())


def test_no_entity_rows_and_rows_without_any_time_are_no_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1], "at": times(0), "x": [7]}), tmp_path / "v.parquet")
    none = pa.table({"driver": pa.array([], pa.int64()), "event_timestamp": times()})
    assert ask(tmp_path, none, view()).schema.names == ["driver", "event_timestamp", "x"]
    assert ask(tmp_path, none.cast(none.schema), view()).num_rows == 0
    entities = pa.table({"driver": pa.nulls(2), "event_timestamp": times(None, None)})
    assert ask(tmp_path, entities, view())["x"].to_pylist() == [None, None]


def test_views_over_several_sources_answer_in_the_order_asked(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1], "at": times(0), "x": [7], "y": [9]}), tmp_path / "v.parquet")
    pq.write_table(pa.table({"city": ["a"], "driver": [1], "at": times(0), "z": [8]}), tmp_path / "w.parquet")
    pq.write_table(pa.table({"at": times(0, 3), "rate": [0.5, 0.7]}), tmp_path / "all.parquet")
    numbers = view(features=(Field("x", ValueType.INT64), Field("y", ValueType.INT64)))
    pairs = view("w", (Field("z", ValueType.INT64),), (Field("city", ValueType.STRING), KEY))
    rates = view("all", (Field("rate", ValueType.DOUBLE),), ())
    entities = pa.table({"driver": [1, 1], "city": ["a", "b"], "event_timestamp": times(2, 3)})
    found = ask(tmp_path, entities, numbers, pairs, rates, features=["v:y", "all:rate", "w:z", "v:x"])
    assert found.column_names == ["driver", "city", "event_timestamp", "y", "rate", "z", "x"]
    assert found.select(["y", "rate", "z", "x"]).to_pylist() == [
        {"y": 9, "rate": 0.5, "z": 8, "x": 7},
        {"y": 9, "rate": 0.7, "z": None, "x": 7},
    ]


def test_one_view_under_two_names_joins_by_each_ones_keys(tmp_path: Path) -> None:
    pq.write_table(pa.table({"driver": [1, 2], "at": times(0, 0), "x": [7, 8]}), tmp_path / "v.parquet")
    service = Service(
        "s",
        (
            Projection("v", ("x",), "origin", (("driver", "from_driver"),)),
            Projection("v", ("x",), "target", (("driver", "to_driver"),)),
        ),
    )
    catalog = Catalog("p", views=(view(created_timestamp_column="made"),), services=(service,))
    pq.write_table(pa.table({"driver": [1, 2], "at": times(0, 0), "x": [7, 8], "made": times(0, 1)}), tmp_path / "v.parquet")
    entities = pa.table({"from_driver": [1, 2], "to_driver": [2, 1], "event_timestamp": times(0, 0)})
    joined = join(entities, "event_timestamp", select(catalog, "s", full_feature_names=True), tmp_path)
    assert joined.table.select(["origin__x", "target__x"]).to_pydict() == {"origin__x": [7, 8], "target__x": [8, 7]}
    assert [(part.view, part.names, part.rows, part.created_later) for part in joined.leakage] == [
        ("v", ("origin__x",), 2, 1),
        ("v", ("target__x",), 2, 1),
    ]


def test_an_early_creation_wins_over_a_later_one_when_only_what_was_known_counts(tmp_path: Path) -> None:
    table = {"driver": [1, 1, 1, 1], "at": times(1, 5, 5, 6), "made": times(2, 30, 7, None), "x": [10, 50, 51, 60]}
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    selection = select(Catalog("p", views=(view(created_timestamp_column="made"),)), ["v:x"])
    entities = pa.table({"driver": [1] * 5, "event_timestamp": times(1, 2, 6, 7, 30)})
    known = join(entities, "event_timestamp", selection, tmp_path, filter_by_created_timestamp=True)
    assert known.table["x"].to_pylist() == [None, 10, 10, 51, 50]
    assert [(part.rows, part.created_later) for part in known.leakage] == [(4, 0)]

"""What may be given for a type, from Python, Arrow and messages; what does not fit is refused with the name of its column."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType as V
from featurestore.wire.arrow import ZONED_TIME, column_from_arrow, column_to_arrow
from featurestore.wire.columns import Column
from featurestore.wire.feast_messages import values_from_bytes
from featurestore.wire.gen.feast.types import Value_pb2 as pb
from featurestore.wire.values import column_from_python, column_from_values, column_to_python


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (V.INT64, 2**63),
        (V.INT64, -(2**63) - 1),
        (V.INT32, 2**31),
        (V.INT32, np.int64(2**31)),
        (V.INT64, 1.0),
        (V.INT64, True),
        (V.INT64, "1"),
        (V.DOUBLE, True),
        (V.DOUBLE, 10**400),
        (V.FLOAT, 1e300),
        (V.BOOL, 1),
        (V.STRING, b"a"),
        (V.STRING, "\ud800"),
        (V.BYTES, "a"),
        (V.UUID, "no uuid"),
        (V.DECIMAL, "1,5"),
        (V.JSON, "{"),
        (V.JSON, {"a": object()}),
        (V.UNIX_TIMESTAMP, 5),
        (V.UNIX_TIMESTAMP, np.datetime64(1, "ns")),
        (V.INT64_LIST, [1, None]),
        (V.INT64_LIST, 1),
        (V.STRING_LIST, "text"),
        (V.STRING_LIST, [1]),
        (V.MAP, {1: 2}),
        (V.MAP, {"a": object()}),
        (V.MAP, {"a": 2**70}),
        (V.MAP, {"a": [1, "b"]}),
        (V.MAP, [1]),
        (V.MAP, "{"),
        (V.MAP_LIST, {"a": 1}),
        (V.SCALAR_MAP, {"text": 1}),
        (V.VALUE_LIST, 5),
        (V.ZONED_TIMESTAMP, "2020-01-01"),
    ],
)
def test_python_value(dtype: V, value: Any) -> None:
    with pytest.raises(InvalidInputError, match="spend"):
        column_from_python([None, value], dtype, "spend")


def test_nat_is_null() -> None:
    column = column_from_python([np.datetime64("NaT"), datetime(2020, 1, 1)], V.UNIX_TIMESTAMP, "t")
    assert column_to_python(column) == [None, datetime(2020, 1, 1, tzinfo=UTC)]


def test_time_beyond_pythons_years_is_refused_by_python_and_kept_by_arrow() -> None:
    column = Column(V.UNIX_TIMESTAMP, np.array([2**63 - 1]))
    with pytest.raises(InvalidInputError, match="9999"):
        column_to_python(column)
    assert column_to_arrow(column).cast(pa.int64()).to_pylist() == [2**63 - 1]


def _text(data: bytes) -> pa.Array:
    return pa.array([data], pa.binary()).cast(pa.string(), safe=False)


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        (V.INT32, pa.array([2**31])),
        (V.INT64, pa.array([1.5])),
        (V.INT64, pa.array([float("nan")])),
        (V.INT64, pa.array([2**63], pa.uint64())),
        (V.INT64, pa.array(["1"])),
        (V.INT64, pa.array([True])),
        (V.INT64, pa.array([1], pa.timestamp("us"))),
        (V.FLOAT, pa.array([1e300])),
        (V.FLOAT, pa.array(["1"])),
        (V.BOOL, pa.array([1])),
        (V.STRING, pa.array([1])),
        (V.STRING, pa.array([b"a"])),
        (V.STRING, _text(b"\xff")),
        (V.BYTES, pa.array(["a"])),
        (V.UUID, pa.array(["no uuid"])),
        (V.DECIMAL, pa.array(["1,5"])),
        (V.UNIX_TIMESTAMP, pa.array([1])),
        (V.UNIX_TIMESTAMP, pa.array([1], pa.timestamp("ns"))),
        (V.UNIX_TIMESTAMP, pa.array([2**62], pa.timestamp("s"))),
        (V.INT64_LIST, pa.array([[1, None]])),
        (V.INT64_LIST, pa.array([[None]])),
        (V.INT64_LIST, pa.array([["a"]])),
        (V.INT64_LIST, pa.array([1])),
        (V.STRING_LIST, pa.array([["a", None]])),
        (V.MAP, pa.array([1])),
        (V.MAP, pa.array([b"\xff\xff"])),
        (V.MAP, pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64()))),
        (V.ZONED_TIMESTAMP, pa.array(["2020-01-01"])),
    ],
    ids=lambda v: v.name if isinstance(v, V) else str(v.type),
)
def test_arrow_value(dtype: V, array: pa.Array) -> None:
    with pytest.raises(InvalidInputError, match="spend"):
        column_from_arrow(array, dtype, "spend")


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (V.INT32, pb.Value(int64_val=2**31)),
        (V.INT64, pb.Value(double_val=1.0)),
        (V.INT64, pb.Value(string_val="1")),
        (V.INT64, pb.Value(unix_timestamp_val=1)),
        (V.FLOAT, pb.Value(double_val=0.1)),
        (V.FLOAT, pb.Value(double_val=1e300)),
        (V.DOUBLE, pb.Value(int64_val=2**53 + 1)),
        (V.STRING, pb.Value(int64_val=1)),
        (V.UUID, pb.Value(string_val="no uuid")),
        (V.UNIX_TIMESTAMP, pb.Value(unix_timestamp_val=2**62)),
        (V.UNIX_TIMESTAMP, pb.Value(int64_val=1)),
        (V.ZONED_TIMESTAMP, pb.Value(zoned_timestamp_val=pb.ZonedTimestamp(unix_timestamp=2**62))),
        (V.INT64_LIST, pb.Value(int64_val=1)),
        (V.INT64_LIST, pb.Value(string_list_val=pb.StringList(val=["a"]))),
        (V.INT32_LIST, pb.Value(int64_list_val=pb.Int64List(val=[2**31]))),
        (V.MAP, pb.Value(string_val="{}")),
    ],
)
def test_message(dtype: V, value: pb.Value) -> None:
    with pytest.raises(InvalidInputError, match="spend"):
        column_from_values([pb.Value(), value], dtype, "spend")


@pytest.mark.parametrize("null", [pb.Value(), pb.Value(null_val=pb.NULL)])
def test_null_message_where_none_may_be(null: pb.Value) -> None:
    assert column_to_python(column_from_values([pb.Value(int64_val=0), null], V.INT64, "spend")) == [0, None]
    with pytest.raises(InvalidInputError, match="spend is null in row 1"):
        column_from_values([pb.Value(int64_val=0), null], V.INT64, "spend", nullable=False)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (V.INT64, [pb.Value(int32_val=-5), pb.Value(int64_val=2**40)], [-5, 2**40]),
        (V.INT32, [pb.Value(int64_val=-(2**31))], [-(2**31)]),
        (V.DOUBLE, [pb.Value(float_val=0.5), pb.Value(int64_val=3), pb.Value(double_val=float("inf"))], [0.5, 3.0, float("inf")]),
        (V.FLOAT, [pb.Value(double_val=0.5)], [0.5]),
        (V.UUID, [pb.Value(string_val="0" * 32)], [UUID(int=0)]),
        (V.DECIMAL, [pb.Value(string_val="1.50")], [Decimal("1.50")]),
        (V.JSON, [pb.Value(string_val="[1]")], [[1]]),
        (V.INT64_LIST, [pb.Value(int32_list_val=pb.Int32List(val=[1]))], [[1]]),
        (V.STRUCT, [pb.Value(map_val=pb.Map())], [{}]),
    ],
)
def test_message_of_another_type_that_fits(dtype: V, values: list[pb.Value], expected: list[Any]) -> None:
    assert column_to_python(column_from_values(values, dtype, "x", nullable=False)) == expected


def test_bytes_that_are_no_message() -> None:
    with pytest.raises(InvalidInputError, match="spend"):
        values_from_bytes([b"\xff"], V.INT64, "spend")


_DECIMALS = pa.array(["1.50", None]).cast(pa.decimal128(5, 2))


@pytest.mark.parametrize(
    ("dtype", "array", "expected"),
    [
        (V.INT32, pa.array([1, None]), [1, None]),
        (V.INT64, pa.array([2.0, None]), [2, None]),
        (V.INT64, pa.array([1, None], pa.uint8()).dictionary_encode(), [1, None]),
        (V.FLOAT, pa.array([0.1, float("inf")]), [float(np.float32(0.1)), float("inf")]),
        (V.DOUBLE, pa.array([2**53 + 1]), [float(2**53)]),
        (V.DOUBLE, _DECIMALS, [1.5, None]),
        (V.DECIMAL, _DECIMALS, [Decimal("1.50"), None]),
        (V.BOOL, pa.array([True, None, False])[1:], [None, False]),
        (V.STRING, pa.array(["a", None, "c"], pa.string_view()), ["a", None, "c"]),
        (V.STRING, pa.array(["a", None, "a"], pa.large_string()).dictionary_encode(), ["a", None, "a"]),
        (V.STRING, pa.chunked_array([["a"], ["b", None]]), ["a", "b", None]),
        (V.STRING, pa.chunked_array([], pa.string()), []),
        (V.STRING, pa.array(["a", "bb", "c"], pa.large_string())[1:], ["bb", "c"]),
        (V.INT64, pa.array([1, 2, 3])[1:], [2, 3]),
        (V.BYTES, pa.array([b"ab", None], pa.binary(2)), [b"ab", None]),
        (V.UUID, pa.array([b"\x00" * 16, bytes(range(16))], pa.uuid())[1:], [UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")]),
        (V.UNIX_TIMESTAMP, pa.array([1500, None], pa.timestamp("ms")), [datetime(1970, 1, 1, 0, 0, 1, 500000, UTC), None]),
        (V.UNIX_TIMESTAMP, pa.array([1], pa.timestamp("s", "America/New_York")), [datetime(1970, 1, 1, 0, 0, 1, 0, UTC)]),
        (V.UNIX_TIMESTAMP, pa.array([1], pa.int32()).cast(pa.date32()), [datetime(1970, 1, 2, tzinfo=UTC)]),
        (V.INT32_LIST, pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        (V.INT64_LIST, pa.array([[1, 2], None, [3]], pa.list_view(pa.int64())), [[1, 2], None, [3]]),
        (V.STRING_LIST, pa.array([["a", "bb"], None, [""]], pa.large_list(pa.large_string()))[1:], [None, [""]]),
        (V.STRING_LIST, pa.array([[], []]), [[], []]),
        (V.STRING_SET, pa.nulls(2), [None, None]),
        (V.MAP, pa.array([{"rating": "5", "age": None}, None]), [{"rating": "5", "age": None}, None]),
        (V.MAP, pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int32())), [{"a": 1}, None]),
        (V.MAP, pa.array(['{"a": {"b": [1.5]}}']), [{"a": {"b": [1.5]}}]),
        (V.STRUCT, pa.array([{"name": "x", "nested": {"n": 1}}]), [{"name": "x", "nested": {"n": 1}}]),
        (V.MAP_LIST, pa.array([[{"a": 1}], None, []]), [[{"a": 1}], None, []]),
        (V.SCALAR_MAP, pa.array([[(1, "a")]], pa.map_(pa.int32(), pa.string())), [{1: "a"}]),
        (V.VALUE_LIST, pa.array([[[1], [2, 3], None], None]), [[[1], [2, 3], None], None]),
        (V.ZONED_TIMESTAMP, pa.array([{"timestamp": None, "zone": "UTC"}, None], ZONED_TIME), [None, None]),
    ],
    ids=lambda v: v.name if isinstance(v, V) else None,
)
def test_other_arrow_layouts(dtype: V, array: pa.Array, expected: list[Any]) -> None:
    column = column_from_arrow(array, dtype, "x")
    assert column_to_python(column) == expected
    column_to_arrow(column).validate(full=True)


def test_zoned_timestamp_from_a_column_with_a_zone() -> None:
    column = column_from_arrow(pa.array([0, None], pa.timestamp("s", "Asia/Tokyo")), V.ZONED_TIMESTAMP, "x")
    assert column_to_arrow(column).to_pylist() == [{"timestamp": datetime(1970, 1, 1, tzinfo=UTC), "zone": "Asia/Tokyo"}, None]

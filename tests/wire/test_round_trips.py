"""Every type, through every form a column takes: Python, storage, Arrow, Value messages and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.types import ValueType
from featurestore.wire.arrow import arrow_type, column_from_arrow, column_to_arrow
from featurestore.wire.columns import Column
from featurestore.wire.feast_messages import column_to_value_bytes, values_from_bytes
from featurestore.wire.gen.feast.types import Value_pb2 as pb
from featurestore.wire.values import column_from_python, column_from_values, column_to_python, encode_columns, encode_values
from tests.wire.examples import ALL, columns, message, same, storage_form, whole_seconds

EXAMPLES = settings(max_examples=15, deadline=None)
_ZONES: dict[str, Any] = {
    "UTC-07:00": timezone(timedelta(hours=-7)),
    "Europe/Berlin": ZoneInfo("Europe/Berlin"),
    "UTC": UTC,
    "": None,
}


def given_as(values: list[Any], dtype: ValueType) -> list[Any]:
    """The examples' values as a caller writes them: a zoned time is a datetime in its zone."""
    if dtype is not ValueType.ZONED_TIMESTAMP:
        return values
    return [v and (v[0] if not v[1] else v[0].replace(tzinfo=UTC).astimezone(_ZONES[v[1]])) for v in values]


def come_back(values: list[Any], dtype: ValueType) -> list[Any]:
    """What `column_to_python` is to give for them."""
    if dtype is ValueType.ZONED_TIMESTAMP:
        return [v and v[0].replace(tzinfo=UTC).astimezone(_ZONES[v[1]] or UTC) for v in values]
    if dtype is ValueType.JSON:
        return [v and json.loads(v) for v in values]
    if dtype is ValueType.JSON_LIST:
        return [v and [json.loads(item) for item in v] for v in values]
    if dtype.element is not None and dtype.name.endswith("_SET"):
        return [v if v is None else set(v) for v in values]
    return values


@pytest.mark.parametrize("dtype", ALL, ids=lambda t: t.name)
@EXAMPLES
@given(data=st.data())
def test_values_survive_python_arrow_and_messages(dtype: ValueType, data: st.DataObject) -> None:
    values = data.draw(columns(dtype))
    column = column_from_python(given_as(values, dtype), dtype, "x")
    assert same(column_to_python(column), come_back(values, dtype))

    array = column_to_arrow(column)
    array.validate(full=True)
    assert array.type == arrow_type(dtype)
    assert array.is_null().to_pylist() == [v is None for v in values]
    from_arrow = column_from_arrow(array, dtype, "x")
    assert same(column_to_python(from_arrow), come_back(values, dtype))

    parsed = pb.RepeatedValue.FromString(encode_values(from_arrow))
    from_wire = column_from_values(parsed.val, dtype, "x")
    assert same(column_to_python(from_wire), [whole_seconds(v) for v in come_back(values, dtype)])
    assert same(
        column_to_python(values_from_bytes(column_to_value_bytes(column), dtype, "x")),
        [whole_seconds(v) for v in come_back(values, dtype)],
    )


@pytest.mark.parametrize("dtype", ALL, ids=lambda t: t.name)
@EXAMPLES
@given(data=st.data())
def test_bytes_are_those_of_the_protobuf_library(dtype: ValueType, data: st.DataObject) -> None:
    values = data.draw(columns(dtype))
    column = column_from_python(given_as(values, dtype), dtype, "x")
    wanted = [message(v, dtype) for v in values]
    whole = pb.RepeatedValue(val=wanted).SerializeToString(deterministic=True)
    assert encode_values(column) == whole
    # Many cells are encoded all at once, few of them one by one.
    many = column_from_python(given_as(values, dtype) * 70, dtype, "x")
    assert encode_values(many) == whole * 70
    assert column_to_value_bytes(column) == [v.SerializeToString(deterministic=True) for v in wanted]


@pytest.mark.parametrize("dtype", [t for t in ALL if not t.is_message and t is not ValueType.ZONED_TIMESTAMP], ids=lambda t: t.name)
@EXAMPLES
@given(data=st.data())
def test_cells_are_in_the_documented_storage_form(dtype: ValueType, data: st.DataObject) -> None:
    values = data.draw(columns(dtype))
    column = column_from_python(values, dtype, "x")
    again = column_from_arrow(column_to_arrow(column), dtype, "x")
    for got in (column, again):
        cells = [got.values[i : i + 1].tobytes() for i in range(len(got))] if dtype.is_fixed else got.cells()
        for cell, value in zip(cells, values, strict=True):
            # NaN has many bit patterns in 32 bits once Python's 64 have passed through it; any of them is NaN.
            if value is not None and value == value and "FLOAT" not in dtype.name:
                assert cell == storage_form(value, dtype)


@EXAMPLES
@given(
    st.lists(st.sampled_from([ValueType.INT64, ValueType.DOUBLE, ValueType.STRING, ValueType.STRING_LIST]), max_size=6), st.data()
)
def test_columns_encoded_together_equal_those_encoded_alone(dtypes: list[ValueType], data: st.DataObject) -> None:
    made = [column_from_python(data.draw(columns(dtype)), dtype, "x") for dtype in dtypes]
    assert encode_columns(made) == [encode_values(column) for column in made]


@pytest.mark.parametrize("dtype", [ValueType.STRING, ValueType.INT64_LIST, ValueType.STRING_LIST], ids=lambda t: t.name)
def test_what_stands_in_a_null_cell_goes_nowhere(dtype: ValueType) -> None:
    filled: list[Any] = ["a", "secret", "b"] if dtype is ValueType.STRING else [["1"], ["2", "3"], ["4"]]
    if dtype is ValueType.INT64_LIST:
        filled = [[1], [2, 3], [4]]
    full = column_from_python(filled, dtype, "x")
    hidden = Column(dtype, full.values, full.offsets, np.array([True, False, True]))
    expected = [filled[0], None, filled[2]]
    assert column_to_python(hidden) == expected
    assert encode_values(hidden) == encode_values(column_from_python(expected, dtype, "x"))
    assert column_to_arrow(hidden).to_pylist() == expected


def test_a_slice_of_a_columns_buffers_is_a_column() -> None:
    full = column_from_python(["a", "bb", "", "dddd"], ValueType.STRING, "x")
    assert full.offsets is not None
    middle = Column(ValueType.STRING, full.values, full.offsets[1:])
    assert column_to_arrow(middle).to_pylist() == ["bb", "", "dddd"]
    assert encode_values(middle) == encode_values(column_from_python(["bb", "", "dddd"], ValueType.STRING, "x"))


def test_the_instant_before_the_epoch_rounds_down() -> None:
    column = column_from_python([datetime(1969, 12, 31, 23, 59, 59, 999999)], ValueType.UNIX_TIMESTAMP, "t")
    assert pb.RepeatedValue.FromString(encode_values(column)).val[0].unix_timestamp_val == -1

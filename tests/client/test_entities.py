"""Entity rows to typed columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from featurestore.client.entities import entity_columns
from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.values import column_to_python

SECOND = datetime(2011, 12, 9, 12, 50, 1, tzinfo=UTC)
SOME_UUID = UUID(int=7)


@pytest.mark.parametrize(
    ("values", "dtype", "held"),
    [
        ([1, -(2**63), 2**63 - 1], ValueType.INT64, [1, -(2**63), 2**63 - 1]),
        ([True, False], ValueType.BOOL, [True, False]),
        (["a", ""], ValueType.STRING, ["a", ""]),
        ([b"\xff", b""], ValueType.BYTES, [b"\xff", b""]),
        ([SECOND, SECOND.replace(tzinfo=None)], ValueType.UNIX_TIMESTAMP, [SECOND, SECOND]),
        ([SOME_UUID, str(SOME_UUID)], ValueType.STRING, [str(SOME_UUID)] * 2),
        ([np.int32(3), 4], ValueType.INT64, [3, 4]),
        (np.array([3, 4], dtype=np.int8), ValueType.INT64, [3, 4]),
        ([], ValueType.INT64, []),
    ],
)
def test_a_keys_type_is_that_of_its_python_values(values: Any, dtype: ValueType, held: list[Any]) -> None:
    column = entity_columns({"key": values})["key"]
    assert (column.dtype, column_to_python(column)) == (dtype, held)


def test_rows_and_columns_mean_the_same() -> None:
    rows = entity_columns([{"a": 1, "b": "x"}, {"b": "y", "a": 2}])
    columns = entity_columns({"a": [1, 2], "b": ("x", "y")})
    for name in ("a", "b"):
        assert column_to_python(rows[name]) == column_to_python(columns[name])


def test_a_row_without_keys_is_allowed_for_views_without_entities() -> None:
    assert entity_columns([{}]) == {}


@pytest.mark.parametrize(
    ("entity_rows", "message"),
    [
        ({"key": [1, "1"]}, r"key are of several types \(int, str\)"),
        ({"key": [1, True]}, r"several types \(bool, int\)"),
        ({"key": [1, None]}, "key has a null"),
        ({"key": [1.5]}, "key has a value of type float; give one of bool, int, str"),
        ({"key": [2**63]}, "key"),
        ({"key": "abc"}, "the values of key are str, not a list"),
        ({"key": 7}, "the values of key are int, not a list"),
        ({"a": [1], "b": [1, 2]}, r"different numbers of values \(a: 1, b: 2\)"),
        ([{"a": 1}, {"b": 1}], "row 1 of entity_rows names b, row 0 a"),
        ([], "entity_rows is empty"),
        ("abc", "neither rows nor columns"),
        ([1], "neither rows nor columns"),
        ({"key": [SECOND.replace(microsecond=1)]}, "key has a time within a second; give whole seconds"),
    ],
)
def test_what_cannot_be_sent_is_refused(entity_rows: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        entity_columns(entity_rows)

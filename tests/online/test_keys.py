"""Store keys: equal values, equal keys; different values, different keys; nothing cut."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.online import encode_keys
from featurestore.online.keys import MAX_KEY_BYTES
from featurestore.wire.columns import Column

INT64 = st.integers(-(2**63), 2**63 - 1)


def ints(values: list[int], dtype: ValueType = ValueType.INT64) -> Column:
    return Column(dtype, np.array(values, dtype=np.int32 if dtype == ValueType.INT32 else np.int64))


def texts(values: list[bytes], dtype: ValueType = ValueType.STRING) -> Column:
    return Column.from_cells(dtype, values)


@given(st.lists(INT64))
def test_integer_keys_are_big_endian_with_the_sign_flipped(values: list[int]) -> None:
    assert encode_keys([ints(values)]) == [struct.pack(">Q", value + 2**63) for value in values]


@given(st.lists(INT64, unique=True))
def test_integer_keys_sort_as_the_numbers(values: list[int]) -> None:
    keys = dict(zip(encode_keys([ints(values)]), values, strict=True))
    assert [keys[key] for key in sorted(keys)] == sorted(values)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_both_integer_widths_give_the_same_key(values: list[int]) -> None:
    assert encode_keys([ints(values, ValueType.INT32)]) == encode_keys([ints(values)])


@given(st.lists(st.tuples(INT64, st.booleans(), st.binary(max_size=600), st.binary(max_size=30)), max_size=12))
def test_keys_of_several_columns_follow_their_definition(rows: list[tuple[int, bool, bytes, bytes]]) -> None:
    columns = [
        ints([r[0] for r in rows]),
        Column(ValueType.BOOL, np.array([r[1] for r in rows], dtype=np.bool_)),
        texts([r[2] for r in rows]),
        texts([r[3] for r in rows], ValueType.BYTES),
    ]
    expected = []
    for number, flag, text, data in rows:
        key = b"\0" + (number + 2**63).to_bytes(8, "big") + bytes([flag])
        key += len(text).to_bytes(4, "big") + text + len(data).to_bytes(4, "big") + data
        expected.append(key if len(key) <= 511 else b"\1" + hashlib.sha256(key).digest())
    assert encode_keys(columns) == expected


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), unique=True))
def test_where_one_string_ends_and_the_next_begins_is_part_of_the_key(pairs: list[tuple[bytes, bytes]]) -> None:
    keys = encode_keys([texts([a for a, _ in pairs]), texts([b for _, b in pairs])])
    assert len(set(keys)) == len(pairs)


def test_long_keys_are_hashed_and_stay_different() -> None:
    long = [b"x" * n for n in range(500, 700)] + [b"x" * 599 + b"y"]
    keys = encode_keys([texts(long)])
    assert len(set(keys)) == len(long)
    assert max(map(len, keys)) <= MAX_KEY_BYTES
    assert keys[0] == b"\0" + struct.pack(">I", 500) + long[0]


def test_a_key_that_looks_like_a_hash_is_not_one() -> None:
    (hashed,) = encode_keys([texts([b"z" * 2000])])
    assert encode_keys([texts([hashed])]) != [hashed]


def test_many_fixed_columns_are_hashed_too() -> None:
    (key,) = encode_keys([ints([n]) for n in range(64)])
    assert len(key) == 33


def test_a_sliced_column_gives_the_keys_of_its_part() -> None:
    whole = texts([b"a", b"bb", b"", b"dddd"])
    assert whole.offsets is not None
    part = Column(whole.dtype, whole.values, whole.offsets[1:4])
    assert encode_keys([part]) == encode_keys([whole])[1:3]


def test_a_view_without_entities_has_one_key() -> None:
    assert encode_keys([]) == encode_keys([])
    assert len(encode_keys([])) == 1
    assert encode_keys([])[0]


def test_no_rows_no_keys() -> None:
    assert encode_keys([ints([])]) == []
    assert encode_keys([texts([])]) == []


def test_a_null_is_refused_by_name_and_row() -> None:
    column = Column(ValueType.INT64, np.array([1, 2, 3]), None, np.array([True, True, False]))
    with pytest.raises(InvalidInputError, match="customer_id is null in row 2"):
        encode_keys([column], ["customer_id"])


def test_a_float_is_no_key() -> None:
    with pytest.raises(InvalidInputError, match="number 1 is DOUBLE"):
        encode_keys([Column(ValueType.DOUBLE, np.zeros(1))])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="has 1 values, the first has 2"):
        encode_keys([ints([1, 2]), ints([1])])

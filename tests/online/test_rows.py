"""The packed row: every bit comes back, and no damaged or foreign row is read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.catalog import Field, View
from featurestore.core.errors import CorruptDataError, InvalidInputError
from featurestore.core.types import ValueType
from featurestore.online import NO_CREATED_TIME, RowCodec, header_times
from featurestore.online.rows import intact
from featurestore.wire.columns import Column
from tests.online.samples import SPEND, SPEND_CHANGED, cell_strategy, cells_of, column, spend_batch, view

TIMES = st.integers(-(2**63) + 1, 2**63 - 1)
WIDTHS = {
    ValueType.BOOL: 1,
    ValueType.INT32: 4,
    ValueType.FLOAT: 4,
    ValueType.INT64: 8,
    ValueType.DOUBLE: 8,
    ValueType.UNIX_TIMESTAMP: 8,
}

Table = tuple[list[ValueType], list[tuple[int, int | None, list[bytes | None]]]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Feature types, and rows of event time, created time and a storage form for each feature."""
    types = draw(st.lists(st.sampled_from(list(ValueType)), max_size=12))
    row = st.tuples(TIMES, st.none() | TIMES, st.tuples(*[st.none() | cell_strategy(t) for t in types]).map(list))
    return types, draw(st.lists(row, max_size=6))


def packed_by_hand(of: View, key: bytes, event: int, created: int | None, cells: list[bytes | None]) -> bytes:
    """The row format, written from its description one value at a time."""
    nulls = bytearray((len(cells) + 7) // 8)
    fixed, ends, tail = b"", b"", b""
    for place, (field, cell) in enumerate(zip(of.features, cells, strict=True)):
        if cell is None:
            nulls[place // 8] |= 1 << place % 8
        if field.dtype in WIDTHS:
            fixed += bytes(WIDTHS[field.dtype]) if cell is None else cell
        else:
            tail += cell or b""
            ends += struct.pack("<I", len(tail))
    created = -(2**63) if created is None else created
    body = struct.pack("<BIqq", 1, of.fingerprint, event, created) + bytes(nulls) + fixed + ends + tail
    return body + struct.pack("<I", zlib.crc32(key + body))


def keys_for(rows: Sequence[object]) -> list[bytes]:
    return [b"key %d" % n for n in range(len(rows))]


def encoded(table: Table) -> tuple[View, list[bytes]]:
    types, rows = table
    of = view("any", types)
    columns = [column(dtype, [r[2][i] for r in rows]) for i, dtype in enumerate(types)]
    event = np.array([r[0] for r in rows], dtype=np.int64)
    created = np.array([NO_CREATED_TIME if r[1] is None else r[1] for r in rows], dtype=np.int64)
    return of, RowCodec(of).encode(keys_for(rows), columns, event, created)


@given(tables())
def test_rows_follow_the_format_byte_for_byte(table: Table) -> None:
    of, rows = encoded(table)
    assert rows == [packed_by_hand(of, key, *row) for key, row in zip(keys_for(rows), table[1], strict=True)]


@given(tables(), st.data())
def test_every_value_comes_back_bit_for_bit_and_missing_rows_as_null(table: Table, data: st.DataObject) -> None:
    of, rows = encoded(table)
    asked = data.draw(st.lists(st.none() | st.integers(0, len(rows) - 1) if rows else st.none(), max_size=8))
    wanted = data.draw(st.lists(st.integers(0, len(of.features) - 1), unique=True) if of.features else st.just([]))
    keys = [b"nobody" if i is None else b"key %d" % i for i in asked]
    got = RowCodec(of).decode(keys, [None if i is None else rows[i] for i in asked], [of.features[j] for j in wanted])
    origin = [(0, None, [None] * len(of.features)) if i is None else table[1][i] for i in asked]
    assert got.found.tolist() == [i is not None for i in asked]
    assert got.event_us.tolist() == [event for event, _, _ in origin]
    assert got.created_us.tolist() == [-(2**63) if created is None else created for _, created, _ in origin]
    assert [cells_of(c) for c in got.columns] == [[row[2][j] for row in origin] for j in wanted]
    assert [c.dtype for c in got.columns] == [of.features[j].dtype for j in wanted]


@given(tables())
def test_what_lies_under_a_null_is_zero(table: Table) -> None:
    of, rows = encoded(table)
    for got in RowCodec(of).decode(keys_for(rows), rows, of.features).columns:
        if got.valid is None:
            continue
        if got.offsets is None:
            assert not got.values[~got.valid].view(np.uint8).any()
        else:
            assert not np.diff(got.offsets)[~got.valid].any()


@given(tables())
def test_header_times_are_the_times(table: Table) -> None:
    _, rows = encoded(table)
    event, created = header_times(rows)
    assert event.tolist() == [e for e, _, _ in table[1]]
    assert created.tolist() == [-(2**63) if c is None else c for _, c, _ in table[1]]


@settings(deadline=None)
@given(st.sampled_from([SPEND, view("fixed", [ValueType.INT32, ValueType.BOOL]), view("none", [])]))
def test_a_flip_of_any_bit_is_detected(of: View) -> None:
    codec = RowCodec(of)
    columns = [column(f.dtype, [struct.pack("<d", 2.5)[: WIDTHS.get(f.dtype, 8)], None]) for f in of.features]
    if len(of.features) == 2 and of.features[1].dtype == ValueType.BOOL:
        columns[1] = column(ValueType.BOOL, [b"\x01", None])
    row, other = codec.encode([b"a", b"b"], columns, np.array([5, 6]))
    for byte in range(len(row)):
        for bit in range(8):
            flipped = row[:byte] + bytes([row[byte] ^ 1 << bit]) + row[byte + 1 :]
            assert intact([b"a", b"b"], [flipped, other]).tolist() == [False, True]
            with pytest.raises(CorruptDataError, match=rf"view {of.name}: the stored row of entity 1 fails its checksum"):
                codec.decode([b"b", b"a"], [other, flipped], of.features)


def test_a_row_cut_or_lengthened_anywhere_is_detected() -> None:
    keys, (row,) = spend_batch([1], [(1, None, 2.5, b"note")])
    for length in range(len(row)):
        with pytest.raises(CorruptDataError):
            RowCodec(SPEND).decode(keys, [row[:length]], SPEND.features)
    with pytest.raises(CorruptDataError):
        RowCodec(SPEND).decode(keys, [row + b"\0"], SPEND.features)


def test_a_row_of_another_definition_is_refused_with_the_remedy() -> None:
    keys, rows = spend_batch([1], [(1, None, 2.5, b"note")], SPEND_CHANGED)
    with pytest.raises(CorruptDataError, match=r"spend has been changed since it was materialized; run `featurestore materialize`"):
        RowCodec(SPEND).decode(keys, rows, SPEND.features)


def test_a_shorter_row_of_another_definition_is_refused_as_well() -> None:
    (key,), row = spend_batch([1], [(1, None, 2.5, b"")])
    short = RowCodec(view("spend", [])).encode([b"a"], [], np.array([1]))
    with pytest.raises(CorruptDataError, match="spend has been changed"):
        RowCodec(SPEND).decode([b"a", key], [*short, *row], SPEND.features)


def test_a_row_of_a_later_format_is_refused() -> None:
    (key,), (row,) = spend_batch([1], [(1, None, 2.5, b"note")])
    body = b"\x02" + row[1:-4]
    with pytest.raises(CorruptDataError, match="format this version cannot read"):
        RowCodec(SPEND).decode([key], [body + struct.pack("<I", zlib.crc32(key + body))], SPEND.features)


def test_columns_sliced_out_of_larger_ones_are_packed_as_their_part() -> None:
    of = view("text", [ValueType.STRING, ValueType.BYTES])
    cells = [b"one", b"", b"three", b"four"]
    whole = Column.from_cells(ValueType.STRING, cells)
    assert whole.offsets is not None
    part = Column(ValueType.STRING, whole.values, whole.offsets[1:4])
    rows = RowCodec(of).encode([b"a", b"b"], [part, Column.from_cells(ValueType.BYTES, [b"x", b"y"])], np.array([1, 2]))
    assert [cells_of(c) for c in RowCodec(of).decode([b"a", b"b"], rows, of.features).columns] == [[b"", b"three"], [b"x", b"y"]]


def test_columns_that_are_not_the_views_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="view spend cannot be packed from columns of 1 DOUBLE"):
        RowCodec(SPEND).encode([b"a"], [Column(ValueType.DOUBLE, np.zeros(1))], np.zeros(1, dtype=np.int64))
    with pytest.raises(InvalidInputError, match="give 2 values for each of f0"):
        RowCodec(SPEND).encode(
            [b"a", b"b"],
            [Column(ValueType.DOUBLE, np.zeros(2)), Column.from_cells(ValueType.STRING, [b""])],
            np.zeros(2, dtype=np.int64),
        )


def test_a_feature_of_another_view_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="other is no feature of view spend; ask for some of f0, f1"):
        RowCodec(SPEND).decode([], [], [Field("other", ValueType.INT64)])


def test_rows_without_as_many_keys_are_refused() -> None:
    keys, rows = spend_batch([1, 2], [(1, None, 2.5, b""), (2, None, 2.5, b"")])
    with pytest.raises(InvalidInputError, match="1 keys but 2 rows"):
        RowCodec(SPEND).decode(keys[:1], rows, SPEND.features)
    with pytest.raises(InvalidInputError, match="2 keys but 1 rows"):
        RowCodec(view("none", [])).encode(keys, [], np.array([1]))


def test_rows_exchanged_between_keys_are_detected() -> None:
    keys, rows = spend_batch([1, 2], [(1, None, 2.5, b""), (2, None, 2.5, b"")])
    with pytest.raises(CorruptDataError, match="entity 0 fails its checksum"):
        RowCodec(SPEND).decode(keys[::-1], rows, SPEND.features)
    assert intact([keys[0], keys[0]], rows).tolist() == [True, False]

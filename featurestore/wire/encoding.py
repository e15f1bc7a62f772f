"""Columns to the bytes of `feast.types.Value` messages, with numpy and without an object for a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurestore.core.types import FIXED_WIDTH, ValueType
from featurestore.wire.columns import STORAGE_DTYPES, Column
from featurestore.wire.gen.feast.types import Value_pb2 as pb
from featurestore.wire.lists import list_elements
from featurestore.wire.ragged import Bytes, Lengths, ends_of, interleave, sums, valid_bytes
from featurestore.wire.varints import tag, unsigned, varint, varint_matrix, varint_sizes

SECOND = 1_000_000
"""Microseconds. Feast's wire carries whole seconds, so a timestamp is rounded down to its second."""

_VALUE_TAG = tag(1, 2)
_WIRE_TYPES = {
    ValueType.BOOL: 0,
    ValueType.INT32: 0,
    ValueType.INT64: 0,
    ValueType.UNIX_TIMESTAMP: 0,
    ValueType.DOUBLE: 1,
    ValueType.FLOAT: 5,
}
_TAGS = {dtype: tag(int(dtype), _WIRE_TYPES.get(dtype, 2)) for dtype in ValueType}
"""A value's field in `Value` has its type's number."""


def _packed_dtype(dtype: ValueType) -> np.dtype[np.void]:
    return np.dtype([("head", "u1", (len(_VALUE_TAG) + 1 + len(_TAGS[dtype]),)), ("value", STORAGE_DTYPES[dtype])])


_PACKED = {dtype: _packed_dtype(dtype) for dtype in (ValueType.BOOL, ValueType.FLOAT, ValueType.DOUBLE)}
"""A whole cell of the types whose values always take the same number of bytes."""
_PACKED_HEADS = {
    dtype: np.frombuffer(_VALUE_TAG + bytes([len(_TAGS[dtype]) + FIXED_WIDTH[dtype]]) + _TAGS[dtype], dtype=np.uint8)
    for dtype in _PACKED
}

_NULL_CELL = _VALUE_TAG + b"\0"
_FEW = 64
"""Cells of one type up to which they are encoded one by one."""
_ONE_BY_ONE = {dtype for dtype in ValueType if dtype.element is None and dtype is not ValueType.ZONED_TIMESTAMP}


def encode_values(column: Column) -> bytes:
    """The field `repeated Value values = 1` of these values, tags included: a FeatureVector's, or a RepeatedValue message.

    Null becomes an empty Value. Timestamps become whole seconds, rounded down.
    """
    return encode_columns([column])[0]


def encode_columns(columns: Sequence[Column]) -> list[bytes]:
    """`encode_values` of each. Columns of one type are encoded together, so that few rows of many columns are fast too."""
    groups: dict[ValueType, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.dtype, []).append(index)
    out = [b""] * len(columns)
    for dtype, indexes in groups.items():
        members = [columns[index] for index in indexes]
        if dtype in _ONE_BY_ONE and sum(map(len, members)) <= _FEW:
            for index, member in zip(indexes, members, strict=True):
                out[index] = _few(member)
            continue
        data, lengths = _cells(_concatenated(members))
        ends = ends_of(lengths)[np.cumsum([0] + [len(member) for member in members])].tolist()
        whole = data.tobytes()
        for index, start, end in zip(indexes, ends, ends[1:], strict=False):
            out[index] = whole[start:end]
    return out


def encode_cells(column: Column) -> list[bytes]:
    """One serialized `Value` a cell; b"" for null."""
    data, lengths = _cells(column)
    ends, whole = ends_of(lengths).tolist(), data.tobytes()
    skip = (1 + varint_sizes(unsigned(lengths - 1 - varint_sizes(unsigned(lengths))))).tolist()
    return [whole[a + s : b] for a, b, s in zip(ends, ends[1:], skip, strict=False)]


def _few(column: Column) -> bytes:
    """The same bytes, a cell at a time: for few cells numpy's forty calls take longer (50 us) than a loop (0.5 us a cell)."""
    payloads: list[bytes]
    if column.dtype.is_fixed and _WIRE_TYPES[column.dtype]:
        size, whole = FIXED_WIDTH[column.dtype], column.values.tobytes()
        payloads = [whole[i : i + size] for i in range(0, len(whole), size)]
    elif column.dtype.is_fixed:
        payloads = [varint(number) for number in _integers(column).tolist()]
    else:
        payloads = [varint(len(cell)) + cell for cell in column.cells()]
    head = _TAGS[column.dtype]
    extra = len(head)
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    cells = [
        b"".join((_VALUE_TAG, varint(extra + len(payload)), head, payload)) if ok else _NULL_CELL
        for payload, ok in zip(payloads, valid, strict=True)
    ]
    return b"".join(cells)


def _concatenated(columns: Sequence[Column]) -> Column:
    first = columns[0]
    if len(columns) == 1:
        return first
    valid = None
    if any(c.valid is not None for c in columns):
        valid = np.concatenate([np.ones(len(c), dtype=np.bool_) if c.valid is None else c.valid for c in columns])
    if first.dtype.is_fixed:
        return Column(first.dtype, np.concatenate([c.values for c in columns]), None, valid)
    parts = [valid_bytes(c) for c in columns]
    data = np.concatenate([data for data, _ in parts])
    return Column(first.dtype, data, ends_of(np.concatenate([lengths for _, lengths in parts])), valid)


def _cells(column: Column) -> tuple[Bytes, Lengths]:
    """All cells as items of a repeated field 1, one after another, and the length of each."""
    dtype = column.dtype
    if dtype in _PACKED:
        return _constant(column)
    if dtype.is_fixed:
        return _heads(_TAGS[dtype], _integers(column), np.zeros(len(column), dtype=np.int64), column.valid)
    data, lengths = _payload(column)
    heads, head_lengths = _heads(_TAGS[dtype], unsigned(lengths), lengths, column.valid)
    return interleave(heads, head_lengths, data, lengths), head_lengths + lengths


def _constant(column: Column) -> tuple[Bytes, Lengths]:
    packed = np.empty(len(column), dtype=_PACKED[column.dtype])
    packed["head"] = _PACKED_HEADS[column.dtype]
    packed["value"] = column.values
    size = packed.dtype.itemsize
    cells = packed.view(np.uint8)
    if column.valid is None or bool(column.valid.all()):
        return cells, np.full(len(column), size, dtype=np.int64)
    null = ~column.valid
    matrix = cells.reshape(-1, size)
    matrix[null, 1] = 0
    used = np.ones(matrix.shape, dtype=np.bool_)
    used[null, 2:] = False
    return matrix[used], np.where(null, 2, size)


def _integers(column: Column) -> NDArray[np.uint64]:
    if column.dtype is ValueType.UNIX_TIMESTAMP:
        return unsigned(column.values.astype(np.int64) // SECOND)
    return unsigned(column.values)


def _heads(
    value_tag: bytes, numbers: NDArray[np.uint64], following: Lengths, valid: NDArray[np.bool_] | None
) -> tuple[Bytes, Lengths]:
    """For each cell: item tag, the Value's length, the value's tag, a varint of `numbers`; `following` bytes are to come after it.

    A null cell is its item tag and the length 0. Its item in `following` must be 0.
    """
    inner = len(value_tag) + varint_sizes(numbers) + following
    if valid is not None:
        inner[~valid] = 0
    sizes, sizes_used = varint_matrix(unsigned(inner))
    content, content_used = varint_matrix(numbers)
    before, width = len(_VALUE_TAG) + sizes.shape[1], len(value_tag)
    matrix = np.empty((len(numbers), before + width + content.shape[1]), dtype=np.uint8)
    used = np.ones(matrix.shape, dtype=np.bool_)
    matrix[:, : len(_VALUE_TAG)] = np.frombuffer(_VALUE_TAG, dtype=np.uint8)
    matrix[:, len(_VALUE_TAG) : before] = sizes
    used[:, len(_VALUE_TAG) : before] = sizes_used
    matrix[:, before : before + width] = np.frombuffer(value_tag, dtype=np.uint8)
    matrix[:, before + width :] = content
    used[:, before + width :] = content_used
    if valid is not None:
        used[~valid, before:] = False
    return matrix[used], used.sum(axis=1)


def _payload(column: Column) -> tuple[Bytes, Lengths]:
    """What stands in the length-delimited field: text, bytes, or a serialized message. A null cell has length 0."""
    if column.dtype is ValueType.ZONED_TIMESTAMP:
        return valid_bytes(_zoned(column))
    if column.dtype.element is None:
        return valid_bytes(column)
    elements, counts = list_elements(column)
    if not elements.dtype.is_fixed:
        return _texts(elements, counts)
    if elements.dtype in _PACKED:
        data = np.ascontiguousarray(elements.values).view(np.uint8)
        lengths = counts * FIXED_WIDTH[elements.dtype]
    else:
        matrix, used = varint_matrix(_integers(elements))
        data, lengths = matrix[used], sums(used.sum(axis=1), counts)
    heads, head_lengths = _item_heads(lengths)
    # An empty packed list has no bytes at all: the field's head is left out too.
    filled = lengths > 0
    heads, head_lengths = heads[np.repeat(filled, head_lengths)], np.where(filled, head_lengths, 0)
    return interleave(heads, head_lengths, data, lengths), head_lengths + lengths


def _texts(elements: Column, counts: Lengths) -> tuple[Bytes, Lengths]:
    data, lengths = valid_bytes(elements)
    heads, head_lengths = _item_heads(lengths)
    return interleave(heads, head_lengths, data, lengths), sums(head_lengths + lengths, counts)


def _item_heads(lengths: Lengths) -> tuple[Bytes, Lengths]:
    """For each item: the tag of field 1, length-delimited, and its length."""
    matrix, used = varint_matrix(unsigned(lengths))
    ones = np.ones((len(lengths), 1), dtype=np.bool_)
    matrix = np.concatenate((np.full((len(lengths), 1), _VALUE_TAG[0], dtype=np.uint8), matrix), axis=1)
    used = np.concatenate((ones, used), axis=1)
    return matrix[used], used.sum(axis=1)


def _zoned(column: Column) -> Column:
    # An object a cell: a rare type with two fields in a message, each left out where it is zero or empty; about 1 us a value.
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    cells = [
        pb.ZonedTimestamp(
            unix_timestamp=int.from_bytes(cell[:8], "little", signed=True) // SECOND, zone=cell[8:].decode()
        ).SerializeToString()
        if ok
        else b""
        for cell, ok in zip(column.cells(), valid, strict=True)
    ]
    return Column.from_cells(column.dtype, cells, column.valid)

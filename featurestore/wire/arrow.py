"""Columns to and from Arrow arrays: by buffers, without an object for a value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.columns import STORAGE_DTYPES, Column
from featurestore.wire.lists import list_column, list_elements
from featurestore.wire.messages import message_class, pack
from featurestore.wire.ragged import ends_of, interleave, part, valid_bytes

UTC_TIME = pa.timestamp("us", "UTC")
ZONED_TIME = pa.struct([pa.field("timestamp", UTC_TIME), pa.field("zone", pa.string())])

_SCALAR_TYPES: dict[ValueType, pa.DataType] = {
    ValueType.BOOL: pa.bool_(),
    ValueType.INT32: pa.int32(),
    ValueType.INT64: pa.int64(),
    ValueType.FLOAT: pa.float32(),
    ValueType.DOUBLE: pa.float64(),
    ValueType.UNIX_TIMESTAMP: UTC_TIME,
    ValueType.BYTES: pa.binary(),
    ValueType.STRING: pa.string(),
    ValueType.JSON: pa.string(),
    ValueType.UUID: pa.string(),
    ValueType.TIME_UUID: pa.string(),
    ValueType.DECIMAL: pa.string(),
    ValueType.ZONED_TIMESTAMP: ZONED_TIME,
}

_UUID = r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$"
_DECIMAL = r"^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:nan|inf|infinity))$"
_PATTERNS = {ValueType.UUID: _UUID, ValueType.TIME_UUID: _UUID, ValueType.DECIMAL: _DECIMAL}
_LARGEST = 2**31 - 1
"""Bytes that one Arrow string array holds."""


def arrow_type(dtype: ValueType) -> pa.DataType:
    """The Arrow type in which rooms hand each other values of a type.

    Lists and sets are `list<element>`. ZONED_TIMESTAMP is a struct of the instant and the zone's name. The types kept as messages
    (MAP, STRUCT, nested collections) are `binary`, the serialized message: what their sources hold (structs, maps, lists) differs
    from source to source, so a training set gives the source's own Arrow column instead.
    """
    if dtype.is_message:
        return pa.binary()
    if dtype.element is not None:
        return pa.list_(arrow_type(dtype.element))
    return _SCALAR_TYPES[dtype]


def column_from_arrow(array: pa.Array | pa.ChunkedArray, dtype: ValueType, name: str) -> Column:
    """The array's values in storage form. `name` is the column's in messages.

    Taken are, beside `arrow_type(dtype)`: any layout of the same kind (large, view, dictionary, fixed size); other integer widths,
    and floats or decimals that are whole, where each value fits; any number for FLOAT and DOUBLE, as the nearest they have; timestamps
    of any unit and zone, naive ones as UTC, and dates as their midnight; Arrow decimals for DECIMAL; Arrow UUIDs for UUID; structs,
    maps and JSON text for MAP and STRUCT.

    Raises:
        InvalidInputError: another type, a value that does not fit or would lose its fraction, a null inside a list, text that is not
            UTF-8, not a UUID or not a decimal number.
    """
    whole = _plain(array)
    if pa.types.is_null(whole.type):
        return Column.nulls(dtype, len(whole))
    try:
        return _column(whole, dtype, name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInputError(
            f"{name} holds what {dtype.name} cannot ({reason})", "mend the values, or change its type"
        ) from None


def column_to_arrow(column: Column) -> pa.Array:
    """The values as an array of `arrow_type(column.dtype)`.

    Raises:
        InvalidInputError: the texts are more than the 2 GiB that one array holds.
    """
    dtype, count = column.dtype, len(column)
    valid = _bitmap(column.valid)
    if dtype.is_fixed:
        values = (
            _bitmap(column.values.astype(np.bool_))
            if dtype is ValueType.BOOL
            else pa.py_buffer(np.ascontiguousarray(column.values))
        )
        return pa.Array.from_buffers(arrow_type(dtype), count, [valid, values])
    if dtype.element is not None:
        elements, counts = list_elements(column)
        ends = pa.py_buffer(_offsets(ends_of(counts)))
        return pa.Array.from_buffers(arrow_type(dtype), count, [valid, ends], children=[column_to_arrow(elements)])
    if dtype is ValueType.ZONED_TIMESTAMP:
        return _zoned_to_arrow(column)
    data, lengths = valid_bytes(column)
    buffers = [valid, pa.py_buffer(_offsets(ends_of(lengths))), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(arrow_type(dtype), count, buffers)


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, without dictionary, run-end or extension around its values."""
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            # Texts beyond 2 GiB stay in chunks unless their offsets are made wide.
            wide = pa.large_string() if pa.types.is_string(array.type) else pa.large_binary()
            array = array.cast(wide).combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array


def _column(array: pa.Array, dtype: ValueType, name: str) -> Column:
    if dtype.element is not None:
        return _lists(array, dtype, name)
    if dtype.is_fixed:
        return _fixed(array, dtype, name)
    if dtype is ValueType.ZONED_TIMESTAMP:
        return _zoned(array, name)
    if dtype.is_message:
        return _messages(array, dtype, name)
    return _texts(array, dtype, name)


def _refuse(array: pa.Array, dtype: ValueType, name: str) -> NoReturn:
    raise InvalidInputError(
        f"{name} is {array.type} where {dtype.name} is needed", f"give it as {arrow_type(dtype)}, or change its type"
    )


def _number(given: pa.DataType) -> bool:
    return bool(pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given))


def _time(given: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(given) or pa.types.is_date(given))


_FIXED_FROM: dict[ValueType, Callable[[pa.DataType], bool]] = {
    ValueType.BOOL: pa.types.is_boolean,
    ValueType.INT32: _number,
    ValueType.INT64: _number,
    ValueType.FLOAT: _number,
    ValueType.DOUBLE: _number,
    ValueType.UNIX_TIMESTAMP: _time,
}


def _fixed(array: pa.Array, dtype: ValueType, name: str) -> Column:
    if not _FIXED_FROM[dtype](array.type):
        _refuse(array, dtype, name)
    valid = _valid(array)
    rounds = dtype in (ValueType.FLOAT, ValueType.DOUBLE)
    converted = array.cast(arrow_type(dtype), safe=not rounds)
    if dtype is ValueType.BOOL:
        return Column(dtype, converted.cast(pa.uint8()).fill_null(0).to_numpy().astype(np.bool_), None, valid)
    buffer, start = converted.buffers()[1], converted.offset
    storage = STORAGE_DTYPES[dtype]
    values = np.zeros(0, dtype=storage) if buffer is None else np.frombuffer(buffer, dtype=storage)[start : start + len(array)]
    if rounds and np.isinf(values).any() and not pa.types.is_integer(array.type):
        before = array.cast(pa.float64(), safe=False)
        lost = pc.and_(pc.is_finite(before), pc.is_inf(converted))
        if pc.any(lost).as_py():
            raise InvalidInputError(f"{name} holds a number beyond the range of {dtype.name}", "declare DOUBLE, or mend the values")
    return Column(dtype, values, None, valid)


def _texts(array: pa.Array, dtype: ValueType, name: str) -> Column:
    given = array.type
    if dtype in (ValueType.UUID, ValueType.TIME_UUID) and given == pa.binary(16):
        return Column(dtype, *_uuid_texts(array), _valid(array))
    if dtype is ValueType.BYTES:
        if not (_is_binary(given) or pa.types.is_fixed_size_binary(given)):
            _refuse(array, dtype, name)
        return _bytes(array.cast(pa.large_binary()), dtype)
    if not (_is_text(given) or (dtype is ValueType.DECIMAL and pa.types.is_decimal(given))):
        _refuse(array, dtype, name)
    texts = array.cast(pa.large_string())
    texts.validate(full=True)
    pattern = _PATTERNS.get(dtype)
    if pattern is not None:
        fits = pc.match_substring_regex(texts, pattern)
        if pc.all(fits, min_count=0).as_py() is False:
            wrong = texts.filter(pc.invert(fits))[0].as_py()
            raise InvalidInputError(
                f"{name} holds {wrong[:40]!r}, which is not a {dtype.name}", "mend the values, or declare STRING"
            )
    return _bytes(texts, dtype)


def _is_text(given: pa.DataType) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))


def _is_binary(given: pa.DataType) -> bool:
    return bool(pa.types.is_binary(given) or pa.types.is_large_binary(given) or pa.types.is_binary_view(given))


def _bytes(array: pa.Array, dtype: ValueType) -> Column:
    """A column over the buffers of a large string or binary array."""
    _, offset_buffer, data = array.buffers()
    if len(array) == 0:
        return Column(dtype, np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64))
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    values = np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
    return Column(dtype, values, offsets - offsets[0], _valid(array))


def _uuid_texts(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """16 bytes each to 8-4-4-4-12 hexadecimal digits."""
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)[16 * array.offset : 16 * (array.offset + len(array))]
    nibbles = np.stack((raw >> 4, raw & 15), axis=1).reshape(-1, 32)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[nibbles]
    dash = np.full((len(array), 1), ord("-"), dtype=np.uint8)
    cuts = (0, 8, 12, 16, 20, 32)
    parts = [digits[:, a:b] for a, b in pairwise(cuts)]
    texts = np.concatenate([parts[0], *(piece for group in parts[1:] for piece in (dash, group))], axis=1)
    return texts.reshape(-1), np.arange(len(array) + 1, dtype=np.int64) * 36


def _lists(array: pa.Array, dtype: ValueType, name: str) -> Column:
    given = array.type
    if not _is_list(given):
        _refuse(array, dtype, name)
    assert dtype.element is not None
    valid = _valid(array)
    elements = _plain(pc.list_flatten(array))
    if elements.null_count:
        raise InvalidInputError(f"{name} has a null inside a list", "remove it, or make the whole list null")
    if pa.types.is_null(elements.type):
        column = Column.nulls(dtype.element, 0)
        column = Column(dtype.element, column.values, column.offsets)
    else:
        try:
            column = _column(elements, dtype.element, name)
        except InvalidInputError as error:
            raise InvalidInputError(f"{error.cause} (an element of {dtype.name})", error.remedy) from None
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype(np.int64)
    return list_column(dtype, column, counts, valid)


def _is_list(given: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(given)
        or pa.types.is_large_list(given)
        or pa.types.is_fixed_size_list(given)
        or pa.types.is_list_view(given)
        or pa.types.is_large_list_view(given)
    )


def _messages(array: pa.Array, dtype: ValueType, name: str) -> Column:
    given = array.type
    if _is_binary(given):
        _check_messages(array, dtype, name)
        return _bytes(array.cast(pa.large_binary()), dtype)
    is_map = dtype in (ValueType.MAP, ValueType.STRUCT) and (pa.types.is_struct(given) or pa.types.is_map(given) or _is_text(given))
    if not (is_map or _is_list(given) or (dtype is ValueType.SCALAR_MAP and pa.types.is_map(given))):
        _refuse(array, dtype, name)
    # An object a cell: the values of a map or struct are of many types, each cell its own tree; tens of microseconds a cell.
    try:
        cells = [b"" if value is None else pack(value, dtype) for value in array.to_pylist()]
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error.cause}", error.remedy) from None
    return Column.from_cells(dtype, cells, _valid(array))


def _check_messages(array: pa.Array, dtype: ValueType, name: str) -> None:
    # One parse a cell, under a microsecond: bytes that are no such message would break every reader of the row they go into.
    parse = message_class(dtype).FromString
    try:
        for data in array.drop_null().to_pylist():
            parse(data)
    except DecodeError:
        raise InvalidInputError(
            f"{name} holds bytes that are not a {dtype.name} message", "mend the values, or declare BYTES"
        ) from None


def _zoned(array: pa.Array, name: str) -> Column:
    given = array.type
    if pa.types.is_timestamp(given):
        instants, zone = array, given.tz or ""
        zones = pa.array([zone], pa.string()).take(pa.array(np.zeros(len(array), dtype=np.int64)))
    elif pa.types.is_struct(given) and [field.name for field in given] == ["timestamp", "zone"] and _time(given[0].type):
        instants, zones = array.field(0), array.field(1).fill_null("")
    else:
        _refuse(array, ValueType.ZONED_TIMESTAMP, name)
    valid = _valid(array)
    instant = _fixed(instants, ValueType.UNIX_TIMESTAMP, name)
    if instant.valid is not None:
        valid = instant.valid if valid is None else valid & instant.valid
    text = _texts(zones, ValueType.STRING, name)
    assert text.offsets is not None
    data, lengths = text.values.view(np.uint8), np.diff(text.offsets)
    eights = np.full(len(array), 8, dtype=np.int64)
    values = interleave(np.ascontiguousarray(instant.values).view(np.uint8), eights, data, lengths)
    return Column(ValueType.ZONED_TIMESTAMP, values, ends_of(lengths + 8), valid)


def _zoned_to_arrow(column: Column) -> pa.Array:
    data, lengths = valid_bytes(column)
    filled = lengths > 0
    instants, zones = part(data, np.where(filled, 8, 0), np.where(filled, lengths - 8, 0))
    times = np.zeros(len(column), dtype=np.int64)
    times[filled] = instants.view("<i8")
    nothing = None if column.valid is None else column.valid
    return pa.StructArray.from_arrays(
        [
            column_to_arrow(Column(ValueType.UNIX_TIMESTAMP, times, None, nothing)),
            column_to_arrow(Column(ValueType.STRING, zones, ends_of(np.where(filled, lengths - 8, 0)), nothing)),
        ],
        fields=list(ZONED_TIME),
        mask=None if column.valid is None else pa.array(~column.valid),
    )


def _valid(array: pa.Array) -> NDArray[np.bool_] | None:
    if not array.null_count:
        return None
    valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _bitmap(valid: NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _offsets(ends: NDArray[np.int64]) -> NDArray[np.int32]:
    if ends[-1] > _LARGEST:
        raise InvalidInputError(
            f"a column has {ends[-1]:,} bytes or elements, more than one Arrow array holds", "ask for fewer rows"
        )
    return ends.astype(np.int32)

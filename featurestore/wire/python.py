"""Columns to and from lists of Python objects: the form in which people and JSON see values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, pairwise
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from featurestore.core.clock import from_microseconds, to_microseconds
from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.columns import STORAGE_DTYPES, Column
from featurestore.wire.lists import list_column, list_elements
from featurestore.wire.messages import json_object, ordered, pack, unpack, zone_name, zone_of

# Python objects are made and read one at a time here: that is what a list of them is. No path between stores and the wire does it.

_CLASSES: dict[ValueType, tuple[type, ...]] = {
    ValueType.BOOL: (bool, np.bool_),
    ValueType.INT32: (int, np.integer),
    ValueType.INT64: (int, np.integer),
    ValueType.FLOAT: (float, int, np.floating, np.integer),
    ValueType.DOUBLE: (float, int, np.floating, np.integer),
    ValueType.UNIX_TIMESTAMP: (datetime, np.datetime64),
    ValueType.ZONED_TIMESTAMP: (datetime,),
    ValueType.STRING: (str,),
    ValueType.BYTES: (bytes, bytearray, memoryview),
    ValueType.UUID: (UUID, str),
    ValueType.TIME_UUID: (UUID, str),
    ValueType.DECIMAL: (Decimal, str, int),
}
"""What a value of the type may be given as. A bool is never read as a number."""


def column_from_python(values: Sequence[Any], dtype: ValueType, name: str) -> Column:
    """A column of these objects, None (and NaT) being null. `name` is the column's in messages.

    INT32 and INT64 take integers that fit; FLOAT and DOUBLE take the nearest number they have. UNIX_TIMESTAMP takes datetimes,
    naive ones as UTC. JSON takes its text, or any other object that JSON can write. A set may be given as a list.

    Raises:
        InvalidInputError: an object is of the wrong type or out of range, or a list holds None.
    """
    # NaT is the one time that differs from itself; pandas, whose it is, is not imported here.
    times = dtype in (ValueType.UNIX_TIMESTAMP, ValueType.ZONED_TIMESTAMP)
    missing = [v is None or (times and isinstance(v, (datetime, np.datetime64)) and v != v) for v in values]
    valid = ~np.array(missing, dtype=np.bool_) if any(missing) else None
    if dtype.element is not None:
        return _lists(values, missing, dtype, name, valid)
    present = [v for v, absent in zip(values, missing, strict=True) if not absent] if valid is not None else values
    _check_classes(present, dtype, name)
    try:
        if dtype.is_fixed:
            numbers = _numbers(present, dtype, name)
            if valid is None:
                return Column(dtype, numbers)
            spread = np.zeros(len(values), dtype=STORAGE_DTYPES[dtype])
            spread[valid] = numbers
            return Column(dtype, spread, None, valid)
        cells = iter([_cell(v, dtype) for v in present])
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error.cause}", error.remedy) from None
    return Column.from_cells(dtype, [b"" if absent else next(cells) for absent in missing], valid)


def column_to_python(column: Column) -> list[Any]:
    """The values as Feast gives them, None for null.

    UNIX_TIMESTAMP is an aware UTC datetime, UUID a UUID, DECIMAL a Decimal, JSON the object its text writes, a set a set.

    Raises:
        InvalidInputError: a timestamp is outside the years 1 to 9999, which is all that Python can hold.
    """
    if column.dtype.element is not None:
        elements, counts = list_elements(column)
        objects = _objects(elements)
        ends = np.concatenate(([0], np.cumsum(counts))).tolist()
        make: Callable[[Iterable[Any]], Any] = set if column.dtype.name.endswith("_SET") else list
        out = [make(objects[a:b]) for a, b in pairwise(ends)]
    else:
        out = _objects(column)
    if column.valid is None:
        return out
    return [v if ok else None for v, ok in zip(out, column.valid.tolist(), strict=True)]


def _check_classes(values: Sequence[Any], dtype: ValueType, name: str) -> None:
    allowed = _CLASSES.get(dtype)
    if allowed is None:
        return
    for kind in set(map(type, values)):
        if not issubclass(kind, allowed) or (kind is bool and dtype is not ValueType.BOOL):
            raise InvalidInputError(f"{name} holds a {kind.__name__}", f"give {dtype.name} values, as its definition says")


def _numbers(values: Sequence[Any], dtype: ValueType, name: str) -> NDArray[np.generic]:
    storage = STORAGE_DTYPES[dtype]
    if dtype is ValueType.UNIX_TIMESTAMP:
        return np.array([_microseconds(v) for v in values], dtype=storage)
    try:
        if dtype in (ValueType.INT32, ValueType.INT64):
            # numpy wraps its own integers silently, but checks Python's.
            return np.array([int(v) for v in values], dtype=storage)
        numbers = np.array(values, dtype=np.float64 if dtype is ValueType.FLOAT else storage)
    except OverflowError:
        raise InvalidInputError("a number is out of range", f"give numbers that fit {dtype.name}") from None
    if dtype is ValueType.FLOAT:
        with np.errstate(over="ignore", invalid="ignore"):
            numbers, exact = numbers.astype(storage), numbers
        if bool((np.isinf(numbers) & np.isfinite(exact)).any()):
            raise InvalidInputError("a number is out of range", f"give numbers that fit {dtype.name}")
    return numbers


def _microseconds(moment: datetime | np.datetime64) -> int:
    if isinstance(moment, np.datetime64):
        exact = moment.astype("datetime64[us]")
        if exact != moment:
            raise InvalidInputError(f"{moment} is finer than a microsecond or out of range", "round it to microseconds")
        return int(exact.astype(np.int64))
    return to_microseconds(moment)


def _cell(value: Any, dtype: ValueType) -> bytes:
    if dtype is ValueType.BYTES:
        return bytes(value)
    if dtype is ValueType.STRING:
        return _utf8(value)
    if dtype is ValueType.JSON:
        return json_text(value)
    if dtype is ValueType.ZONED_TIMESTAMP:
        return to_microseconds(value).to_bytes(8, "little", signed=True) + zone_name(value.tzinfo).encode()
    return pack(value, dtype) if dtype.is_message else checked_text(str(value), dtype).encode()


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(f"{text!r} is no text that UTF-8 can write", "remove the lone surrogates") from None


def json_text(value: Any) -> bytes:
    """The JSON text of a value: a string is one already."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            raise InvalidInputError(f"{value[:40]!r} is not JSON", "write the value as JSON") from None
        return _utf8(value)
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"JSON cannot write a {type(value).__name__} ({error})", "give text, numbers, lists or maps"
        ) from None


def checked_text(text: str, dtype: ValueType) -> str:
    """The text of a UUID or DECIMAL, unchanged. A UUID's text counts as it is written: two spellings are two values.

    Raises:
        InvalidInputError: it is not one.
    """
    try:
        if dtype is ValueType.DECIMAL:
            Decimal(text)
        else:
            UUID(text)
    except (ValueError, InvalidOperation):
        raise InvalidInputError(
            f"{text[:40]!r} is not a {dtype.name}", f"give {dtype.name} values, as its definition says"
        ) from None
    return text


def _lists(values: Sequence[Any], missing: list[bool], dtype: ValueType, name: str, valid: NDArray[np.bool_] | None) -> Column:
    assert dtype.element is not None
    for kind in {type(v) for v, absent in zip(values, missing, strict=True) if not absent}:
        if not issubclass(kind, (list, tuple, set, frozenset, np.ndarray)):
            raise InvalidInputError(f"{name} holds a {kind.__name__}", f"give {dtype.name} values, as its definition says")
    lists = [
        [] if absent else ordered(v) if isinstance(v, (set, frozenset)) else v for v, absent in zip(values, missing, strict=True)
    ]
    elements = column_from_python(list(chain.from_iterable(lists)), dtype.element, name)
    if elements.valid is not None:
        raise InvalidInputError(f"{name} has a null inside a list", "remove it, or make the whole list null")
    return list_column(dtype, elements, np.array([len(v) for v in lists], dtype=np.int64), valid)


def _objects(column: Column) -> list[Any]:
    """The objects of a column's cells; what stands for a null cell is unspecified."""
    dtype = column.dtype
    if dtype is ValueType.UNIX_TIMESTAMP:
        values = column.values if column.valid is None else np.where(column.valid, column.values, 0)
        return [_time(v) for v in values.tolist()]
    if dtype.is_fixed:
        return list(column.values.tolist())
    decode = _DECODERS.get(dtype)
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    cells = zip(column.cells(), valid, strict=True)
    if decode is None:
        return [unpack(cell, dtype) if ok else None for cell, ok in cells]
    return [decode(cell) if ok else None for cell, ok in cells]


def _time(microseconds: int) -> datetime:
    try:
        return from_microseconds(microseconds)
    except OverflowError:
        raise InvalidInputError(
            f"{microseconds} us since 1970 is outside the years 1 to 9999", "read the column as Arrow"
        ) from None


def _zoned(cell: bytes) -> datetime:
    return _time(int.from_bytes(cell[:8], "little", signed=True)).astimezone(zone_of(cell[8:].decode()))


_DECODERS: dict[ValueType, Callable[[bytes], Any]] = {
    ValueType.BYTES: bytes,
    ValueType.STRING: bytes.decode,
    ValueType.JSON: lambda cell: json_object(cell.decode()),
    ValueType.UUID: lambda cell: UUID(cell.decode()),
    ValueType.TIME_UUID: lambda cell: UUID(cell.decode()),
    ValueType.DECIMAL: lambda cell: Decimal(cell.decode()),
    ValueType.ZONED_TIMESTAMP: _zoned,
}

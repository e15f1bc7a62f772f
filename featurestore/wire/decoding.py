"""`feast.types.Value` messages to columns: exact, or refused with what was found and what is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.columns import STORAGE_DTYPES, Column
from featurestore.wire.encoding import SECOND
from featurestore.wire.gen.feast.types import Value_pb2 as pb
from featurestore.wire.lists import list_column
from featurestore.wire.python import checked_text

_T = TypeVar("_T", bound=np.generic)

# protobuf gives a message's values as Python objects, one call each; about 0.2 us a value. Requests hold a few hundred at most.

_FIELDS = {dtype: pb.Value.DESCRIPTOR.fields_by_number[int(dtype)].name for dtype in ValueType}
"""A type's field in `Value`."""
_TYPES = {field: dtype for dtype, field in _FIELDS.items()}

_NUMBERS = (ValueType.INT32, ValueType.INT64, ValueType.FLOAT, ValueType.DOUBLE)
_MAY_COME_AS: dict[ValueType, tuple[ValueType, ...]] = {
    ValueType.INT32: (ValueType.INT64,),
    ValueType.INT64: (ValueType.INT32,),
    ValueType.FLOAT: _NUMBERS,
    ValueType.DOUBLE: _NUMBERS,
    ValueType.UUID: (ValueType.STRING, ValueType.TIME_UUID),
    ValueType.TIME_UUID: (ValueType.STRING, ValueType.UUID),
    ValueType.JSON: (ValueType.STRING,),
    ValueType.DECIMAL: (ValueType.STRING,),
    ValueType.MAP: (ValueType.STRUCT,),
    ValueType.STRUCT: (ValueType.MAP,),
    ValueType.MAP_LIST: (ValueType.STRUCT_LIST,),
    ValueType.STRUCT_LIST: (ValueType.MAP_LIST,),
}
"""Other types a value may arrive as, where it can be held exactly; that it is, is checked."""


def _allowed(dtype: ValueType) -> dict[str, ValueType]:
    if dtype.element is None:
        return {_FIELDS[t]: t for t in (dtype, *_MAY_COME_AS.get(dtype, ()))}
    collection = dtype.name.rpartition("_")[2]
    elements = (dtype.element, *_MAY_COME_AS.get(dtype.element, ()))
    names = {f"{e.name}_{collection}" for e in elements} & ValueType.__members__.keys()
    return {_FIELDS[ValueType[name]]: ValueType[name] for name in names}


_ALLOWED = {dtype: _allowed(dtype) for dtype in ValueType}


def column_from_values(values: Sequence[pb.Value], dtype: ValueType, name: str, *, nullable: bool = True) -> Column:
    """A column of `Value` messages; an unset one is null. `name` is the column's in messages.

    A value may arrive as another type where this one holds it exactly: an int64 as INT32 where it fits, a string as UUID.

    Raises:
        InvalidInputError: a value is of another type, or out of range; or it is null and `nullable` is False.
    """
    kinds = [v.WhichOneof("val") for v in values]
    found = set(kinds)
    missing = found & {None, "null_val"}
    if missing and not nullable:
        row = next(i for i, kind in enumerate(kinds) if kind in missing)
        raise InvalidInputError(f"{name} is null in row {row}", f"give {dtype.name} values only")
    allowed = _ALLOWED[dtype]
    for kind in found - missing:
        if kind not in allowed:
            got = _TYPES[kind].name if kind in _TYPES else kind
            raise InvalidInputError(f"{name} holds a value of type {got}", f"give {dtype.name} values, as its definition says")
    valid = np.array([kind not in missing for kind in kinds], dtype=np.bool_) if missing else None
    if not missing and len(found) == 1:
        contents = list(map(attrgetter(kinds[0] or ""), values))
    else:
        contents = [getattr(v, k) for v, k in zip(values, kinds, strict=True) if k is not None and k not in missing]
    same_type = found <= {_FIELDS[dtype], None, "null_val"}
    if dtype.element is not None:
        lists = [content.val for content in contents]
        elements = _numbers(chain.from_iterable(lists), dtype.element, name, same_type) if dtype.element.is_fixed else None
        column = elements or Column.from_cells(dtype.element, _texts(chain.from_iterable(lists), dtype.element, name))
        counts = np.array([len(content) for content in lists], dtype=np.int64)
        return list_column(dtype, column, _spread(counts, valid), valid)
    if dtype.is_fixed:
        column = _numbers(contents, dtype, name, same_type)
        return column if valid is None else Column(dtype, _spread(column.values, valid), None, valid)
    cells = iter(_texts(contents, dtype, name))
    return Column.from_cells(dtype, [b"" if kind in missing else next(cells) for kind in kinds], valid)


def dtype_of(values: Sequence[pb.Value]) -> ValueType | None:
    """The type that the first set value has on the wire; None where all are null."""
    for value in values:
        kind = value.WhichOneof("val")
        if kind in _TYPES:
            return _TYPES[kind]
    return None


def _spread(values: NDArray[_T], valid: NDArray[np.bool_] | None) -> NDArray[_T]:
    if valid is None:
        return values
    out = np.zeros(len(valid), dtype=values.dtype)
    out[valid] = values
    return out


def _numbers(contents: Iterable[float], dtype: ValueType, name: str, same_type: bool) -> Column:
    numbers = list(contents)
    storage = STORAGE_DTYPES[dtype]
    refused = InvalidInputError(f"{name} holds a number that {dtype.name} cannot hold exactly", f"give {dtype.name} values")
    try:
        if dtype is ValueType.UNIX_TIMESTAMP:
            return Column(dtype, np.array([n * SECOND for n in numbers], dtype=storage))
        with np.errstate(over="ignore"):
            values = np.array(numbers, dtype=storage)
    except OverflowError:
        raise refused from None
    rounded = dtype in (ValueType.FLOAT, ValueType.DOUBLE) and not same_type
    if rounded and any(got != wanted and wanted == wanted for got, wanted in zip(values.tolist(), numbers, strict=True)):
        raise refused
    return Column(dtype, values)


def _texts(contents: Iterable[object], dtype: ValueType, name: str) -> list[bytes]:
    try:
        return [_text(content, dtype) for content in contents]
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error.cause}", error.remedy) from None


def _text(content: object, dtype: ValueType) -> bytes:
    if isinstance(content, str):
        checked = dtype in (ValueType.UUID, ValueType.TIME_UUID, ValueType.DECIMAL)
        return (checked_text(content, dtype) if checked else content).encode()
    if isinstance(content, bytes):
        return content
    if isinstance(content, pb.ZonedTimestamp):
        microseconds = content.unix_timestamp * SECOND
        if not -(1 << 63) <= microseconds < 1 << 63:
            raise InvalidInputError("a time is out of range", "give times within 292,000 years of 1970")
        return microseconds.to_bytes(8, "little", signed=True) + content.zone.encode()
    assert isinstance(content, (pb.Map, pb.MapList, pb.ScalarMap, pb.RepeatedValue))
    return content.SerializeToString(deterministic=True)

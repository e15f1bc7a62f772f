"""Values of every type for the wire's tests, and what the definitions say of them in plain Python: storage form and message."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from featurestore.core.types import ValueType
from featurestore.wire.gen.feast.types import Value_pb2 as pb

ALL = list(ValueType)
ZONES = ["UTC-07:00", "Europe/Berlin", "UTC", ""]
_TEXT = st.text(max_size=12) | st.sampled_from(["", "é" * 200, "x" * 20_000])
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)) | st.sampled_from(
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
    ]
)
_JSON = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3), lambda x: st.lists(x, max_size=2))


def _ints(bits: int) -> st.SearchStrategy[int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return st.integers(low, high) | st.sampled_from([low, high, 0, -1, 127, 128, 16383, 16384])


_SCALARS: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.BOOL: st.booleans(),
    ValueType.INT32: _ints(32),
    ValueType.INT64: _ints(64),
    ValueType.FLOAT: st.floats(width=32),
    ValueType.DOUBLE: st.floats(),
    ValueType.UNIX_TIMESTAMP: _TIMES,
    ValueType.STRING: _TEXT,
    ValueType.BYTES: st.binary(max_size=12) | st.just(b"\x00" * 300),
    ValueType.UUID: st.uuids(),
    ValueType.TIME_UUID: st.uuids(version=1),
    ValueType.DECIMAL: st.decimals(allow_nan=False),
    ValueType.JSON: _JSON.map(json.dumps),
}
_LEAVES = st.booleans() | _ints(64) | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5) | st.uuids()
_MAPS = st.dictionaries(st.text(max_size=5), st.none() | _LEAVES | st.lists(_ints(64), min_size=1, max_size=3), max_size=4)
_NESTED = st.lists(st.none() | st.lists(_ints(64), min_size=1, max_size=3), max_size=3)
_OTHERS: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.MAP: _MAPS,
    ValueType.STRUCT: st.dictionaries(st.text(max_size=5), _MAPS, max_size=3),
    ValueType.MAP_LIST: st.lists(_MAPS, max_size=3),
    ValueType.STRUCT_LIST: st.lists(_MAPS, max_size=3),
    ValueType.SCALAR_MAP: st.dictionaries(_ints(64) | st.binary(max_size=3) | st.booleans(), _LEAVES, max_size=3),
    ValueType.VALUE_LIST: _NESTED,
    ValueType.VALUE_SET: _NESTED,
    ValueType.ZONED_TIMESTAMP: st.tuples(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.sampled_from(ZONES)),
}


def values(dtype: ValueType) -> st.SearchStrategy[Any]:
    """One value of the type as `column_from_python` takes it (a ZONED_TIMESTAMP as its UTC time and zone name)."""
    if dtype.element is not None:
        return st.lists(_SCALARS[dtype.element], max_size=4)
    return _SCALARS[dtype] if dtype in _SCALARS else _OTHERS[dtype]


def columns(dtype: ValueType) -> st.SearchStrategy[list[Any]]:
    """Lists of such values, some of them None."""
    return st.lists(st.none() | values(dtype), max_size=6)


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, counted in whole days and seconds."""
    distance = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (distance.days * 86400 + distance.seconds) * 1_000_000 + distance.microseconds


def whole_seconds(value: Any) -> Any:
    """The value as Feast's wire carries it: times without their fraction of a second."""
    if isinstance(value, datetime):
        return value - timedelta(microseconds=value.microsecond)
    return type(value)(whole_seconds(item) for item in value) if isinstance(value, (list, set)) else value


def storage_form(value: Any, dtype: ValueType) -> bytes:
    """A value's bytes as featurestore/wire/columns.py defines them; for types that are no messages."""
    if dtype.element is not None:
        parts = [storage_form(item, dtype.element) for item in value]
        if dtype.element.is_fixed:
            return b"".join(parts)
        ends = [sum(len(p) for p in parts[: i + 1]) for i in range(len(parts))]
        return struct.pack(f"<{len(parts) + 1}I", len(parts), *ends) + b"".join(parts)
    formats = {ValueType.BOOL: "<?", ValueType.INT32: "<i", ValueType.INT64: "<q", ValueType.FLOAT: "<f", ValueType.DOUBLE: "<d"}
    if dtype in formats:
        return struct.pack(formats[dtype], value)
    if dtype is ValueType.UNIX_TIMESTAMP:
        return struct.pack("<q", microseconds(value))
    return value if isinstance(value, bytes) else str(value).encode()


def message(value: Any, dtype: ValueType) -> pb.Value:
    """The `Value` of one Python value, made with the protobuf library one field at a time."""
    out = pb.Value()
    if value is None:
        return out
    field = {ValueType.VALUE_LIST: "list_val", ValueType.VALUE_SET: "set_val"}.get(dtype, f"{dtype.name.lower()}_val")
    if dtype.element is not None:
        target = getattr(out, field)
        target.SetInParent()
        target.val.extend(_plain(item) for item in value)
    elif dtype is ValueType.ZONED_TIMESTAMP:
        moment, zone = value
        out.zoned_timestamp_val.SetInParent()
        out.zoned_timestamp_val.unix_timestamp = microseconds(moment.replace(tzinfo=UTC)) // 1_000_000
        out.zoned_timestamp_val.zone = zone
    elif dtype.is_message:
        _fill(getattr(out, field), value, dtype)
    else:
        setattr(out, field, _plain(value))
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return microseconds(value) // 1_000_000
    return str(value) if isinstance(value, (UUID, Decimal)) else value


def _leaf(value: Any) -> pb.Value:
    if isinstance(value, dict):
        out = pb.Value()
        _fill(out.map_val, value, ValueType.MAP)
        return out
    if isinstance(value, list):
        return message(value, ValueType.INT64_LIST)
    names = {bool: ValueType.BOOL, int: ValueType.INT64, float: ValueType.DOUBLE, str: ValueType.STRING, bytes: ValueType.BYTES}
    return message(value, names.get(type(value), ValueType.UUID))


def _fill(target: Any, value: Any, dtype: ValueType) -> None:
    target.SetInParent()
    if dtype in (ValueType.MAP, ValueType.STRUCT):
        for key, item in value.items():
            target.val[key].CopyFrom(_leaf(item))
    elif dtype in (ValueType.MAP_LIST, ValueType.STRUCT_LIST):
        for item in value:
            _fill(target.val.add(), item, ValueType.MAP)
    elif dtype is ValueType.SCALAR_MAP:
        for key, item in value.items():
            entry = target.val.add()
            kind = {bool: "bool_key", int: "int64_key", bytes: "bytes_key"}[type(key)]
            setattr(entry.key, kind, key)
            entry.value.CopyFrom(_leaf(item))
    else:
        target.val.extend(_leaf(item) for item in value)


def same(a: Any, b: Any) -> bool:
    """Equal in value, sign of zero and type, NaN equal to NaN, sets by their elements."""
    return bool(_form(a) == _form(b))


def _form(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted({repr(_form(item)) for item in value})]
    if isinstance(value, dict):
        return {(type(key).__name__, key): _form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_form(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return (type(value).__name__, repr(value))

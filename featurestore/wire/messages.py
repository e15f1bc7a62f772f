"""Maps, structs, nested collections and zoned times: Python objects to and from their `feast.types` messages.

One object at a time: a cell of these types is a tree whose shape and types are its own, so there is no column to vectorise. It
costs tens of microseconds a cell.

The types of a map's values are found from the Python objects, as Feast does: int is INT64, float DOUBLE, datetime UNIX_TIMESTAMP
(whole seconds), a list or set that of its elements, a dict MAP, a list of dicts MAP_LIST, None an unset Value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from google.protobuf.message import Message

from featurestore.core.clock import EPOCH
from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.gen.feast.types import Value_pb2 as pb

_SECOND = timedelta(seconds=1)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})")
_MESSAGE_CLASSES: dict[ValueType, type[Message]] = {
    ValueType.MAP: pb.Map,
    ValueType.STRUCT: pb.Map,
    ValueType.MAP_LIST: pb.MapList,
    ValueType.STRUCT_LIST: pb.MapList,
    ValueType.SCALAR_MAP: pb.ScalarMap,
    ValueType.VALUE_LIST: pb.RepeatedValue,
    ValueType.VALUE_SET: pb.RepeatedValue,
}
_SCALARS: list[tuple[type | tuple[type, ...], str, Callable[[Any], Any]]] = [
    ((bool, np.bool_), "bool", bool),
    (np.int32, "int32", int),
    ((int, np.integer), "int64", int),
    (np.float32, "float", float),
    ((float, np.floating), "double", float),
    (str, "string", str),
    ((bytes, bytearray), "bytes", bytes),
    (datetime, "unix_timestamp", lambda moment: seconds_of(moment)),
    (UUID, "uuid", str),
    (Decimal, "decimal", str),
]
"""Python class -> the kind of its Value. The first that fits: a bool is an int too."""
_KEYS = {"int32", "int64", "float", "double", "bool", "unix_timestamp", "bytes", "uuid", "decimal"}


def message_class(dtype: ValueType) -> type[Message]:
    """The message that holds a value of the type."""
    return _MESSAGE_CLASSES[dtype]


def pack(value: Any, dtype: ValueType) -> bytes:
    """The serialized message of one Python object; equal objects give equal bytes.

    A string in the place of a map or a list of maps is read as JSON.

    Raises:
        InvalidInputError: the object does not fit the type, or holds one that no Value can.
    """
    if isinstance(value, str) and dtype not in (ValueType.VALUE_LIST, ValueType.VALUE_SET, ValueType.SCALAR_MAP):
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidInputError(f"{value[:40]!r} is not JSON", f"give a dictionary for {dtype.name}") from None
    message: Message
    if dtype in (ValueType.MAP, ValueType.STRUCT):
        message = _map(value)
    elif dtype in (ValueType.MAP_LIST, ValueType.STRUCT_LIST):
        message = pb.MapList(val=[_map(item) for item in _items(value)])
    elif dtype is ValueType.SCALAR_MAP:
        message = pb.ScalarMap(val=[pb.ScalarMapEntry(key=_key(k), value=_value(v)) for k, v in _mapping(value).items()])
    else:
        message = _nested(_items(value))
    return message.SerializeToString(deterministic=True)


def unpack(data: bytes, dtype: ValueType) -> Any:
    """The Python object of a serialized message."""
    message: Any = message_class(dtype).FromString(data)
    if dtype in (ValueType.MAP, ValueType.STRUCT):
        return _map_object(message)
    if dtype in (ValueType.MAP_LIST, ValueType.STRUCT_LIST):
        return [_map_object(item) for item in message.val]
    if dtype is ValueType.SCALAR_MAP:
        return {_key_object(entry.key): value_object(entry.value) for entry in message.val}
    return [value_object(item) for item in message.val]


def value_object(value: pb.Value) -> Any:
    """The Python object of one Value, None for an unset one."""
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    content: Any = getattr(value, kind)
    name = kind.removesuffix("_val")
    if name in ("map", "struct"):
        return _map_object(content)
    if name in ("map_list", "struct_list"):
        return [_map_object(item) for item in content.val]
    if name == "scalar_map":
        return {_key_object(entry.key): value_object(entry.value) for entry in content.val}
    if name in ("list", "set"):
        return [value_object(item) for item in content.val]
    if name == "zoned_timestamp":
        return time_of(content.unix_timestamp).astimezone(zone_of(content.zone))
    element, _, collection = name.rpartition("_")
    if collection == "list":
        return [_scalar_object(item, element) for item in content.val]
    if collection == "set":
        return {_scalar_object(item, element) for item in content.val}
    return _scalar_object(content, name)


def seconds_of(moment: datetime) -> int:
    """Whole seconds since the epoch, rounded down. A naive time is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // _SECOND


def time_of(seconds: float) -> datetime:
    """The aware UTC time of seconds since the epoch.

    Raises:
        InvalidInputError: it is outside the years 1 to 9999, which is all that Python can hold.
    """
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise InvalidInputError(f"{seconds} s since 1970 is outside the years 1 to 9999", "read the column as Arrow") from None


def zone_name(zone: tzinfo | None) -> str:
    """What a zoned time keeps of its zone: the IANA name, else its text (`UTC-07:00`); "" for a naive time."""
    return "" if zone is None else str(getattr(zone, "key", None) or zone)


def zone_of(name: str) -> tzinfo:
    """The zone of a kept name.

    Raises:
        InvalidInputError: this machine knows no such zone.
    """
    if name in ("", "UTC", "GMT"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        distance = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-distance if offset[1] == "-" else distance)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidInputError(f"{name!r} is not a known time zone", "use an IANA name or an offset like UTC-07:00") from None


def _scalar_object(content: Any, kind: str) -> Any:
    if kind == "unix_timestamp":
        return time_of(content)
    if kind == "json":
        return json_object(content)
    if kind in ("uuid", "time_uuid"):
        return UUID(content)
    return Decimal(content) if kind == "decimal" else content


def json_object(text: str) -> Any:
    """The object that a JSON text writes; the text itself where it is not JSON, as Feast gives it."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _map_object(message: pb.Map) -> dict[str, Any]:
    return {key: value_object(value) for key, value in message.val.items()}


def _key_object(key: pb.MapKey) -> Any:
    kind = key.WhichOneof("key")
    return None if kind is None else _scalar_object(getattr(key, kind), kind.removesuffix("_key"))


def _mapping(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    # Arrow gives a map as a list of pairs.
    if isinstance(value, list) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return dict(value)
    raise InvalidInputError(f"{type(value).__name__} is not a map", "give a dictionary")


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, (set, frozenset)):
        return ordered(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return list(value)
    raise InvalidInputError(f"{type(value).__name__} is not a list", "give a list")


def ordered(elements: Iterable[Any]) -> list[Any]:
    """A set's elements in an order that does not change from one process to the next."""
    return sorted(elements, key=lambda element: (type(element).__name__, repr(element)))


def _map(value: Any) -> pb.Map:
    message = pb.Map()
    for key, item in _mapping(value).items():
        if not isinstance(key, str):
            raise InvalidInputError(f"a map's key is {type(key).__name__}", "use strings, or the type ScalarMap")
        message.val[key].CopyFrom(_value(item))
    return message


def _key(key: Any) -> pb.MapKey:
    kind, content = _scalar(key)
    if kind not in _KEYS:
        raise InvalidInputError(
            f"{type(key).__name__} cannot be a ScalarMap's key", "use a number, bool, bytes, UUID, Decimal or time"
        )
    return pb.MapKey(**{f"{kind}_key": content})


def _scalar(value: Any) -> tuple[str, Any]:
    for classes, kind, convert in _SCALARS:
        if isinstance(value, classes):
            content = convert(value)
            if kind == "int64" and not -(1 << 63) <= content < 1 << 63:
                raise InvalidInputError(f"{content} does not fit 64 bits", "give it as a Decimal or a string")
            return kind, content
    raise InvalidInputError(f"a {type(value).__name__} has no place in a map", "use numbers, strings, bytes, times, lists or maps")


def _value(value: Any) -> pb.Value:
    if value is None:
        return pb.Value()
    if isinstance(value, Mapping) or (isinstance(value, list) and value and isinstance(value[0], tuple)):
        mapping = _mapping(value)
        if all(isinstance(key, str) for key in mapping):
            return pb.Value(map_val=_map(mapping))
        return pb.Value(
            scalar_map_val=pb.ScalarMap(val=[pb.ScalarMapEntry(key=_key(k), value=_value(v)) for k, v in mapping.items()])
        )
    if isinstance(value, (set, frozenset, list, tuple, np.ndarray)):
        return _collection(_items(value), "set" if isinstance(value, (set, frozenset)) else "list")
    kind, content = _scalar(value)
    return pb.Value(**{f"{kind}_val": content})


def _collection(items: Sequence[Any], collection: str) -> pb.Value:
    if all(isinstance(item, Mapping) for item in items) and items:
        return pb.Value(map_list_val=pb.MapList(val=[_map(item) for item in items]))
    if not items or any(item is None or isinstance(item, (list, set, frozenset, tuple, np.ndarray)) for item in items):
        return pb.Value(list_val=_nested(items))
    scalars = [_scalar(item) for item in items]
    kinds = {kind for kind, _ in scalars}
    if len(kinds) > 1:
        raise InvalidInputError(f"a list holds {' and '.join(sorted(kinds))}", "keep a list to one type")
    value = pb.Value()
    getattr(value, f"{kinds.pop()}_{collection}_val").val.extend(content for _, content in scalars)
    return value


def _nested(items: Sequence[Any]) -> pb.RepeatedValue:
    return pb.RepeatedValue(val=[_value(item) for item in items])

"""The value types a feature or a join key can have: Feast's names and numbers (feast.types.ValueType.Enum, 0.67)."""

from __future__ import annotations

from enum import IntEnum


class ValueType(IntEnum):
    """A feature's type. The number is the one on Feast's wire and in its registry."""

    BYTES = 1
    STRING = 2
    INT32 = 3
    INT64 = 4
    DOUBLE = 5
    FLOAT = 6
    BOOL = 7
    UNIX_TIMESTAMP = 8
    BYTES_LIST = 11
    STRING_LIST = 12
    INT32_LIST = 13
    INT64_LIST = 14
    DOUBLE_LIST = 15
    FLOAT_LIST = 16
    BOOL_LIST = 17
    UNIX_TIMESTAMP_LIST = 18
    MAP = 20
    MAP_LIST = 21
    BYTES_SET = 22
    STRING_SET = 23
    INT32_SET = 24
    INT64_SET = 25
    DOUBLE_SET = 26
    FLOAT_SET = 27
    BOOL_SET = 28
    UNIX_TIMESTAMP_SET = 29
    JSON = 32
    JSON_LIST = 33
    STRUCT = 34
    STRUCT_LIST = 35
    UUID = 36
    TIME_UUID = 37
    UUID_LIST = 38
    TIME_UUID_LIST = 39
    UUID_SET = 40
    TIME_UUID_SET = 41
    VALUE_LIST = 42
    VALUE_SET = 43
    DECIMAL = 44
    DECIMAL_LIST = 45
    DECIMAL_SET = 46
    SCALAR_MAP = 47
    ZONED_TIMESTAMP = 48

    @property
    def is_fixed(self) -> bool:
        """Whether every value takes the same number of bytes."""
        return self in FIXED_WIDTH

    @property
    def element(self) -> ValueType | None:
        """The type of a list's or set's elements; None for anything else (nested lists, maps and structs included)."""
        return _ELEMENT.get(self)

    @property
    def is_message(self) -> bool:
        """Whether a value is kept as a serialized `feast.types` message: maps, structs and nested collections."""
        return self in _MESSAGES


FIXED_WIDTH = {
    ValueType.BOOL: 1,
    ValueType.INT32: 4,
    ValueType.FLOAT: 4,
    ValueType.INT64: 8,
    ValueType.DOUBLE: 8,
    ValueType.UNIX_TIMESTAMP: 8,
}
"""Bytes a value takes, by type. A timestamp is kept as int64 microseconds since 1970-01-01T00:00:00Z."""

JOIN_KEY_TYPES = frozenset(
    {ValueType.BOOL, ValueType.INT32, ValueType.INT64, ValueType.STRING, ValueType.BYTES, ValueType.UNIX_TIMESTAMP, ValueType.UUID}
)
"""What an entity's join key may be: types with exact equality."""

_MESSAGES = frozenset(
    {
        ValueType.MAP,
        ValueType.MAP_LIST,
        ValueType.STRUCT,
        ValueType.STRUCT_LIST,
        ValueType.VALUE_LIST,
        ValueType.VALUE_SET,
        ValueType.SCALAR_MAP,
    }
)

_ELEMENT = {
    collection: ValueType[collection.name.rpartition("_")[0]]
    for collection in ValueType
    if collection.name.endswith(("_LIST", "_SET")) and collection not in _MESSAGES
}

"""Feast's own Value objects to and from columns, by way of their bytes: they are other classes than ours."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.columns import Column
from featurestore.wire.decoding import column_from_values
from featurestore.wire.encoding import encode_cells
from featurestore.wire.gen.feast.types import Value_pb2 as pb


def values_from_bytes(messages: Sequence[bytes], dtype: ValueType, name: str, *, nullable: bool = True) -> Column:
    """A column of serialized `Value` messages (`value.SerializeToString()`), b"" being null.

    Raises:
        InvalidInputError: bytes are not such a message, or `column_from_values` refuses a value.
    """
    try:
        values = [pb.Value.FromString(message) for message in messages]
    except DecodeError:
        raise InvalidInputError(f"{name} holds bytes that are not a feast.types.Value", "pass serialized values") from None
    return column_from_values(values, dtype, name, nullable=nullable)


def column_to_value_bytes(column: Column) -> list[bytes]:
    """One serialized `Value` a cell (`ValueProto.FromString(...)` reads it), b"" for null. Timestamps become whole seconds."""
    return encode_cells(column)

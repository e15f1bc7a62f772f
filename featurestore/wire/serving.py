"""The messages of `feast.serving.ServingService`, read and written as plain values and columns; no protobuf object leaves here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from featurestore.core.errors import InvalidInputError, RemoteError
from featurestore.core.status import FieldStatus
from featurestore.core.types import ValueType
from featurestore.wire.columns import Column
from featurestore.wire.decoding import column_from_values, dtype_of
from featurestore.wire.encoding import SECOND, encode_columns
from featurestore.wire.gen.feast.serving import ServingService_pb2 as pb
from featurestore.wire.gen.feast.types import Value_pb2 as value_pb
from featurestore.wire.pool import POOL
from featurestore.wire.python import column_to_python
from featurestore.wire.varints import delimited, tag, unsigned, varint, varint_matrix

SERVICE = pb.DESCRIPTOR.services_by_name["ServingService"].full_name
"""`feast.serving.ServingService`"""
GET_ONLINE_FEATURES = "GetOnlineFeatures"
GET_SERVING_INFO = "GetFeastServingInfo"

__all__ = [
    "GET_ONLINE_FEATURES",
    "GET_SERVING_INFO",
    "POOL",
    "SERVICE",
    "EntityValues",
    "OnlineRequest",
    "OnlineResponse",
    "encode_online_request",
    "encode_online_response",
    "encode_serving_info",
    "parse_online_request",
    "parse_online_response",
    "parse_serving_info",
]


class EntityValues:
    """One join key's values as a request brought them; `column` reads them as the key's type."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[value_pb.Value]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def column(self, dtype: ValueType, name: str, *, nullable: bool = False) -> Column:
        """The values as a column of `dtype`; `name` is the key's in messages.

        Raises:
            InvalidInputError: a value is of another type or out of range, or it is null and `nullable` is False.
        """
        return column_from_values(self._values, dtype, name, nullable=nullable)


@dataclass(frozen=True, slots=True)
class OnlineRequest:
    """What a client asks: `features` is a feature service's name, or references view:feature."""

    features: tuple[str, ...] | str
    entities: Mapping[str, EntityValues]
    full_feature_names: bool
    include_feature_view_version_metadata: bool


@dataclass(frozen=True)
class OnlineResponse:
    """What a server answered, one item of every field a column: join keys first, then the features as they were asked for.

    `columns[i]` is None where all its values are null: the wire tells no type then. `statuses[i]` holds FieldStatus numbers,
    `event_us[i]` the values' event times in microseconds since the epoch, 0 where there is none.
    """

    names: tuple[str, ...]
    columns: tuple[Column | None, ...]
    statuses: tuple[list[int], ...]
    event_us: tuple[list[int], ...]

    @cached_property
    def values(self) -> tuple[list[Any], ...]:
        """Each column's values as Python objects, None for null."""
        return tuple(
            [None] * len(statuses) if column is None else column_to_python(column)
            for column, statuses in zip(self.columns, self.statuses, strict=True)
        )


def parse_online_request(data: bytes) -> OnlineRequest:
    """A serialized GetOnlineFeaturesRequest.

    Raises:
        InvalidInputError: the bytes are not one, or it names neither features nor a feature service.
    """
    try:
        message = pb.GetOnlineFeaturesRequest.FromString(data)
    except DecodeError:
        raise InvalidInputError("the request is not a GetOnlineFeaturesRequest", "send that message, serialized") from None
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidInputError("the request asks for nothing", "set features or feature_service")
    return OnlineRequest(
        features=tuple(message.features.val) if kind == "features" else message.feature_service,
        entities={name: EntityValues(repeated.val) for name, repeated in message.entities.items()},
        full_feature_names=message.full_feature_names,
        include_feature_view_version_metadata=message.include_feature_view_version_metadata,
    )


def encode_online_request(features: Sequence[str] | str, entities: Mapping[str, Column], full_feature_names: bool = False) -> bytes:
    """A serialized GetOnlineFeaturesRequest; `features` is a feature service's name, or references view:feature.

    Raises:
        InvalidInputError: a join key is a time with a fraction of a second, which these messages cannot carry.
    """
    if isinstance(features, str):
        kind = delimited(1, features.encode())
    else:
        kind = delimited(2, b"".join(delimited(1, reference.encode()) for reference in features))
    for name, column in entities.items():
        if column.dtype is ValueType.UNIX_TIMESTAMP and (column.values.astype(np.int64) % SECOND).any():
            raise InvalidInputError(f"join key {name} holds a fraction of a second", "Feast's messages carry whole seconds")
    encoded = encode_columns(list(entities.values()))
    items = (
        delimited(3, delimited(1, name.encode()) + delimited(2, values)) for name, values in zip(entities, encoded, strict=True)
    )
    return b"".join((kind, *items, tag(4, 0) + b"\x01" if full_feature_names else b""))


def encode_online_response(
    names: Sequence[str],
    columns: Sequence[Column],
    statuses: Sequence[NDArray[np.uint8]],
    event_us: Sequence[NDArray[np.int64]],
    *,
    view_versions: Sequence[tuple[str, int]] = (),
) -> bytes:
    """A serialized GetOnlineFeaturesResponse: for each name a column, its FieldStatus numbers and event times, all of one length.

    Join keys come first, then the features as they were asked for. Event times are microseconds since the epoch, 0 for none; one
    array given for several columns is encoded once. `view_versions` (name, version) are for a request that asks for them. The
    field `status` stays unset, as in Feast's own answers.
    """
    times: dict[int, bytes] = {}
    parts = [_metadata(tuple(names), tuple(view_versions))]
    for values, states, moments in zip(encode_columns(columns), statuses, event_us, strict=True):
        timestamps = times.get(id(moments))
        if timestamps is None:
            timestamps = times[id(moments)] = _timestamps(moments)
        count = _STATUSES_TAG + varint(len(states)) if len(states) else b""
        size = varint(len(values) + len(count) + len(states) + len(timestamps))
        parts += (_RESULTS_TAG, size, values, count, states.tobytes(), timestamps)
    return b"".join(parts)


def parse_online_response(data: bytes) -> OnlineResponse:
    """A serialized GetOnlineFeaturesResponse.

    Raises:
        RemoteError: the bytes are not one, or its parts do not fit together.
    """
    remedy = "check that the address is a feature server's"
    try:
        message = pb.GetOnlineFeaturesResponse.FromString(data)
        names = tuple(message.metadata.feature_names.val)
        columns = tuple(_column(vector.values, name) for name, vector in zip(names, message.results, strict=True))
    except (DecodeError, InvalidInputError, ValueError) as error:
        raise RemoteError(f"the answer is not a GetOnlineFeaturesResponse ({error})", remedy, code="DATA_LOSS") from None
    for name, vector in zip(names, message.results, strict=True):
        if not len(vector.values) == len(vector.statuses) == len(vector.event_timestamps):
            raise RemoteError(f"the answer's column {name} has parts of different lengths", remedy, code="DATA_LOSS")
        if not all(0 <= status <= _GREATEST_STATUS for status in vector.statuses):
            raise RemoteError(f"the answer's column {name} has a status that is none", remedy, code="DATA_LOSS")
        if not all(-_LAST_SECOND < t.seconds < _LAST_SECOND for t in vector.event_timestamps):
            raise RemoteError(f"the answer's column {name} has an event time out of range", remedy, code="DATA_LOSS")
    return OnlineResponse(
        names,
        columns,
        tuple(list(vector.statuses) for vector in message.results),
        tuple([t.seconds * SECOND + t.nanos // 1000 for t in vector.event_timestamps] for vector in message.results),
    )


def encode_serving_info(version: str) -> bytes:
    """A serialized GetFeastServingInfoResponse. Its request has no fields: b"" is one."""
    return pb.GetFeastServingInfoResponse(version=version).SerializeToString()


def parse_serving_info(data: bytes) -> str:
    """The version in a serialized GetFeastServingInfoResponse.

    Raises:
        RemoteError: the bytes are not one.
    """
    try:
        return pb.GetFeastServingInfoResponse.FromString(data).version
    except DecodeError:
        cause = "the answer is not a GetFeastServingInfoResponse"
        raise RemoteError(cause, "check that the address is a feature server's", code="DATA_LOSS") from None


_GREATEST_STATUS = np.iinfo(np.uint8).max
_LAST_SECOND = 2**63 // SECOND
"""Times nearer the ends of time than a second cannot be told apart from those that int64 microseconds cannot hold."""
_RESULTS_TAG = tag(2, 2)
_STATUSES_TAG = tag(2, 2)
_TIMESTAMPS_TAG = tag(3, 2)
assert max(FieldStatus) < 0x80, "a status is one byte of its packed field"


@lru_cache(maxsize=1024)
def _metadata(names: tuple[str, ...], view_versions: tuple[tuple[str, int], ...]) -> bytes:
    message = pb.GetOnlineFeaturesResponse()
    message.metadata.feature_names.val.extend(names)
    for name, version in view_versions:
        message.metadata.feature_view_metadata.add(name=name, version=version)
    return message.SerializeToString()


def _timestamps(moments: NDArray[np.int64]) -> bytes:
    """The field `repeated Timestamp event_timestamps = 3`; zero seconds and zero nanoseconds are left out, as proto3 does."""
    first = moments[:1]
    if bool((moments == first).all()):
        return b"".join(_timestamp(moment) for moment in first.tolist()) * len(moments)
    return _different_timestamps(moments)


def _timestamp(moment: int) -> bytes:
    seconds, rest = divmod(moment, SECOND)
    return delimited(3, b"".join(tag(n, 0) + varint(v % (1 << 64)) for n, v in ((1, seconds), (2, rest * 1000)) if v))


def _different_timestamps(moments: NDArray[np.int64]) -> bytes:
    seconds, rest = np.divmod(moments, SECOND)
    fields = []
    for field, numbers in ((1, seconds), (2, rest * 1000)):
        matrix, used = varint_matrix(unsigned(numbers))
        head = np.full((len(moments), 1), tag(field, 0)[0], dtype=np.uint8)
        used = np.concatenate((np.ones(head.shape, dtype=np.bool_), used), axis=1)
        fields.append((np.concatenate((head, matrix), axis=1), used & (numbers != 0)[:, None]))
    body = np.concatenate([matrix for matrix, _ in fields], axis=1)
    body_used = np.concatenate([used for _, used in fields], axis=1)
    # Two fields of at most 11 bytes each: the length is one byte.
    head = np.empty((len(moments), 2), dtype=np.uint8)
    head[:, 0] = _TIMESTAMPS_TAG[0]
    head[:, 1] = body_used.sum(axis=1)
    used = np.concatenate((np.ones(head.shape, dtype=np.bool_), body_used), axis=1)
    return np.concatenate((head, body), axis=1)[used].tobytes()


def _column(values: Sequence[value_pb.Value], name: str) -> Column | None:
    dtype = dtype_of(values)
    return None if dtype is None else column_from_values(values, dtype, name)

"""`Client`: online features from a running server."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
import numpy as np

from featurestore.client.answer import OnlineFeatures
from featurestore.client.entities import EntityRows, entity_columns
from featurestore.core.errors import FeatureStoreError, InvalidInputError, RemoteError
from featurestore.wire import serving as wire
from featurestore.wire.faults import TRAILER, from_trailer

LARGEST_MESSAGE = 64 * 2**20
"""Bytes of the largest request sent and answer taken."""

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    # After a server's restart, be back within seconds rather than gRPC's minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class Client:
    """A connection to `featurestore serve` at `address` (host:port), or to any server of feast.serving.ServingService.

    Nothing is sent before the first call. Every call ends within `timeout_seconds`. Safe for many threads; close it, or use it
    in a `with` block.
    """

    def __init__(self, address: str, *, timeout_seconds: float = 5.0) -> None:
        if not isinstance(address, str) or not address.strip():
            raise InvalidInputError(f"the address is {address!r}", "give host:port, as `featurestore serve` prints it")
        if not timeout_seconds > 0:
            raise InvalidInputError(f"timeout_seconds is {timeout_seconds}", "give a number of seconds above 0")
        self.address = address
        self._timeout = timeout_seconds
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._get_online_features = self._channel.unary_unary(f"/{wire.SERVICE}/{wire.GET_ONLINE_FEATURES}")
        self._get_serving_info = self._channel.unary_unary(f"/{wire.SERVICE}/{wire.GET_SERVING_INFO}")

    def get_online_features(
        self, features: Sequence[str] | str, entity_rows: EntityRows, full_feature_names: bool = False
    ) -> OnlineFeatures:
        """The features of the entities, one row an entity row.

        Args:
            features: a feature service's name, or references `view:feature` (`view:*` for all of a view's).
            entity_rows: rows [{"customer_id": 1}, ...] or columns {"customer_id": [1, ...]}; see `entity_columns` for the types.
            full_feature_names: name the answers `view__feature`.

        Raises:
            InvalidInputError: the entities or the references are malformed, by this check or the server's.
            UnknownNameError: there is no such view, feature or service; the nearest are named.
            RemoteError: the server cannot be reached in time or failed; `code` is the gRPC status.
        """
        wanted = _wanted(features)
        keys = entity_columns(entity_rows)
        request = wire.encode_online_request(wanted, keys, full_feature_names=full_feature_names)
        answer = wire.parse_online_response(self._call(self._get_online_features, request))
        found = OnlineFeatures(
            answer.names,
            answer.columns,
            tuple(np.array(statuses, dtype=np.uint8) for statuses in answer.statuses),
            tuple(np.array(times, dtype=np.int64) for times in answer.event_us),
            len(keys),
        )
        # Without join keys the wire cannot tell how many rows are meant.
        return found if keys or not isinstance(entity_rows, Sequence) else found.repeated(len(entity_rows))

    def serving_info(self) -> str:
        """The server's version."""
        return wire.parse_serving_info(self._call(self._get_serving_info, b""))

    def close(self) -> None:
        """Close the connection; calls in flight are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _call(self, method: grpc.UnaryUnaryMultiCallable, request: bytes) -> bytes:
        try:
            answer: bytes = method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._translated(error) from error
        except ValueError as error:  # gRPC's way to say that the channel is closed
            raise InvalidInputError(f"the client of {self.address} is closed", "make a new Client") from error
        return answer

    def _translated(self, error: grpc.Call) -> FeatureStoreError:
        code, details = error.code(), error.details() or "no details"
        told = dict(error.trailing_metadata() or ()).get(TRAILER)
        ours = from_trailer(told) if told else None
        if ours is not None:
            return ours
        if code == grpc.StatusCode.UNAVAILABLE and told is None:
            return RemoteError(
                f"no answer from {self.address} ({details})", f"is `featurestore serve` running at {self.address}?", code=code.name
            )
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return RemoteError(
                f"no answer from {self.address} within {self._timeout:g} seconds",
                "ask for fewer rows, or give the client a longer timeout_seconds",
                code=code.name,
            )
        return RemoteError(f"{self.address} answered {code.name}: {details}", code=code.name)


def _wanted(features: Sequence[str] | str) -> tuple[str, ...] | str:
    if isinstance(features, str):
        return features
    if isinstance(features, Sequence) and all(isinstance(reference, str) for reference in features):
        return tuple(features)
    raise InvalidInputError(
        f"features is {type(features).__name__}, neither a name nor a list of names",
        'give references ["view:feature", ...] or a feature service\'s name',
    )

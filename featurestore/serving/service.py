"""feast.serving.ServingService on bytes: the request's way from wire to plan to lookup and back, and its errors as gRPC statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

import grpc
import numpy as np

from featurestore import __version__
from featurestore.core.errors import (
    BusyError,
    CorruptDataError,
    FeatureStoreError,
    InvalidInputError,
    NotMaterializedError,
    StoreError,
    UnknownNameError,
)
from featurestore.core.selection import Selection
from featurestore.core.status import FieldStatus
from featurestore.serving.state import Project, ServingState
from featurestore.wire import serving as wire
from featurestore.wire.faults import TRAILER, to_message, to_trailer

_log = logging.getLogger("featurestore.serving")

CODES: dict[type[FeatureStoreError], grpc.StatusCode] = {
    InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownNameError: grpc.StatusCode.NOT_FOUND,
    NotMaterializedError: grpc.StatusCode.FAILED_PRECONDITION,
    CorruptDataError: grpc.StatusCode.DATA_LOSS,
    StoreError: grpc.StatusCode.UNAVAILABLE,
    BusyError: grpc.StatusCode.UNAVAILABLE,
}
"""The gRPC status of each error a lookup may end in. Any other is a fault of ours: INTERNAL."""


class FeatureService:
    """The service's methods as plain functions from request bytes to response bytes. They raise this package's errors."""

    def __init__(self, state: ServingState) -> None:
        self._state = state

    def get_online_features(self, data: bytes) -> bytes:
        """Answer a GetOnlineFeaturesRequest: join keys first with status PRESENT, then the features in the order asked for."""
        request = wire.parse_online_request(data)
        return self._state.answer(lambda project: _answered(project, request))

    def get_serving_info(self, data: bytes) -> bytes:
        """Answer a GetFeastServingInfoRequest with this package's version."""
        return wire.encode_serving_info(__version__)

    def handler(self) -> grpc.GenericRpcHandler:
        """The methods as gRPC registers them, taking and giving bytes."""
        methods = {wire.GET_ONLINE_FEATURES: self.get_online_features, wire.GET_SERVING_INFO: self.get_serving_info}
        return grpc.method_handlers_generic_handler(
            wire.SERVICE, {name: grpc.unary_unary_rpc_method_handler(_with_status(method)) for name, method in methods.items()}
        )


def _answered(project: Project, request: wire.OnlineRequest) -> bytes:
    """The response to a request from one catalog and one generation."""
    plan = project.plans.plan(request.features, request.full_feature_names)
    keys = {field.name: request.entities[name].column(field.dtype, name) for name, field in plan.join_keys(request.entities.keys())}
    answer = project.lookup.read(plan.selection, keys)
    count = len(next(iter(keys.values()), ()))
    present = np.full(count, FieldStatus.PRESENT, dtype=np.uint8)
    no_time = np.zeros(count, dtype=np.int64)
    return wire.encode_online_response(
        [*keys, *answer.names],
        [*keys.values(), *answer.columns],
        [*(present for _ in keys), *answer.statuses],
        [*(no_time for _ in keys), *answer.event_us],
        view_versions=_unversioned(plan.selection) if request.include_feature_view_version_metadata else (),
    )


def _unversioned(selection: Selection) -> list[tuple[str, int]]:
    """The views asked for with version 0, Feast's number for a view whose versions nobody keeps."""
    return [(name, 0) for name in dict.fromkeys(part.view.name for part in selection.views)]


def _with_status(method: Callable[[bytes], bytes]) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method(data)
        except FeatureStoreError as error:
            code = CODES.get(type(error), grpc.StatusCode.INTERNAL)
            if code not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                _log.error("a lookup failed: %s", error)
            context.set_trailing_metadata(((TRAILER, to_trailer(error)),))
            _abort(context, code, to_message(error))
        except Exception:  # noqa: BLE001 - the process's outermost edge: a fault of ours must not reach the caller as a traceback
            _log.exception("a lookup failed unexpectedly")
            _abort(context, grpc.StatusCode.INTERNAL, "the server failed unexpectedly; its log says more")

    return answer


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")

"""The service's messages: what we write, protobuf reads, and the other way round."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.errors import InvalidInputError, RemoteError
from featurestore.core.status import FieldStatus
from featurestore.core.types import ValueType as V
from featurestore.wire import serving as wire
from featurestore.wire.gen.feast.serving import ServingService_pb2 as pb
from featurestore.wire.gen.feast.types import Value_pb2 as value_pb
from featurestore.wire.values import column_from_python, column_to_python
from tests.wire.examples import message


def test_names_are_those_of_the_service() -> None:
    methods = wire.POOL.FindServiceByName(wire.SERVICE).methods_by_name
    assert {wire.GET_ONLINE_FEATURES, wire.GET_SERVING_INFO} == set(methods)


@pytest.mark.parametrize("features", ["scoring", ("shop:spend", "shop:visits")])
@pytest.mark.parametrize("full", [False, True])
def test_request_round_trip(features: str | tuple[str, ...], full: bool) -> None:
    keys = {
        "customer_id": column_from_python([1, 2**40], V.INT64, "customer_id"),
        "kürzel": column_from_python(["a", ""], V.STRING, "kürzel"),
    }
    data = wire.encode_online_request(features, keys, full)
    seen = pb.GetOnlineFeaturesRequest.FromString(data)
    assert seen.feature_service == (features if isinstance(features, str) else "")
    assert tuple(seen.features.val) == (() if isinstance(features, str) else features)
    assert [v.int64_val for v in seen.entities["customer_id"].val] == [1, 2**40]

    request = wire.parse_online_request(data)
    assert (request.features, request.full_feature_names) == (features, full)
    assert {name: len(values) for name, values in request.entities.items()} == {"customer_id": 2, "kürzel": 2}
    assert column_to_python(request.entities["kürzel"].column(V.STRING, "kürzel")) == ["a", ""]
    assert column_to_python(request.entities["customer_id"].column(V.INT64, "customer_id")) == [1, 2**40]


def test_request_of_another_client() -> None:
    message = pb.GetOnlineFeaturesRequest(include_feature_view_version_metadata=True)
    message.features.SetInParent()
    message.entities["id"].val.add(int32_val=7)
    message.entities["id"].val.add()
    message.request_context["amount"].val.add(double_val=1)
    request = wire.parse_online_request(message.SerializeToString())
    assert request.features == ()
    assert request.include_feature_view_version_metadata
    assert column_to_python(request.entities["id"].column(V.INT64, "id", nullable=True)) == [7, None]
    with pytest.raises(InvalidInputError, match="id is null in row 1"):
        request.entities["id"].column(V.INT64, "id")


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff", b"\x0a\x01\xff"])
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="GetOnlineFeaturesRequest"):
        wire.parse_online_request(data)
    with pytest.raises(RemoteError, match="GetOnlineFeaturesResponse") as refused:
        wire.parse_online_response(data)
    assert refused.value.code == "DATA_LOSS"
    with pytest.raises(RemoteError, match="GetFeastServingInfoResponse"):
        wire.parse_serving_info(data)


def test_request_without_a_kind_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="asks for nothing"):
        wire.parse_online_request(b"")


def test_time_keys_that_the_messages_cannot_carry_are_refused() -> None:
    column = column_from_python([np.datetime64("2020-01-01T00:00:00.5")], V.UNIX_TIMESTAMP, "at")
    with pytest.raises(InvalidInputError, match="at holds a fraction"):
        wire.encode_online_request("s", {"at": column})


_MOMENTS = st.one_of(
    st.just(0), st.integers(-(10**17), 10**17), st.sampled_from([-1, 1, 999_999, 10**6, -(10**6), 1_700_000_000 * 10**6])
)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 5), st.booleans())
def test_response_equals_the_protobuf_librarys(data: st.DataObject, rows: int, all_one: bool) -> None:
    numbers = data.draw(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    texts = data.draw(st.lists(st.none() | st.text(max_size=4), min_size=rows, max_size=rows))
    moments = [data.draw(_MOMENTS)] * rows if all_one else data.draw(st.lists(_MOMENTS, min_size=rows, max_size=rows))
    states = data.draw(st.lists(st.sampled_from(list(FieldStatus)), min_size=rows, max_size=rows))
    times, statuses = np.array(moments, dtype=np.int64), np.array(states, dtype=np.uint8)
    encoded = wire.encode_online_response(
        ["id", "name", "again"],
        [
            column_from_python(numbers, V.INT64, "id"),
            column_from_python(texts, V.STRING, "name"),
            column_from_python(numbers, V.INT64, "again"),
        ],
        [statuses] * 3,
        [times, times, np.zeros(rows, dtype=np.int64)],
        view_versions=[("shop", 3)],
    )
    wanted = pb.GetOnlineFeaturesResponse()
    wanted.metadata.feature_names.val.extend(["id", "name", "again"])
    wanted.metadata.feature_view_metadata.add(name="shop", version=3)
    for values, dtype, event in ((numbers, V.INT64, moments), (texts, V.STRING, moments), (numbers, V.INT64, [0] * rows)):
        vector = wanted.results.add()
        vector.values.extend(message(v, dtype) for v in values)
        numbers_of: Any = vector.statuses
        numbers_of.extend(int(s) for s in states)
        for us in event:
            vector.event_timestamps.add(seconds=us // 10**6, nanos=us % 10**6 * 1000)
    assert encoded == wanted.SerializeToString(deterministic=True)

    answer = wire.parse_online_response(encoded)
    assert answer.names == ("id", "name", "again")
    assert list(answer.values) == [numbers, texts, numbers]
    assert list(answer.statuses) == [[int(s) for s in states]] * 3
    assert list(answer.event_us) == [moments, moments, [0] * rows]
    assert [c is None for c in answer.columns] == [all(v is None for v in vs) for vs in (numbers, texts, numbers)]


def test_response_whose_parts_do_not_fit_is_refused() -> None:
    message = pb.GetOnlineFeaturesResponse()
    message.results.add(values=[value_pb.Value(int64_val=1)])
    with pytest.raises(RemoteError):
        wire.parse_online_response(message.SerializeToString())
    message.metadata.feature_names.val.append("a")
    with pytest.raises(RemoteError, match="column a has parts of different lengths"):
        wire.parse_online_response(message.SerializeToString())


def test_serving_info_round_trip() -> None:
    assert wire.parse_serving_info(wire.encode_serving_info("0.1.0")) == "0.1.0"


def test_the_wire_without_arrow_loads_no_heavy_library() -> None:
    code = (
        "import sys; import featurestore.wire.serving, featurestore.wire.feast_messages, featurestore.wire.values; "
        "print([m for m in ('pyarrow', 'pandas', 'polars', 'feast', 'pandera', 'duckdb', 'grpc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Feast's own generated client against our server: every type a feature can have, and every type of join key."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import pytest

from featurestore.core.catalog import Catalog, Entity, Field, Source, View
from featurestore.core.clock import fixed_clock
from featurestore.core.types import JOIN_KEY_TYPES, ValueType
from featurestore.serving import Server
from tests.serving.project import NOW, Shop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Feast and what it imports warn about each other
    from feast.protos.feast.serving.ServingService_pb2 import (
        GetFeastServingInfoRequest,
        GetOnlineFeaturesRequest,
        GetOnlineFeaturesResponse,
    )
    from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub
    from feast.protos.feast.types.Value_pb2 import Value

MOMENT = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())
SOME_UUID = UUID(int=2**127 + 5)

SCALARS: dict[ValueType, tuple[Any, str, Any]] = {
    ValueType.BYTES: (b"\x00\xff", "bytes_val", b"\x00\xff"),
    ValueType.STRING: ("Zürich", "string_val", "Zürich"),
    ValueType.INT32: (-(2**31), "int32_val", -(2**31)),
    ValueType.INT64: (2**63 - 1, "int64_val", 2**63 - 1),
    ValueType.DOUBLE: (1e300, "double_val", 1e300),
    ValueType.FLOAT: (0.25, "float_val", 0.25),
    ValueType.BOOL: (False, "bool_val", False),
    ValueType.UNIX_TIMESTAMP: (MOMENT, "unix_timestamp_val", SECONDS),
    ValueType.JSON: ('{"a": 1}', "json_val", '{"a": 1}'),
    ValueType.UUID: (SOME_UUID, "uuid_val", str(SOME_UUID)),
    ValueType.DECIMAL: ("12.50", "decimal_val", "12.50"),
}
"""Type -> (what is stored, the field of Feast's Value it comes in, what is in it)."""

LISTS: dict[ValueType, tuple[list[Any], str, list[Any]]] = {
    ValueType.BYTES_LIST: ([b"", b"x"], "bytes_list_val", [b"", b"x"]),
    ValueType.STRING_LIST: (["", "é"], "string_list_val", ["", "é"]),
    ValueType.INT32_LIST: ([-1, 2], "int32_list_val", [-1, 2]),
    ValueType.INT64_LIST: ([-(2**63)], "int64_list_val", [-(2**63)]),
    ValueType.DOUBLE_LIST: ([0.1, -0.0], "double_list_val", [0.1, -0.0]),
    ValueType.FLOAT_LIST: ([0.5], "float_list_val", [0.5]),
    ValueType.BOOL_LIST: ([True, False], "bool_list_val", [True, False]),
    ValueType.UNIX_TIMESTAMP_LIST: ([MOMENT], "unix_timestamp_list_val", [SECONDS]),
}
KEYS: dict[ValueType, tuple[Any, Value]] = {
    ValueType.BOOL: (True, Value(bool_val=True)),
    ValueType.INT32: (-5, Value(int32_val=-5)),
    ValueType.INT64: (5, Value(int64_val=5)),
    ValueType.STRING: ("ß", Value(string_val="ß")),
    ValueType.BYTES: (b"\xff", Value(bytes_val=b"\xff")),
    ValueType.UNIX_TIMESTAMP: (MOMENT, Value(unix_timestamp_val=SECONDS)),
    ValueType.UUID: (SOME_UUID, Value(uuid_val=str(SOME_UUID))),
}

TYPES = View(
    "types",
    ("user",),
    (Field("user_id", ValueType.INT64),),
    tuple(Field(dtype.name.lower(), dtype) for dtype in (*SCALARS, *LISTS)),
    None,
    Source("types", "parquet", "types.parquet", "ts"),
)
BY_KEY = tuple(
    View(
        f"by_{dtype.name.lower()}",
        (dtype.name.lower(),),
        (Field(f"{dtype.name.lower()}_id", dtype),),
        (Field(f"seen_{dtype.name.lower()}", ValueType.INT64),),
        None,
        Source("k", "parquet", "k.parquet", "ts"),
    )
    for dtype in KEYS
)
CATALOG = Catalog(
    "types",
    (
        Entity("user", "user_id", ValueType.INT64),
        *(Entity(v.entities[0], v.join_keys[0].name, v.join_keys[0].dtype) for v in BY_KEY),
    ),
    (TYPES, *BY_KEY),
)


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingServiceStub]:
    """Feast's stub on a server with one full row (1), one row of nulls (2), and a row for every type of key."""
    shop = Shop(tmp_path_factory.mktemp("types"))
    shop.apply(CATALOG)
    full = {dtype.name.lower(): stored for dtype, (stored, _, _) in (SCALARS | LISTS).items()}
    by_key = {v.name: [((KEYS[v.join_keys[0].dtype][0],), NOW, {v.features[0].name: 7})] for v in BY_KEY}
    shop.publish({"types": [((1,), NOW - 1_500_000, full), ((2,), NOW, {})], **by_key}, CATALOG)
    server = Server(shop.config, port=0, clock=fixed_clock(NOW))
    with grpc.insecure_channel(server.start()) as channel:
        yield ServingServiceStub(channel)
        server.stop(0)


def ask(stub: ServingServiceStub, features: list[str], **keys: list[Value]) -> GetOnlineFeaturesResponse:
    request = GetOnlineFeaturesRequest()
    request.features.val.extend(features)
    for name, values in keys.items():
        request.entities[name].val.extend(values)
    answer: GetOnlineFeaturesResponse = stub.GetOnlineFeatures(request, timeout=20)
    return answer


def test_the_keys_tested_are_all_there_are() -> None:
    assert set(KEYS) == JOIN_KEY_TYPES


@pytest.mark.parametrize("dtype", [*SCALARS, *LISTS])
def test_a_value_of_every_type_arrives_in_feasts_field_for_it(stub: ServingServiceStub, dtype: ValueType) -> None:
    answer = ask(stub, [f"types:{dtype.name.lower()}"], user_id=[Value(int64_val=user) for user in (1, 2, 3)])
    assert list(answer.metadata.feature_names.val) == ["user_id", dtype.name.lower()]
    keys, vector = answer.results
    assert [value.int64_val for value in keys.values] == [1, 2, 3]
    assert (list(keys.statuses), [t.ToNanoseconds() for t in keys.event_timestamps]) == ([1, 1, 1], [0, 0, 0])
    full, null, missing = vector.values
    _, kind, content = (SCALARS | LISTS)[dtype]
    assert full.WhichOneof("val") == kind
    held = getattr(full, kind)
    assert (list(held.val) if dtype in LISTS else held) == content
    assert (null.WhichOneof("val"), missing.WhichOneof("val")) == (None, None)
    assert list(vector.statuses) == [1, 2, 3]
    assert [t.ToMicroseconds() for t in vector.event_timestamps] == [NOW - 1_500_000, NOW, 0]


@pytest.mark.parametrize("dtype", list(KEYS))
def test_a_join_key_of_every_type_finds_its_row(stub: ServingServiceStub, dtype: ValueType) -> None:
    name = dtype.name.lower()
    answer = ask(stub, [f"by_{name}:seen_{name}"], **{f"{name}_id": [KEYS[dtype][1]]})
    assert answer.results[0].values[0] == KEYS[dtype][1]
    assert answer.results[1].values[0].int64_val == 7


def test_every_feature_at_once_keeps_the_order_asked_for(stub: ServingServiceStub) -> None:
    names = [dtype.name.lower() for dtype in reversed([*SCALARS, *LISTS])]
    answer = ask(stub, [f"types:{name}" for name in names], user_id=[Value(int64_val=1)])
    assert list(answer.metadata.feature_names.val) == ["user_id", *names]
    assert [vector.values[0].WhichOneof("val") for vector in answer.results[1:]] == [
        kind for _, kind, _ in reversed([*SCALARS.values(), *LISTS.values()])
    ]


@pytest.mark.parametrize("value", [Value(), Value(string_val="1"), Value(double_val=1.0)])
def test_a_key_that_is_null_or_of_another_type_is_refused_by_name(stub: ServingServiceStub, value: Value) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, ["types:int64"], user_id=[value])
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "user_id" in caught.value.details()


def test_view_versions_come_when_asked_for(stub: ServingServiceStub) -> None:
    request = GetOnlineFeaturesRequest(include_feature_view_version_metadata=True)
    request.features.val.append("types:int64")
    request.entities["user_id"].val.append(Value(int64_val=1))
    told = stub.GetOnlineFeatures(request, timeout=20).metadata.feature_view_metadata
    assert [(view.name, view.version) for view in told] == [("types", 0)]


def test_the_servers_version(stub: ServingServiceStub) -> None:
    assert stub.GetFeastServingInfo(GetFeastServingInfoRequest(), timeout=20).version

"""Against Feast itself: the same messages, and its own stubs and converters read what we write."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from feast.protos.feast.serving import ServingService_pb2 as feast_serving
from feast.protos.feast.types import Value_pb2 as feast_types
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from feast.value_type import ValueType as FeastValueType
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.status import FieldStatus
from featurestore.core.types import ValueType
from featurestore.wire.feast_messages import column_to_value_bytes, values_from_bytes
from featurestore.wire.gen.feast.serving import ServingService_pb2 as our_serving
from featurestore.wire.gen.feast.types import Value_pb2 as our_types
from featurestore.wire.serving import encode_online_request, encode_online_response, parse_online_response
from featurestore.wire.values import column_from_python, column_to_python
from tests.wire.examples import ALL, columns, same

ROOT = Path(__file__).resolve().parents[2]


def _messages(file: Any) -> dict[str, Any]:
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    described: list[Any] = [*proto.message_type, *proto.enum_type, *proto.service]
    return {item.name: item for item in described}


@pytest.mark.parametrize(("ours", "theirs"), [(our_types, feast_types), (our_serving, feast_serving)], ids=["types", "serving"])
def test_messages_are_feasts_field_by_field(ours: Any, theirs: Any) -> None:
    known = _messages(theirs.DESCRIPTOR)
    for name, described in _messages(ours.DESCRIPTOR).items():
        assert described == type(described).FromString(known[name].SerializeToString()), name


def test_types_and_statuses_have_feasts_numbers() -> None:
    ours = {t.name: int(t) for t in ValueType}
    theirs = dict(feast_types.ValueType.Enum.items())
    assert ours == {name: number for name, number in theirs.items() if name not in ("INVALID", "NULL")}
    assert {s.name: int(s) for s in FieldStatus} == dict(feast_serving.FieldStatus.items())


def test_generated_code_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "protos" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("dtype", [t for t in ALL if t is not ValueType.ZONED_TIMESTAMP], ids=lambda t: t.name)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_feast_gives_the_python_values_we_give(dtype: ValueType, data: st.DataObject) -> None:
    column = column_from_python(data.draw(columns(dtype)), dtype, "x")
    read = [feast_types.Value.FromString(value) for value in column_to_value_bytes(column)]
    back = values_from_bytes([value.SerializeToString() for value in read], dtype, "x")
    assert same([feast_value_type_to_python_type(value) for value in read], column_to_python(back))


@pytest.mark.parametrize("dtype", ALL, ids=lambda t: t.name)
def test_feasts_own_values_are_read(dtype: ValueType) -> None:
    moment = datetime(2020, 2, 29, 12, 30, 1, tzinfo=UTC)
    scalars: dict[ValueType, Any] = {
        ValueType.BOOL: True,
        ValueType.INT32: -7,
        ValueType.INT64: 2**40,
        ValueType.FLOAT: 0.5,
        ValueType.DOUBLE: 0.1,
        ValueType.STRING: "é",
        ValueType.BYTES: b"\x00\xff",
        ValueType.UNIX_TIMESTAMP: moment,
        ValueType.ZONED_TIMESTAMP: moment,
        ValueType.UUID: UUID(int=5),
        ValueType.TIME_UUID: UUID(int=6),
        ValueType.DECIMAL: Decimal("1.50"),
        ValueType.JSON: '{"a": 1}',
        ValueType.MAP: {"a": 1, "b": None, "c": {"d": [1.5]}},
        ValueType.STRUCT: {"name": "x"},
        ValueType.SCALAR_MAP: {1: "a"},
        ValueType.VALUE_LIST: [[1], [2, 3]],
        ValueType.VALUE_SET: [[1], [2, 3]],
    }
    element, _, collection = dtype.name.rpartition("_")
    value = scalars[dtype] if dtype in scalars else (set if collection == "SET" else list)([scalars[ValueType[element]]])
    messages = python_values_to_proto_values([value, None], FeastValueType[dtype.name])
    column = values_from_bytes([m.SerializeToString() for m in messages], dtype, "x")
    assert same(column_to_python(column), [feast_value_type_to_python_type(messages[0]), None])


def test_feasts_stub_reads_our_answer_and_we_read_feasts() -> None:
    ids = column_from_python([1, 2], ValueType.INT64, "id")
    spend = column_from_python([0.5, None], ValueType.DOUBLE, "spend")
    statuses = np.array([FieldStatus.PRESENT, FieldStatus.OUTSIDE_MAX_AGE], dtype=np.uint8)
    times = np.array([1_700_000_000_500_000, -1], dtype=np.int64)
    data = encode_online_response(["id", "spend"], [ids, spend], [statuses, statuses], [np.zeros(2, dtype=np.int64), times])
    read = feast_serving.GetOnlineFeaturesResponse.FromString(data)
    assert list(read.metadata.feature_names.val) == ["id", "spend"]
    assert list(read.results[1].statuses) == [1, 4]
    assert [t.ToMicroseconds() for t in read.results[1].event_timestamps] == [1_700_000_000_500_000, -1]
    assert [v.WhichOneof("val") for v in read.results[1].values] == ["double_val", None]
    again = parse_online_response(read.SerializeToString())
    assert again.values == ([1, 2], [0.5, None])

    request = feast_serving.GetOnlineFeaturesRequest.FromString(encode_online_request(["v:spend"], {"id": ids}, True))
    assert [v.int64_val for v in request.entities["id"].val] == [1, 2]
    assert request.full_feature_names
    assert list(request.features.val) == ["v:spend"]

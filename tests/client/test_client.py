"""The client against a real server: values, statuses, times, and errors as the package's own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import numpy as np
import pytest

from featurestore import __version__
from featurestore.client import Client, OnlineFeatures
from featurestore.core.clock import fixed_clock, from_microseconds
from featurestore.core.errors import InvalidInputError, RemoteError, UnknownNameError
from featurestore.core.types import ValueType
from featurestore.serving import Server
from featurestore.wire import serving as wire
from featurestore.wire.columns import Column
from featurestore.wire.gen.feast.serving import ServingService_pb2 as pb
from tests.serving.project import DAY, NOW, Shop

ROWS = [{"customer_id": customer} for customer in (1, 2, 3, 9)]


def test_values_statuses_and_event_times(client: Client) -> None:
    answer = client.get_online_features(features=["spend:total", "spend:city"], entity_rows=ROWS)
    assert answer.to_dict() == {"customer_id": [1, 2, 3, 9], "total": [2.5, None, None, None], "city": ["Köln", None, "", None]}
    assert answer.statuses() == {
        "customer_id": ["PRESENT"] * 4,
        "total": ["PRESENT", "OUTSIDE_MAX_AGE", "NULL_VALUE", "NOT_FOUND"],
        "city": ["PRESENT", "OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND"],
    }
    now = from_microseconds(NOW)
    times = [now - timedelta(microseconds=5), now - timedelta(days=2), now, None]
    assert answer.event_timestamps() == {"total": times, "city": times}


def test_entities_as_columns_a_service_and_full_names(client: Client) -> None:
    answer = client.get_online_features("scoring", {"customer_id": [1], "stock_code": ["A"]}, full_feature_names=True)
    assert answer.to_dict() == {
        "customer_id": [1],
        "stock_code": ["A"],
        "spend__total": [2.5],
        "spend__city": ["Köln"],
        "stock__price": [0.5],
    }


def test_every_feature_of_a_view(client: Client) -> None:
    assert client.get_online_features(["stock:*"], [{"stock_code": "A"}]).to_dict() == {
        "stock_code": ["A"],
        "price": [0.5],
        "listed": [False],
    }


def test_a_view_without_entities(client: Client) -> None:
    assert client.get_online_features(["shop:open"], [{}]).to_dict() == {"open": [True]}


def test_rows_that_name_no_entity_are_counted_all_the_same(shop: Shop, client: Client) -> None:
    answer = client.get_online_features(["shop:*"], [{}] * 3)
    assert answer.to_dict() == {"open": [True] * 3}
    assert answer.statuses() == {"open": ["PRESENT"] * 3}
    assert answer.event_timestamps() == {"open": [from_microseconds(NOW - 1)] * 3}
    named = OnlineFeatures(
        ("name", "untold"),
        (Column.from_cells(ValueType.STRING, [b"Ulm"]), None),
        (np.ones(1, np.uint8),) * 2,
        (np.zeros(1, np.int64),) * 2,
        0,
    )
    assert named.repeated(3).to_dict() == {"name": ["Ulm"] * 3, "untold": [None] * 3}
    assert named.repeated(1).to_dict() == named.to_dict()


@pytest.mark.parametrize("features", [None, 7, b"spend:total", [b"spend:total"], [None], {"spend:total": 1}])
def test_features_that_are_no_names_are_refused(client: Client, features: Any) -> None:
    with pytest.raises(InvalidInputError, match="neither a name nor a list of names; give references"):
        client.get_online_features(features, ROWS)


@pytest.mark.parametrize("address", ["", " ", None])
def test_an_address_is_needed(address: Any) -> None:
    with pytest.raises(InvalidInputError, match="give host:port"):
        Client(address)


def foreign_answer(status: int, seconds: int) -> bytes:
    message = pb.GetOnlineFeaturesResponse()
    message.metadata.feature_names.val.append("total")
    vector = message.results.add()
    vector.values.add().int64_val = 1
    vector.statuses.append(status)  # type: ignore[arg-type]  # no FieldStatus, that is the point
    vector.event_timestamps.add().seconds = seconds
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("status", "seconds", "complaint"),
    [
        (300, 0, "a status that is none"),
        (-1, 0, "a status that is none"),
        (1, 2**62, "an event time out of range"),
        (1, -(2**62), "an event time out of range"),
        (1, 10**12, "an event time that Python cannot hold"),
    ],
)
def test_odd_numbers_of_a_foreign_server_are_remote_errors(status: int, seconds: int, complaint: str) -> None:
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: foreign_answer(status, seconds))
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(wire.SERVICE, {wire.GET_ONLINE_FEATURES: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as client, pytest.raises(RemoteError, match=complaint):
        client.get_online_features(["shop:total"], [{}]).event_timestamps()
    server.stop(0)


def test_a_row_as_old_as_the_epoch_has_its_time(shop: Shop) -> None:
    shop.publish({"stock": [(("old",), 0, {"price": 1.0})]})
    server = Server(shop.config, port=0, clock=fixed_clock(DAY))
    with Client(server.start()) as client:
        answer = client.get_online_features(["stock:price"], [{"stock_code": "old"}, {"stock_code": "none"}])
        assert answer.event_timestamps() == {"price": [from_microseconds(0), None]}
    server.stop(0)


def test_pandas_and_arrow_on_request(client: Client) -> None:
    answer = client.get_online_features(["spend:total", "spend:city"], ROWS)
    assert answer.to_df()["city"].tolist()[0] == "Köln"
    assert answer.to_arrow().to_pydict() == answer.to_dict()


def test_an_unknown_name_comes_back_with_its_choices(client: Client) -> None:
    with pytest.raises(UnknownNameError, match="unknown feature view 'spnd'; did you mean spend") as caught:
        client.get_online_features(["spnd:total"], ROWS)
    assert (caught.value.kind, caught.value.name, caught.value.choices[0]) == ("feature view", "spnd", "spend")
    with pytest.raises(UnknownNameError, match="unknown feature service 'scorin'; did you mean scoring"):
        client.get_online_features("scorin", ROWS)


def test_what_the_server_refuses_is_invalid_input(client: Client) -> None:
    with pytest.raises(InvalidInputError, match=r"'custmer_id' is no join key.*need customer_id"):
        client.get_online_features(["spend:total"], [{"custmer_id": 1}])
    with pytest.raises(InvalidInputError, match="customer_id"):
        client.get_online_features(["spend:total"], [{"customer_id": "one"}])


def test_a_damaged_store_is_a_remote_error_with_its_code(shop: Shop, client: Client) -> None:
    (shop.config.online / "CURRENT").write_bytes(b"{}")
    with pytest.raises(RemoteError, match="answered DATA_LOSS") as caught:
        client.get_online_features(["spend:total"], ROWS)
    assert caught.value.code == "DATA_LOSS"


def test_a_server_that_is_not_there(unused_port: int) -> None:
    with (
        Client(f"127.0.0.1:{unused_port}") as client,
        pytest.raises(RemoteError, match=f"is `featurestore serve` running at 127.0.0.1:{unused_port}\\?") as caught,
    ):
        client.serving_info()
    assert caught.value.code == "UNAVAILABLE"


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_call_ends_at_its_deadline(shop: Shop) -> None:
    released = threading.Event()

    def held_clock() -> int:
        released.wait(20)
        return NOW

    server = Server(shop.config, port=0, clock=held_clock)
    with Client(server.start(), timeout_seconds=0.2) as client:
        with pytest.raises(RemoteError, match=r"within 0\.2 seconds") as caught:
            client.get_online_features(["spend:total"], ROWS)
        released.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"
    server.stop(5)


def test_the_servers_version(client: Client) -> None:
    assert client.serving_info() == __version__


def test_a_closed_client_says_so(client: Client) -> None:
    client.close()
    with pytest.raises(InvalidInputError, match="is closed; make a new Client"):
        client.serving_info()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_deadline_is_needed(seconds: float) -> None:
    with pytest.raises(InvalidInputError, match="timeout_seconds"):
        Client("127.0.0.1:1", timeout_seconds=seconds)


def test_many_rows_in_one_call(shop: Shop, client: Client) -> None:
    keys = list(range(100, 20_100))
    shop.publish({"spend": [((key,), NOW, {"total": key / 3, "city": str(key)}) for key in keys]})
    answer = client.get_online_features(["spend:total", "spend:city"], {"customer_id": keys}).to_dict()
    assert answer == {"customer_id": keys, "total": [key / 3 for key in keys], "city": list(map(str, keys))}


def test_the_client_imports_no_heavy_library() -> None:
    code = (
        "import sys, featurestore; featurestore.Client('127.0.0.1:1').close();"
        "assert not set(sys.modules) & {'feast', 'pandas', 'polars', 'pyarrow', 'pandera', 'lmdb', 'duckdb', 'yaml'}, sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

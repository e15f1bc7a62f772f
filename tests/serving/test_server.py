"""A server as a process: its answers, errors, health, reflection, drain, and what it has loaded."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from featurestore import __version__
from featurestore.core.clock import fixed_clock
from featurestore.core.errors import NotMaterializedError, StoreError
from featurestore.core.types import ValueType
from featurestore.serving import Server
from featurestore.wire import serving as wire
from featurestore.wire.columns import Column
from featurestore.wire.values import column_from_python
from tests.serving.project import CATALOG, NOW, Served, Shop, start_server

METHOD = f"/{wire.SERVICE}/{wire.GET_ONLINE_FEATURES}"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def ids(*values: int | None, name: str = "customer_id") -> dict[str, Column]:
    return {name: column_from_python(list(values), ValueType.INT64, name)}


@pytest.fixture
def channel(shop: Shop) -> Iterator[grpc.Channel]:
    """A channel to a server in this process, which is quicker to start."""
    server = Server(shop.config, port=0, clock=fixed_clock(NOW))
    with grpc.insecure_channel(server.start()) as channel:
        yield channel
        server.stop(0)


def ask(channel: grpc.Channel, features: list[str] | str, entities: dict[str, Column], full: bool = False) -> wire.OnlineResponse:
    request = wire.encode_online_request(features, entities, full_feature_names=full)
    return wire.parse_online_response(channel.unary_unary(METHOD)(request, timeout=20))


def refusal(channel: grpc.Channel, features: list[str] | str, entities: dict[str, Column]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, features, entities)
    return caught.value.code(), caught.value.details()


def test_join_keys_come_first_then_features_in_the_order_asked_for(channel: grpc.Channel) -> None:
    answer = ask(channel, ["spend:city", "spend:total"], ids(1, 2, 9))
    assert list(answer.names) == ["customer_id", "city", "total"]
    assert [list(values) for values in answer.values] == [[1, 2, 9], ["Köln", None, None], [2.5, None, None]]
    assert [list(statuses) for statuses in answer.statuses] == [[1, 1, 1], [1, 4, 3], [1, 4, 3]]


def test_a_service_and_full_names(channel: grpc.Channel) -> None:
    keys = ids(1) | {"stock_code": column_from_python(["A"], ValueType.STRING, "stock_code")}
    answer = ask(channel, "scoring", keys, full=True)
    assert list(answer.names) == ["customer_id", "stock_code", "spend__total", "spend__city", "stock__price"]
    assert [list(values) for values in answer.values] == [[1], ["A"], [2.5], ["Köln"], [0.5]]


def test_an_entitys_name_stands_for_its_join_key(channel: grpc.Channel) -> None:
    answer = ask(channel, ["spend:total"], ids(1, name="customer"))
    assert (list(answer.names), list(answer.values[1])) == (["customer_id", "total"], [2.5])


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("features", "entities", "code", "words"),
    [
        (["spnd:total"], ids(1), MISSING, "unknown feature view 'spnd'; did you mean spend"),
        (["spend:totl"], ids(1), MISSING, "unknown feature of view spend 'totl'; did you mean total"),
        ("scorin", ids(1), MISSING, "unknown feature service 'scorin'; did you mean scoring"),
        (["total"], ids(1), INVALID, "'total' is not a feature reference; write view:feature"),
        (["ratio:r"], ids(1), INVALID, "on-demand view"),
        (["spend:total"], {}, INVALID, "join key customer_id is missing"),
        (["spend:total"], ids(1, name="custmer_id"), INVALID, "'custmer_id' is no join key.*need customer_id"),
        (["spend:total"], ids(1) | ids(2, name="customer"), INVALID, "given twice"),
        (["spend:total"], ids(1, None), INVALID, "customer_id.*null|null.*customer_id"),
        (["spend:total"], {"customer_id": column_from_python(["1"], ValueType.STRING, "k")}, INVALID, "customer_id"),
        (["spend:total", "stock:price"], ids(1), INVALID, "join key stock_code is missing"),
    ],
)
def test_wrong_requests_are_refused_with_the_names_they_could_have_meant(
    channel: grpc.Channel, features: list[str] | str, entities: dict[str, Column], code: grpc.StatusCode, words: str
) -> None:
    got, details = refusal(channel, features, entities)
    assert got == code
    assert re.search(words, details), details


def test_bytes_that_are_no_request_are_invalid(channel: grpc.Channel) -> None:
    for data in (b"\xff\xff\xff", b""):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(METHOD)(data, timeout=20)
        assert caught.value.code() == INVALID


def test_a_very_long_unknown_name_still_gets_its_answer(channel: grpc.Channel) -> None:
    code, details = refusal(channel, ["ü" * 100_000 + ":total"], ids(1))
    assert code == MISSING
    assert details.startswith("unknown feature view 'üü")


def test_a_changed_view_is_a_failed_precondition(shop: Shop, channel: grpc.Channel) -> None:
    spend = CATALOG.view("spend")
    changed = type(spend)(spend.name, spend.entities, spend.join_keys, spend.features[:1], spend.ttl, spend.source)
    shop.apply(type(CATALOG)(CATALOG.project, CATALOG.entities, (changed,)))
    code, details = refusal(channel, ["spend:total"], ids(1))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "materialize" in details


def test_a_damaged_store_is_data_loss(shop: Shop, channel: grpc.Channel) -> None:
    (shop.config.online / "CURRENT").write_bytes(b"{}")
    code, details = refusal(channel, ["spend:total"], ids(1))
    assert code == grpc.StatusCode.DATA_LOSS
    assert "Traceback" not in details


def test_a_fault_of_ours_is_internal_and_tells_nothing_of_its_inside(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    def broken_clock() -> int:
        raise ZeroDivisionError("the inside")

    server = Server(shop.config, port=0, clock=broken_clock)
    with grpc.insecure_channel(server.start()) as channel:
        code, details = refusal(channel, ["spend:total"], ids(1))
        server.stop(0)
    assert code == grpc.StatusCode.INTERNAL
    assert "the inside" not in details
    assert "ZeroDivisionError: the inside" in caplog.text


def test_the_version_is_told(channel: grpc.Channel) -> None:
    answer = channel.unary_unary(f"/{wire.SERVICE}/{wire.GET_SERVING_INFO}")(b"", timeout=20)
    assert wire.parse_serving_info(answer) == __version__


def test_health_knows_the_server_and_the_service(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", wire.SERVICE):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=20)
    assert caught.value.code() == MISSING


def test_reflection_describes_every_service(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert services == {wire.SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    for service in services:
        described = database.FindFileContainingSymbol(service)
        assert service in {f"{described.package}.{s.name}" for s in described.service}


def test_health_watchers_are_told_and_do_not_hold_up_the_stop(shop: Shop) -> None:
    server = Server(shop.config, port=0, clock=fixed_clock(NOW))
    with grpc.insecure_channel(server.start()) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(server.stop, 600)
            assert next(watch).status == NOT_SERVING
            stopping.result(timeout=20)


def test_every_response_is_of_one_generation_and_new_ones_are_followed(shop: Shop, channel: grpc.Channel) -> None:
    def write(total: float) -> None:
        shop.publish(
            {
                "spend": [((key,), NOW, {"total": total}) for key in range(100, 150)],
                "shop": [((), NOW, {"open": total % 2 == 1})],
            }
        )

    def read() -> float:
        answer = ask(channel, ["spend:total", "shop:open"], ids(*range(100, 150)))
        (total,) = set(answer.values[1])
        assert set(answer.values[2]) == {total % 2 == 1}
        return float(total)

    write(0)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: list(map(write, range(1, 16))))
        seen = [read()]
        while not writing.done():
            seen.append(read())
        writing.result()
    assert seen == sorted(seen)
    assert read() == 15


def test_a_port_in_use_is_named(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"port {port} is in use; choose another with --port"):
            Server(shop.config, port=port).start()


def test_two_servers_cannot_share_a_port(shop: Shop) -> None:
    server = Server(shop.config, port=0)
    port = int(server.start().rpartition(":")[2])
    with pytest.raises(StoreError, match=f"port {port} is in use"):
        Server(shop.config, port=port).start()
    server.stop(0)


def test_a_host_that_is_none_is_named(shop: Shop) -> None:
    with pytest.raises(StoreError, match="'no host' is not a host name or address"):
        Server(shop.config, host="no host", port=0).start()


def test_a_project_without_a_catalog_cannot_be_served(shop: Shop) -> None:
    shop.config.catalog.unlink()
    with pytest.raises(NotMaterializedError, match="run `featurestore apply`"):
        Server(shop.config, port=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_call_in_flight_finish_then_the_process_ends_well(
    shop: Shop, served: Served, number: signal.Signals
) -> None:
    (shop.root / "hold").touch()
    with grpc.insecure_channel(served.address) as channel, ThreadPoolExecutor(1) as pool:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        slow = pool.submit(ask, channel, ["spend:total"], ids(1))
        assert served.line() == "held"
        served.process.send_signal(number)
        assert next(watch).status == NOT_SERVING
        assert list(watch) == []
        assert not slow.done()
        served.say("go on")
        assert list(slow.result(timeout=20).values[1]) == [2.5]
    out, err = served.process.communicate(timeout=20)
    assert served.process.returncode == 0, err
    assert err == ""
    assert "featurestore.serving.server" in out.split()


def test_a_signal_that_comes_to_another_thread_is_heard(shop: Shop, served: Served) -> None:
    (shop.root / "stray").touch()
    with grpc.insecure_channel(served.address) as channel:
        assert list(ask(channel, ["spend:total"], ids(1)).values[1]) == [2.5]
        assert served.process.wait(timeout=20) == 0


def test_a_second_signal_ends_the_process_at_once(shop: Shop, served: Served) -> None:
    (shop.root / "hold").touch()
    with grpc.insecure_channel(served.address) as channel, ThreadPoolExecutor(1) as pool:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        slow = pool.submit(ask, channel, ["spend:total"], ids(1))
        assert served.line() == "held"
        served.process.terminate()
        assert next(watch).status == NOT_SERVING
        served.process.terminate()
        with pytest.raises(grpc.RpcError):
            slow.result(timeout=20)
    assert served.process.wait(timeout=20) == -signal.SIGTERM


HEAVY = {"feast", "pandas", "polars", "pandera", "pyarrow", "duckdb", "deltalake", "typer", "rich"}


def test_a_server_has_loaded_none_of_the_heavy_libraries(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        assert list(ask(channel, ["spend:total", "spend:city"], ids(1)).values[1]) == [2.5]
    served.process.terminate()
    loaded = set(served.line().split())
    assert {"numpy", "grpc", "lmdb"} <= loaded
    assert loaded & HEAVY == set()


def test_a_server_process_follows_new_generations_without_a_restart(shop: Shop, served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        assert list(ask(channel, ["spend:total"], ids(1)).values[1]) == [2.5]
        shop.publish({"spend": [((1,), NOW, {"total": 7.5})]})
        assert list(ask(channel, ["spend:total"], ids(1)).values[1]) == [7.5]


def test_two_server_processes_read_one_store(shop: Shop, served: Served) -> None:
    other = start_server(shop)
    with other.process as process:
        for address in (served.address, other.address):
            with grpc.insecure_channel(address) as channel:
                assert list(
                    ask(channel, ["stock:price"], {"stock_code": column_from_python(["A"], ValueType.STRING, "k")}).values[1]
                ) == [0.5]
        process.kill()


def test_the_room_imports_without_the_heavy_libraries() -> None:
    code = f"import sys, featurestore.serving; assert not set(sys.modules) & {HEAVY!r}"
    subprocess.run([sys.executable, "-c", code], check=True)

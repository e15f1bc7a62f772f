"""Online lookups: in process, and through the server beside a bare grpcio echo of the same bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

import featurestore
from featurestore.client.entities import entity_columns
from featurestore.wire.serving import GET_ONLINE_FEATURES, SERVICE, encode_online_request
from tests.benchmarks import data
from tests.benchmarks.feast_peer import feast_store
from tests.benchmarks.measure import Figure, rate

SHAPES = ((1, 10), (100, 50))

ECHO = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc
answer = sys.stdin.buffer.read()
handlers = {"Answer": grpc.unary_unary_rpc_method_handler(lambda request, context: answer)}
server = grpc.server(ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""


def run(bench: data.Bench) -> Iterator[Figure]:
    """Equal values first; then calls a second from one caller, for two shapes."""
    ours = featurestore.FeatureStore(repo_path=bench.ours, as_of=data.END)
    feast = feast_store(bench)
    keys = np.random.Generator(np.random.PCG64(3)).permutation(data.KEYS)
    for rows, width in SHAPES:
        references = [f"stats:f{i}" for i in range(data.FEATURES - width, data.FEATURES)]
        entities = [{"driver_id": int(key)} for key in keys[:rows]]
        _assert_equal(ours, feast, references, entities)
        mine = rate(lambda r=references, e=entities: ours.get_online_features(features=r, entity_rows=e))  # type: ignore[misc]
        theirs = rate(lambda r=references, e=entities: feast.get_online_features(features=r, entity_rows=e))  # type: ignore[misc]
        yield Figure(f"lookup in process, {rows} x {width}", f"{1e3 / mine:.3f} ms", f"{1e3 / theirs:.2f} ms", mine / theirs, None)
    yield from _served(bench, keys)


def _assert_equal(ours: Any, feast: Any, references: list[str], entities: list[dict[str, int]]) -> None:
    """Feast's store serves expired values as present; ours must agree wherever ours has a value, and have most of them."""
    mine = ours.get_online_features(features=references, entity_rows=entities).to_dict()
    theirs = feast.get_online_features(features=references, entity_rows=entities).to_dict()
    held = [(a, b) for name in mine for a, b in zip(mine[name], theirs[name], strict=True) if a is not None]
    if any(a != b for a, b in held) or len(held) < 0.9 * len(mine) * len(entities):
        raise AssertionError("the online values differ from Feast's")


def _served(bench: data.Bench, keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Figure]:
    command = [sys.executable, "-m", "featurestore", "serve", "-c", str(bench.ours), "--port", "0", "--as-of", data.END.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            for rows, width in SHAPES:
                references = [f"stats:f{i}" for i in range(data.FEATURES - width, data.FEATURES)]
                request = encode_online_request(references, entity_columns({"driver_id": [int(key) for key in keys[:rows]]}))
                answer, mine = _requests(address, f"/{SERVICE}/{GET_ONLINE_FEATURES}", request)
                with subprocess.Popen([sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as echo:
                    assert echo.stdin is not None
                    assert echo.stdout is not None
                    echo.stdin.write(answer)
                    echo.stdin.close()
                    _, bare = _requests(f"127.0.0.1:{int(echo.stdout.readline())}", "/Echo/Answer", request)
                    echo.terminate()
                yield Figure(
                    f"ServingService, {rows} x {width}, 4 callers",
                    f"{mine:,.0f} requests/s",
                    f"{bare:,.0f} requests/s (bare echo)",
                    mine / bare,
                    None,
                )
        finally:
            server.terminate()


def _requests(address: str, method: str, request: bytes, callers: int = 4) -> tuple[bytes, float]:
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(callers) as pool:
        call = channel.unary_unary(method)
        answer: bytes = call(request, timeout=10)
        rates = list(pool.map(lambda _: rate(lambda: call(request, timeout=10), 2.0), range(callers)))
    return answer, sum(rates)

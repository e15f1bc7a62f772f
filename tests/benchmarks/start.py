"""How long a process takes: the import, and a server's start to its first answer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import grpc

from featurestore.client.entities import entity_columns
from featurestore.wire.serving import GET_ONLINE_FEATURES, SERVICE, encode_online_request
from tests.benchmarks import data
from tests.benchmarks.measure import Figure, seconds

IMPORT_LIMIT = 0.150
ANSWER_LIMIT = 1.0


def run(bench: data.Bench) -> Iterator[Figure]:
    """The peer is the limit that was set; the ratio says how many times below it we are. A bare interpreter is printed beside."""
    bare, _ = seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), runs=5)
    whole, _ = seconds(lambda: subprocess.run([sys.executable, "-c", "import featurestore"], check=True), runs=5)
    spent = whole - bare
    yield Figure(
        "import featurestore", f"{spent * 1e3:.0f} ms", f"limit 150 ms (bare python {bare * 1e3:.0f} ms)", IMPORT_LIMIT / spent, 1
    )
    best = min(_first_answer(bench) for _ in range(3))
    yield Figure("server start to first answer", f"{best:.2f} s", "limit 1 s", ANSWER_LIMIT / best, 1)


def _first_answer(bench: data.Bench) -> float:
    command = [sys.executable, "-m", "featurestore", "serve", "-c", str(bench.ours), "--port", "0", "--as-of", data.END.isoformat()]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            with grpc.insecure_channel(address) as channel:
                channel.unary_unary(f"/{SERVICE}/{GET_ONLINE_FEATURES}")(
                    encode_online_request(["stats:f0"], entity_columns({"driver_id": [1]})), timeout=10
                )
            return time.perf_counter() - start
        finally:
            server.terminate()

"""Materialization: the latest row of every key, offline to online."""

from __future__ import annotations

import contextlib
import io
import shutil
import time
from collections.abc import Iterator

import featurestore
from tests.benchmarks import data
from tests.benchmarks.feast_peer import feast_store
from tests.benchmarks.measure import Figure

RUNS = 3


def run(bench: data.Bench) -> Iterator[Figure]:
    """Both stores load the same rows; both are left materialized for the other benchmarks.

    Ours is the least of three runs, each into an empty store; Feast's is one run, for it takes half a minute.
    """
    ours = featurestore.FeatureStore(repo_path=bench.ours)
    ours.apply()
    our_seconds, written = min(_ours(bench) for _ in range(RUNS))
    assert written == data.KEYS, f"{written} keys were written"

    feast = feast_store(bench)
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        feast.materialize(data.START, data.END)
        feast_seconds = time.perf_counter() - start

    our_rate, feast_rate = written / our_seconds, data.KEYS / feast_seconds
    yield Figure(
        "materialize 20,000 keys x 50", f"{our_rate:,.0f} keys/s", f"{feast_rate:,.0f} keys/s (sqlite)", our_rate / feast_rate, 40
    )


def _ours(bench: data.Bench) -> tuple[float, int]:
    store = featurestore.FeatureStore(repo_path=bench.ours)
    shutil.rmtree(store.config.online, ignore_errors=True)
    start = time.perf_counter()
    report = store.materialize(data.START, data.END)
    return time.perf_counter() - start, report.views[0].keys_written

"""Materialization: the latest row of every key, offline to online."""

from __future__ import annotations

import time
from collections.abc import Iterator

import featurestore
from tests.benchmarks import data
from tests.benchmarks.feast_peer import feast_store
from tests.benchmarks.measure import Figure


def run(bench: data.Bench) -> Iterator[Figure]:
    """Both stores load the same rows; both are left materialized for the other benchmarks."""
    ours = featurestore.FeatureStore(repo_path=bench.ours)
    ours.apply()
    start = time.perf_counter()
    report = ours.materialize(data.START, data.END)
    our_seconds = time.perf_counter() - start
    written = report.views[0].keys_written
    assert written == data.KEYS, f"{written} keys were written"

    feast = feast_store(bench)
    start = time.perf_counter()
    feast.materialize(data.START, data.END)
    feast_seconds = time.perf_counter() - start

    our_rate, feast_rate = written / our_seconds, data.KEYS / feast_seconds
    yield Figure(
        "materialize 20,000 keys x 50", f"{our_rate:,.0f} keys/s", f"{feast_rate:,.0f} keys/s (sqlite)", our_rate / feast_rate, 40
    )

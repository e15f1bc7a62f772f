"""The point-in-time join: entity rows, each with the features as of its own time."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl
import pyarrow as pa

import featurestore
from tests.benchmarks import data
from tests.benchmarks.feast_peer import feast_store
from tests.benchmarks.measure import Figure, seconds

NAMES = [f"f{i}" for i in range(data.FEATURES)]
ASOF = """
select e.*, {columns} from entities e asof left join read_parquet('{source}') s
on e.driver_id = s.driver_id and e.event_timestamp >= s.event_timestamp
"""


def run(bench: data.Bench) -> Iterator[Figure]:
    """The same entity rows through ours, Feast's DuckDB store and raw DuckDB; equal to Feast's first, then the times."""
    references = [f"stats:{name}" for name in NAMES]
    ours = featurestore.FeatureStore(repo_path=bench.ours)
    arrow = bench.entities.to_arrow()
    our_seconds, our_table = seconds(lambda: ours.get_historical_features(entity_df=arrow, features=references).to_arrow())

    feast = feast_store(bench)
    frame = bench.entities.to_pandas()
    feast_seconds, feast_table = seconds(
        lambda: feast.get_historical_features(entity_df=frame, features=references).to_arrow(), runs=2
    )
    _assert_equal(our_table, feast_table)

    connection = duckdb.connect()
    connection.register("entities", arrow)
    query = ASOF.format(columns=", ".join(f"s.{name}" for name in NAMES), source=bench.source)
    raw_seconds, _ = seconds(lambda: connection.sql(query).to_arrow_table())

    ours_text = f"{our_seconds:.2f} s"
    yield Figure(
        "point-in-time join 100,000 x 50", ours_text, f"{feast_seconds:.2f} s (duckdb store)", feast_seconds / our_seconds, 3
    )
    yield Figure(
        "point-in-time join 100,000 x 50", ours_text, f"{raw_seconds:.2f} s (raw DuckDB ASOF)", raw_seconds / our_seconds, None
    )


def _assert_equal(ours: pa.Table, theirs: pa.Table) -> None:
    """Cell by cell after sorting by the row number: Feast returns the rows in another order."""
    a = pl.DataFrame(pl.from_arrow(ours)).sort("row").select(["row", *NAMES])
    b = pl.DataFrame(pl.from_arrow(theirs)).sort("row").select(["row", *NAMES])
    if not a.equals(b.cast(pl.Schema(a.schema)), null_equal=True):
        raise AssertionError("the point-in-time join differs from Feast's")

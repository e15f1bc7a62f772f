"""The generated data that every benchmark reads, and a stock Feast repository over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

KEYS = 20_000
ROWS = 600_000
FEATURES = 50
FLOATS = 40
ENTITY_ROWS = 100_000
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)

DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(name="stats_source", path={path!r}, timestamp_field="event_timestamp", created_timestamp_column="created")
stats = FeatureView(
    name="stats",
    entities=[driver],
    ttl=timedelta(days=10),
    schema=[Field(name=f"f{{i}}", dtype=Float64 if i < {floats} else Int64) for i in range({features})],
    source=source,
    online=True,
)
"""

CONFIGURATION = """
project: bench
provider: local
registry: data/registry.db
offline_store:
    type: duckdb
online_store:
    type: sqlite
    path: data/online_store.db
entity_key_serialization_version: 3
"""


@dataclass(frozen=True, eq=False)
class Bench:
    """Where the run's data is: one Parquet file, the entity rows, and two equal repositories, Feast's and ours."""

    feast: Path
    ours: Path
    source: Path
    entities: pl.DataFrame


def make(folder: Path) -> Bench:
    """Generate the data (seed 7) and both repositories in `folder`."""
    random = np.random.Generator(np.random.PCG64(7))
    span = int((END - START).total_seconds())
    keys = np.concatenate([np.arange(KEYS), random.integers(0, KEYS, ROWS - KEYS)])
    times = random.integers(0, span, ROWS) * 1_000_000
    columns: dict[str, pl.Series] = {
        "driver_id": pl.Series(keys, dtype=pl.Int64),
        "event_timestamp": _times(times),
        "created": _times(times + 1_000_000),
    }
    for i in range(FEATURES):
        values = random.random(ROWS) if i < FLOATS else random.integers(-(2**40), 2**40, ROWS)
        columns[f"f{i}"] = pl.Series(values)
    source = folder / "stats.parquet"
    pl.DataFrame(columns).unique(["driver_id", "event_timestamp"], keep="first", maintain_order=True).write_parquet(source)
    entities = pl.DataFrame(
        {
            "row": pl.Series(np.arange(ENTITY_ROWS)),
            "driver_id": pl.Series(random.integers(0, KEYS, ENTITY_ROWS)),
            "event_timestamp": _times(random.integers(0, span, ENTITY_ROWS) * 1_000_000),
        }
    )
    repositories = []
    for name in ("feast", "ours"):
        repository = folder / name
        (repository / "data").mkdir(parents=True)
        (repository / "features.py").write_text(DEFINITIONS.format(path=str(source), floats=FLOATS, features=FEATURES))
        (repository / "feature_store.yaml").write_text(CONFIGURATION)
        repositories.append(repository)
    return Bench(repositories[0], repositories[1], source, entities)


def _times(offsets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.Series:
    base = int(START.timestamp()) * 1_000_000
    return pl.Series(base + offsets).cast(pl.Datetime("us", "UTC"))

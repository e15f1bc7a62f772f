"""The reference project taken all the way on generated and on real raw files, for the tests that look at it from outside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

import featurestore
from featurestore.reference.generate import generate_raw
from featurestore.reference.project import copy_project

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail"
END = datetime(2011, 12, 10, tzinfo=UTC)
"""Midnight after the last trading day: everything is materialized up to here, and the server's clock stands here."""


@dataclass(frozen=True)
class Retail:
    """A project that was applied, prepared and materialized up to END."""

    root: Path
    store: featurestore.FeatureStore

    def features(self, *views: str) -> list[str]:
        """References to every feature of these views."""
        return [f"{name}:{feature.name}" for name in views for feature in self.store.catalog.view(name).features]

    def entities(self, column: str, table: str, most: int) -> list[int] | list[str]:
        """A sample of a table's keys, the same at every run."""
        known = pl.scan_delta(str(self.root / "data" / "offline" / table)).select(pl.col(column).unique().sort()).collect()
        values = known.to_series()
        return values.sample(min(most, len(values)), seed=1).to_list()

    def historical(self, column: str, values: list[int] | list[str], features: list[str]) -> pa.Table:
        """The features of these entities as of END."""
        asked = pl.DataFrame({column: values}).with_columns(event_timestamp=pl.lit(END).cast(pl.Datetime("us", "UTC")))
        return self.store.get_historical_features(entity_df=asked, features=features, full_feature_names=True).to_arrow()


def make_retail(folder: Path, *, real: bool) -> Retail:
    """Run the whole path in `folder`."""
    root = copy_project(folder)
    raw = root / "data" / "raw"
    if real:
        for path in sorted(REAL.glob("*.csv")):
            os.symlink(path, raw / path.name)
    else:
        generate_raw(raw, 20_000, seed=5)
    store = featurestore.FeatureStore(root, as_of=END)
    store.apply()
    store.prepare()
    store.materialize(datetime(2010, 1, 1, tzinfo=UTC), END)
    return Retail(root, store)

"""A project small enough to read at a glance, for tests that break it: sales in CSV, one Polars table, one SQL table, two views."""

from __future__ import annotations

import hashlib
from pathlib import Path

CONFIGURATION = """
project: shop
provider: local
registry: data/registry.db
offline_store: {type: featurestore.feast_plugin.DeltaOfflineStore}
online_store: {type: featurestore.feast_plugin.LmdbOnlineStore, path: data/online}
entity_key_serialization_version: 3
"""

CONTRACTS = """
import pandera.polars as pa
import polars as pl
from pandera.engines.polars_engine import DateTime


class RawSale(pa.DataFrameModel):
    id: str
    buyer: str = pa.Field(nullable=True)
    amount: str
    sold_at: str


class Sale(pa.DataFrameModel):
    id: int
    buyer: str = pa.Field(nullable=True)
    amount: float = pa.Field(gt=0)
    sold_at: DateTime(time_zone="UTC")


class BuyerDay(pa.DataFrameModel):
    buyer: str
    day_end: DateTime(time_zone="UTC")
    spend: float
    sales: int
"""

FEATURES = """
from datetime import timedelta

import polars as pl
from feast import Entity, FeatureService, FeatureView, ValueType

import featurestore as fs
from schemas.shop import BuyerDay, RawSale, Sale

raw_sales = fs.CsvSource(name="raw_sales", path="data/raw/*.csv", contract=RawSale)


@fs.table(contract=Sale, key=["id"], timestamp_field="sold_at", max_quarantined=0.4)
def sales(raw_sales: pl.LazyFrame) -> pl.LazyFrame:
    return (
        raw_sales.pipe(fs.cleaning.to_integer, "id")
        .pipe(fs.cleaning.to_float, "amount")
        .pipe(fs.cleaning.to_timestamp, "sold_at", format="%Y-%m-%d %H:%M:%S", zone="UTC")
    )


@fs.sql_table(contract=BuyerDay, key=["buyer", "day_end"], timestamp_field="day_end")
def buyer_days(sales) -> str:
    return '''
    select buyer, date_trunc('day', sold_at) + interval 1 day as day_end, sum(amount) as spend, count(*) as sales
    from sales where buyer is not null group by all
    '''


buyer = Entity(name="buyer", join_keys=["buyer"], value_type=ValueType.STRING)
buyer_day = FeatureView(name="buyer_day", entities=[buyer], source=buyer_days.source, ttl=timedelta(days=30), online=True)
scoring = FeatureService(name="scoring_v1", features=[buyer_day])
"""

HEADER = "id,buyer,amount,sold_at\n"
DAY_ONE = (
    HEADER + "1,ann,2.5,2026-01-01 10:00:00\n2,bob,4,2026-01-01 11:00:00\n3,ann,1,2026-01-01 12:00:00\n4,,7,2026-01-01 13:00:00\n"
)
DAY_TWO = (
    HEADER
    + "5,ann,8,2026-01-02 10:00:00\n5,ann,8,2026-01-02 10:00:00\n6,cid,3,2026-01-02 11:00:00\n7,cid,-1,2026-01-02 12:00:00\n8,bob,2,2026-01-02 12:30:00\n"
)


def write_shop(folder: Path, features: str = FEATURES, contracts: str = CONTRACTS) -> Path:
    """The project with its two days of raw files."""
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "schemas").mkdir()
    (folder / "schemas" / "__init__.py").write_text("")
    (folder / "schemas" / "shop.py").write_text(contracts)
    (folder / "features.py").write_text(features)
    (folder / "feature_store.yaml").write_text(CONFIGURATION)
    (folder / "data" / "raw" / "2026-01-01.csv").write_text(DAY_ONE)
    (folder / "data" / "raw" / "2026-01-02.csv").write_text(DAY_TWO)
    return folder


def stored(project: Path) -> dict[str, str]:
    """Every file the store keeps, by digest, without locks and raw input: equal before and after means nothing was changed."""
    kept = {}
    for path in sorted((project / "data").rglob("*")):
        relative = path.relative_to(project / "data")
        if path.is_file() and relative.parts[0] != "raw" and "lock" not in path.name:
            kept[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return kept

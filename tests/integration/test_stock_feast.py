"""Stock Feast on our project, and our server on a stock Feast repository."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feast
import grpc
import polars as pl
import pyarrow.parquet as pq
import pytest
from feast.protos.feast.serving import ServingService_pb2 as messages
from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub

import featurestore
from featurestore.reference.child import serving
from tests.integration.retail import END, Retail

FEAST = Path(sys.executable).with_name("feast")


def feast_command(folder: Path, *arguments: str) -> str:
    done = subprocess.run([FEAST, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_feast_command_lists_the_reference_projects_views(retail: Retail) -> None:
    listed = feast_command(retail.root, "feature-views", "list")
    assert {line.split()[0] for line in listed.splitlines()[1:] if line.strip()} == {
        "customer_day",
        "customer_profile",
        "product_day",
    }


@pytest.mark.parametrize(
    ("key", "table", "views"),
    [("customer_id", "customer_days", ["customer_day", "customer_profile"]), ("stock_code", "product_days", ["product_day"])],
    ids=["customers", "products"],
)
def test_stock_feast_gives_the_same_values(
    key: str, table: str, views: list[str], retail: Retail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Online, of entities whose values are not expired: Feast has no age check of its own there. Historical, of all."""
    monkeypatch.chdir(retail.root)
    stock = feast.FeatureStore(".")
    entities, features = retail.entities(key, table, most=200), retail.features(*views)
    asked = pl.DataFrame({key: entities}).with_columns(event_timestamp=pl.lit(END).cast(pl.Datetime("us", "UTC")))

    theirs = pl.DataFrame(
        pl.from_arrow(
            stock.get_historical_features(entity_df=asked.to_pandas(), features=features, full_feature_names=True).to_arrow()
        )
    )
    ours = retail.store.get_historical_features(entity_df=asked, features=features, full_feature_names=True).to_polars()
    names = [reference.replace(":", "__") for reference in features]
    assert theirs.select(key, *names).sort(key).equals(ours.select(key, *names).sort(key), null_equal=True)

    rows = [{key: entity} for entity in entities]
    feast_online = stock.get_online_features(features=features, entity_rows=rows, full_feature_names=True).to_dict()
    answer = retail.store.get_online_features(features=features, entity_rows=rows, full_feature_names=True)
    our_online, statuses = answer.to_dict(), answer.statuses()
    compared = 0
    for name in names:
        for mine, yours, status in zip(our_online[name], feast_online[name], statuses[name], strict=True):
            if status in ("PRESENT", "NULL_VALUE"):
                moment = mine.replace(tzinfo=None) if isinstance(mine, datetime) else mine
                assert (yours.replace(tzinfo=None) if isinstance(yours, datetime) else yours) == moment, name
                compared += 1
    assert compared > len(names)


def test_an_unmodified_feast_repository_is_served(tmp_path: Path) -> None:
    """`feast init -t local`, applied and materialized with ours: every stored feature of every driver over gRPC."""
    feast_command(tmp_path, "init", "-t", "local", "drivers")
    root = tmp_path / "drivers" / "feature_repo"
    source = pl.DataFrame(pl.from_arrow(pq.read_table(root / "data" / "driver_stats.parquet")))
    end = datetime.now(UTC)
    store = featurestore.FeatureStore(root, as_of=end)
    assert "sqlite" in store.config.notice
    store.apply()
    store.materialize(end - timedelta(days=30), end)

    names = ["conv_rate", "acc_rate", "avg_daily_trips", "driver_config", "driver_metadata", "driver_profile"]
    last = (
        source.filter(pl.col("event_timestamp") <= end)
        .sort("event_timestamp", "created")
        .group_by("driver_id")
        .last()
        .sort("driver_id")
    )
    drivers = last["driver_id"].to_list()
    request = messages.GetOnlineFeaturesRequest(
        features=messages.FeatureList(val=[f"driver_hourly_stats:{name}" for name in names])
    )
    for driver in drivers:
        request.entities["driver_id"].val.add(int64_val=driver)
    with serving(root, end) as address, grpc.insecure_channel(address) as channel:
        response = ServingServiceStub(channel).GetOnlineFeatures(request, timeout=30)
    columns = dict(zip(response.metadata.feature_names.val, response.results, strict=True))
    assert [value.float_val for value in columns["conv_rate"].values] == last["conv_rate"].to_list()
    assert [value.float_val for value in columns["acc_rate"].values] == last["acc_rate"].to_list()
    assert [value.int64_val for value in columns["avg_daily_trips"].values] == last["avg_daily_trips"].to_list()
    assert [value.json_val for value in columns["driver_config"].values] == last["driver_config"].to_list()
    for name, kind in (("driver_metadata", "map_val"), ("driver_profile", "struct_val")):
        maps = [{key: item.string_val for key, item in getattr(value, kind).val.items()} for value in columns[name].values]
        assert maps == last[name].to_list()

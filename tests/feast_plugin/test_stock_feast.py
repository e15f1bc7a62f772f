"""Stock Feast, from its own FeatureStore, on a project of ours: the same stores, the same values."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feast
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

from featurestore.core.catalog import Field, Table
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import InvalidInputError
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.materialization import materialize
from featurestore.offline.join import point_in_time
from featurestore.online import LmdbStore, RowCodec, encode_keys
from featurestore.registry import load_catalog, load_config
from featurestore.registry.apply import apply_changes
from featurestore.registry.compile import compile_project
from featurestore.registry.definitions import load_definitions, quiet_feast
from featurestore.wire.python import column_from_python, column_to_python
from tests.shop import CONFIGURATION as YAML

FEATURES = """
from datetime import timedelta
import pandas as pd
from feast import *
from feast import ValueType
from feast.data_format import DeltaFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import *

source = FileSource(name="events", path="data/events", file_format=DeltaFormat(), timestamp_field="at", created_timestamp_column="made",
    field_mapping={"total": "spend"})
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
schema = [
    Field(name="spend", dtype=Float64), Field(name="orders", dtype=Int32), Field(name="name", dtype=String), Field(name="codes", dtype=Array(String)),
    Field(name="vip", dtype=Bool), Field(name="since", dtype=UnixTimestamp), Field(name="share", dtype=Float32),
]
spend = FeatureView(name="spend", entities=[customer], ttl=timedelta(days=10), schema=schema, source=source)
pushed = FeatureView(name="pushed", entities=[customer], schema=[Field(name="orders", dtype=Int64)],
    source=PushSource(name="push", batch_source=FileSource(name="small", path="data/small.parquet", timestamp_field="at")))
everyone = FeatureView(name="everyone", schema=[Field(name="rate", dtype=Float64)],
    source=FileSource(name="rates", path="data/rates.parquet", timestamp_field="at"))

@on_demand_feature_view(sources=[spend], schema=[Field(name="twice", dtype=Float64)])
def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"twice": inputs["spend"] * 2})

scoring = FeatureService(name="scoring", features=[spend])
"""

T0 = datetime(2024, 1, 1, tzinfo=UTC)
END = T0 + timedelta(days=8)


def at(day: float) -> datetime:
    return T0 + timedelta(days=day)


def write_data(root: Path) -> None:
    """Customers 1, 2 and 3 with one, two and three events; every feature null in one of them."""
    rows = [
        {
            "customer_id": 1,
            "at": at(1),
            "total": 1.5,
            "orders": 1,
            "name": "ä",
            "codes": ["a", ""],
            "vip": True,
            "since": at(-3),
            "share": 0.5,
        },
        {
            "customer_id": 2,
            "at": at(1),
            "total": -0.0,
            "orders": 2,
            "name": "",
            "codes": [],
            "vip": False,
            "since": at(-2),
            "share": 1.0,
        },
        {
            "customer_id": 2,
            "at": at(5),
            "total": None,
            "orders": None,
            "name": None,
            "codes": None,
            "vip": None,
            "since": None,
            "share": None,
        },
        {
            "customer_id": 3,
            "at": at(2),
            "total": 3.0,
            "orders": -(2**31),
            "name": "c",
            "codes": ["x"],
            "vip": True,
            "since": at(0),
            "share": 0.25,
        },
        {
            "customer_id": 3,
            "at": at(4),
            "total": 4.0,
            "orders": 2**31 - 1,
            "name": "d",
            "codes": ["y"],
            "vip": True,
            "since": at(0),
            "share": 0.1,
        },
        {
            "customer_id": 3,
            "at": at(9),
            "total": 9.0,
            "orders": 9,
            "name": "late",
            "codes": ["z"],
            "vip": True,
            "since": at(0),
            "share": 0.2,
        },
    ]
    moment = pa.timestamp("us", "UTC")
    schema = pa.schema(
        [
            ("customer_id", pa.int64()),
            ("at", moment),
            ("total", pa.float64()),
            ("orders", pa.int32()),
            ("name", pa.string()),
            ("codes", pa.list_(pa.string())),
            ("vip", pa.bool_()),
            ("since", moment),
            ("share", pa.float32()),
            ("made", moment),
        ]
    )
    write_deltalake(
        str(root / "data" / "events"), pa.Table.from_pylist([{**row, "made": row["at"]} for row in rows], schema=schema)
    )
    small = pa.table(
        {"customer_id": pa.array([1], pa.int64()), "at": pa.array([at(1)], moment), "orders": pa.array([7], pa.int64())}
    )
    pq.write_table(small, root / "data" / "small.parquet")
    rates = pa.table({"at": pa.array([at(1), at(3)], moment), "rate": pa.array([0.1, 0.3], pa.float64())})
    pq.write_table(rates, root / "data" / "rates.parquet")


def apply(root: Path) -> ProjectConfig:
    config = load_config(root)
    contents = load_definitions(config).contents
    apply_changes(config, contents, compile_project(config, contents, ()))
    return config


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectConfig]:
    """A project with data, applied, and Feast's warnings about itself switched off."""
    (tmp_path / "data").mkdir()
    (tmp_path / "feature_store.yaml").write_text(YAML)
    (tmp_path / "features.py").write_text(FEATURES)
    write_data(tmp_path)
    with quiet_feast():
        yield apply(tmp_path)


@pytest.fixture
def store(project: ProjectConfig) -> feast.FeatureStore:
    return feast.FeatureStore(repo_path=str(project.root))


ALL = ["spend", "orders", "name", "codes", "vip", "since", "share"]
IDS = [1, 2, 3, 99]


def stored(config: ProjectConfig, view_name: str = "spend") -> dict[str, list[Any]]:
    """What the online store holds of a view for IDS, read by our own rooms."""
    view = load_catalog(config.catalog).view(view_name)
    keys = encode_keys([column_from_python(IDS, key.dtype, key.name) for key in view.join_keys])
    rows = RowCodec(view).decode(keys, LmdbStore(config.online).snapshot().get(view, keys), view.features)
    return {f.name: column_to_python(column) for f, column in zip(view.features, rows.columns, strict=True)}


def test_feast_reads_online_what_we_materialized(project: ProjectConfig, store: feast.FeatureStore) -> None:
    catalog = load_catalog(project.catalog)
    materialize(project, catalog, ["spend"], None, int(END.timestamp()) * 10**6, store=LmdbStore(project.online))
    found = store.get_online_features([f"spend:{name}" for name in ALL], [{"customer_id": i} for i in IDS]).to_dict()
    ours = stored(project)
    for name in ALL:
        assert found[name] == ours[name], name
    assert found["spend"] == [1.5, None, 4.0, None]
    assert found["codes"] == [["a", ""], None, ["y"], None]
    assert found["since"] == [at(-3), None, at(0), None]


def test_feasts_own_materialize_gives_the_same_rows(project: ProjectConfig, store: feast.FeatureStore) -> None:
    store.materialize(T0, END, feature_views=["spend", "pushed"])
    by_feast = stored(project), stored(project, "pushed")
    LmdbStore(project.online).delete_views(["spend", "pushed"])
    assert stored(project)["orders"] == [None] * 4
    end = int(END.timestamp()) * 10**6
    materialize(project, load_catalog(project.catalog), ["spend", "pushed"], None, end, store=LmdbStore(project.online))
    assert (stored(project), stored(project, "pushed")) == by_feast
    assert by_feast[1]["orders"] == [7, None, None, None]


def test_a_view_without_entities_has_one_row_for_all(project: ProjectConfig, store: feast.FeatureStore) -> None:
    store.materialize(T0, END, feature_views=["everyone"])
    found = store.get_online_features(["everyone:rate", "spend:name"], [{"customer_id": i} for i in IDS]).to_dict()
    assert found["rate"] == [0.3] * 4


def test_newer_wins_whatever_order_feast_writes_in(project: ProjectConfig, store: feast.FeatureStore) -> None:
    def write(day: float, orders: int | None) -> None:
        frame = pd.DataFrame(
            {"customer_id": [1], "orders": pd.array([orders], "Int64"), "event_timestamp": [at(day)], "at": [at(day)]}
        )
        store.write_to_online_store("pushed", frame)

    for day, orders, expected in [(2, 20, 20), (1, 10, 20), (3, 30, 30), (3, 31, 31)]:
        write(day, orders)
        assert stored(project, "pushed")["orders"][0] == expected
    store.push("push", pd.DataFrame({"customer_id": [1], "orders": [40], "at": [at(4)]}))
    assert stored(project, "pushed")["orders"][0] == 40


def test_a_null_join_key_is_refused(store: feast.FeatureStore) -> None:
    frame = pd.DataFrame({"customer_id": pd.array([None], "Int64"), "orders": [1], "at": [at(1)]})
    with pytest.raises(InvalidInputError, match="customer_id"):
        store.write_to_online_store("pushed", frame)


def entities() -> pd.DataFrame:
    moments = [at(3), at(1), at(0.5), at(30), at(5), at(4)]
    return pd.DataFrame({"customer_id": [3, 1, 1, 1, 2, 99], "event_timestamp": moments, "label": list("abcdef")})


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("only_known", [False, True])
def test_feasts_historical_values_are_those_of_our_join(
    project: ProjectConfig, store: feast.FeatureStore, full: bool, only_known: bool
) -> None:
    references = [f"spend:{name}" for name in reversed(ALL)] + ["everyone:rate"]
    job = store.get_historical_features(
        entity_df=entities(), features=references, full_feature_names=full, filter_by_created_timestamp=only_known
    )
    selection = select(load_catalog(project.catalog), references, full_feature_names=full)
    rows = pa.Table.from_pandas(entities(), preserve_index=False)
    ours = point_in_time(rows, "event_timestamp", selection, project.root, filter_by_created_timestamp=only_known)
    assert job.to_arrow().to_pydict() == ours.to_pydict()
    assert job.to_arrow().column("spend__spend" if full else "spend").to_pylist() == [3.0, 1.5, None, None, None, None]


def test_on_demand_features_are_computed_on_top(store: feast.FeatureStore) -> None:
    found = store.get_historical_features(entity_df=entities(), features=["doubled:twice", "spend:name"]).to_df()
    assert found["twice"].head(2).tolist() == [6.0, 3.0]
    assert list(found["label"]) == list("abcdef")


def test_entity_rows_may_be_a_query_over_the_projects_files(project: ProjectConfig, store: feast.FeatureStore) -> None:
    pq.write_table(pa.Table.from_pandas(entities(), preserve_index=False), project.root / "data" / "rows.parquet")
    job = store.get_historical_features(
        entity_df="select * from 'data/rows.parquet'", features=store.get_feature_service("scoring")
    )
    assert job.to_arrow().column("spend").to_pylist() == [3.0, 1.5, None, None, None, None]
    with pytest.raises(InvalidInputError, match="DuckDB"):
        store.get_historical_features(entity_df="select nothing", features=["spend:name"])


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (None, "no entity rows"),
        (pd.DataFrame({"customer_id": [1]}), "0 timestamp columns"),
        (pd.DataFrame({"customer_id": [1], "a": [T0], "b": [T0]}), "2 timestamp columns"),
    ],
)
def test_entity_rows_without_a_time_are_refused(
    project: ProjectConfig, store: feast.FeatureStore, frame: pd.DataFrame | None, says: str
) -> None:
    options = {"start_date": T0, "end_date": END} if frame is None else {}
    with pytest.raises(InvalidInputError, match=says):
        store.get_historical_features(entity_df=frame, features=["spend:name"], **options)


def test_the_only_timestamp_is_the_entity_rows_time(store: feast.FeatureStore) -> None:
    frame = entities().rename(columns={"event_timestamp": "when"})
    assert store.get_historical_features(entity_df=frame, features=["spend:orders"]).to_arrow().column("orders").to_pylist()[
        :2
    ] == [-(2**31), 1]


@pytest.mark.parametrize("pull", ["latest", "all"])
def test_the_rows_of_an_interval_include_both_ends(project: ProjectConfig, store: feast.FeatureStore, pull: str) -> None:
    offline, source = store._get_provider().offline_store, store.get_data_source("events")
    method = getattr(offline, f"pull_{pull}_from_table_or_query")
    job = method(store.config, source, ["customer_id"], ["total"], "at", "made", start_date=at(2), end_date=at(5))
    rows = sorted(job.to_arrow().to_pylist(), key=lambda row: (row["customer_id"], row["at"]))
    third = {"customer_id": 3, "total": 4.0, "at": at(4), "made": at(4)}
    second = {"customer_id": 2, "total": None, "at": at(5), "made": at(5)}
    earlier = {"customer_id": 3, "total": 3.0, "at": at(2), "made": at(2)}
    assert rows == ([second, third] if pull == "latest" else [second, earlier, third])


def test_a_retrieval_is_kept_as_a_data_set(project: ProjectConfig, store: feast.FeatureStore) -> None:
    job = store.get_historical_features(entity_df=entities(), features=["spend:spend"])
    job.persist(SavedDatasetFileStorage("data/saved/set.parquet"))
    assert pq.read_table(project.root / "data" / "saved" / "set.parquet").to_pydict() == job.to_arrow().to_pydict()
    with pytest.raises(feast.errors.SavedDatasetLocationAlreadyExists):
        job.persist(SavedDatasetFileStorage("data/saved/set.parquet"))


def test_a_view_that_feast_deletes_loses_its_rows(project: ProjectConfig, store: feast.FeatureStore) -> None:
    store.materialize(T0, END, feature_views=["spend", "pushed"])
    store.apply([], objects_to_delete=[store.get_feature_view("pushed")], partial=False)
    assert stored(project, "pushed")["orders"] == [None] * 4
    assert stored(project)["orders"][0] == 1
    store.teardown()
    assert stored(project)["orders"] == [None] * 4


def test_feast_knows_the_columns_of_a_table_that_was_never_prepared(tmp_path: Path) -> None:
    table = Table(
        "days",
        "data/offline/days",
        ("customer_id", "day"),
        "day",
        (
            Field("customer_id", ValueType.INT64),
            Field("day", ValueType.UNIX_TIMESTAMP),
            Field("codes", ValueType.STRING_LIST),
            Field("total", ValueType.DOUBLE),
        ),
        (),
        "",
    )
    (tmp_path / "feature_store.yaml").write_text(YAML)
    text = "from feast import *\nfrom featurestore.registry.feast_sources import delta_source\n"
    text += "customer = Entity(name='customer', join_keys=['customer_id'])\n"
    text += "v = FeatureView(name='v', entities=[customer], source=delta_source('days', 'data/offline/days', 'day'))\n"
    (tmp_path / "features.py").write_text(text)
    with quiet_feast():
        config = load_config(tmp_path)
        contents = load_definitions(config).contents
        apply_changes(config, contents, compile_project(config, contents, [table]))
        difference, _, _ = feast.FeatureStore(repo_path=str(tmp_path)).plan(load_definitions(config).contents)
    assert "No changes" in difference.to_string()


def test_the_feast_command_lists_the_project(project: ProjectConfig) -> None:
    command = Path(sys.executable).with_name("feast")
    run = subprocess.run([command, "-c", str(project.root), "feature-views", "list"], capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in run.stdout.splitlines()[1:]} >= {"spend", "pushed", "everyone"}

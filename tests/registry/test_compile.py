"""Definition objects compiled to core values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.core.catalog import Field, Projection, Table
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import CorruptDataError, DefinitionError
from featurestore.core.types import ValueType
from tests.registry.conftest import compiled

Shop = Callable[[str], ProjectConfig]

SPEND = """
spend = FeatureView(name="spend", entities=[customer], ttl=timedelta(days=2), source=spend_source, tags={"b": "2", "a": "1"},
    schema=[Field(name="total", dtype=Float64), Field(name="orders", dtype=Int32)])
"""

TABLE = Table(
    name="days",
    path="data/offline/days",
    key=("customer_id", "day"),
    timestamp_field="day",
    columns=(
        Field("customer_id", ValueType.INT64),
        Field("day", ValueType.UNIX_TIMESTAMP),
        Field("total", ValueType.DOUBLE),
        Field("codes", ValueType.STRING_LIST),
    ),
    inputs=("raw",),
    code_hash="0" * 64,
)


def test_a_view_is_compiled_whole(shop: Shop) -> None:
    view = compiled(shop(SPEND))[1].view("spend")
    assert view.entities == ("customer",)
    assert view.join_keys == (Field("customer_id", ValueType.INT64),)
    assert view.features == (Field("total", ValueType.DOUBLE), Field("orders", ValueType.INT32))
    assert view.ttl == 2 * 24 * 3600 * 1_000_000
    assert (view.source.name, view.source.format, view.source.path) == ("spend_source", "parquet", "data/spend.parquet")
    assert (view.source.timestamp_field, view.source.created_timestamp_column) == ("at", "made")
    assert view.online
    assert view.tags == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("Bytes", ValueType.BYTES),
        ("String", ValueType.STRING),
        ("Bool", ValueType.BOOL),
        ("Int32", ValueType.INT32),
        ("Int64", ValueType.INT64),
        ("Float32", ValueType.FLOAT),
        ("Float64", ValueType.DOUBLE),
        ("UnixTimestamp", ValueType.UNIX_TIMESTAMP),
        ("ImageBytes", ValueType.BYTES),
        ("Array(Float32)", ValueType.FLOAT_LIST),
        ("Array(String)", ValueType.STRING_LIST),
        ("Set(Int64)", ValueType.INT64_SET),
        ("Map", ValueType.MAP),
        ("Json", ValueType.JSON),
        ("Struct({'a': Int64})", ValueType.STRUCT),
        ("Uuid", ValueType.UUID),
        ("Decimal", ValueType.DECIMAL),
        ("Array(Array(Int64))", ValueType.VALUE_LIST),
    ],
)
def test_feasts_types_become_ours(shop: Shop, dtype: str, kind: ValueType) -> None:
    text = f'v = FeatureView(name="v", entities=[customer], source=spend_source, schema=[Field(name="total", dtype={dtype})])\n'
    assert compiled(shop("from feast.types import *\n" + text))[1].view("v").features == (Field("total", kind),)


@pytest.mark.parametrize("ttl", ["None", "timedelta(0)"])
def test_no_ttl_is_none(shop: Shop, ttl: str) -> None:
    text = f'v = FeatureView(name="v", entities=[customer], source=spend_source, ttl={ttl}, schema=[Field(name="total", dtype=Float64)])\n'
    assert compiled(shop(text))[1].view("v").ttl is None


def test_a_view_without_schema_takes_what_its_source_holds(shop: Shop) -> None:
    text = 'buyer = Entity(name="buyer", join_keys=["name"])\nv = FeatureView(name="v", entities=[customer, buyer], source=spend_source)\n'
    view = compiled(shop(text))[1].view("v")
    assert view.join_keys == (Field("customer_id", ValueType.INT64), Field("name", ValueType.STRING))
    assert view.features == (Field("total", ValueType.DOUBLE), Field("orders", ValueType.INT32))


def test_a_view_without_entities_has_no_join_keys(shop: Shop) -> None:
    view = compiled(shop('v = FeatureView(name="v", source=spend_source, schema=[Field(name="total", dtype=Float64)])\n'))[1].view(
        "v"
    )
    assert (view.entities, view.join_keys) == ((), ())


def test_a_field_mapping_renames_keys_and_features(shop: Shop) -> None:
    text = """
mapped = FileSource(name="mapped", path="data/spend.parquet", timestamp_field="at", field_mapping={"total": "spent", "name": "who"})
who = Entity(name="who")
v = FeatureView(name="v", entities=[who], source=mapped)
"""
    view = compiled(shop(text))[1].view("v")
    assert view.join_keys == (Field("who", ValueType.STRING),)
    assert Field("spent", ValueType.DOUBLE) in view.features
    assert view.source.column("spent") == "total"
    assert view.source.field_mapping == (("name", "who"), ("total", "spent"))


def test_push_batch_stream_and_label_views_are_views_over_their_batch_source(shop: Shop) -> None:
    text = """
push = PushSource(name="push", batch_source=spend_source)
schema = [Field(name="total", dtype=Float64)]
pushed = FeatureView(name="pushed", entities=[customer], source=push, schema=schema)
batch = BatchFeatureView(name="batch", entities=[customer], source=spend_source, schema=schema)
stream = StreamFeatureView(name="stream", entities=[customer], source=push, schema=schema)
label = LabelView(name="label", entities=[customer], source=push, schema=[Field(name="name", dtype=String)], labeler_field="name")
"""
    views = compiled(shop("from feast import LabelView\n" + text))[1].views
    assert [(v.name, v.source.name, v.online) for v in views] == [
        ("batch", "spend_source", False),
        ("label", "spend_source", True),
        ("pushed", "spend_source", True),
        ("stream", "spend_source", True),
    ]
    assert {v.join_keys for v in views} == {(Field("customer_id", ValueType.INT64),)}


def test_services_keep_subsets_aliases_and_key_names(shop: Shop) -> None:
    text = (
        SPEND
        + """
import pandas
@on_demand_feature_view(sources=[spend], schema=[Field(name="twice", dtype=Float64)])
def doubled(inputs: pandas.DataFrame) -> pandas.DataFrame:
    return pandas.DataFrame({"twice": inputs["total"] * 2})
plain = FeatureService(name="plain", features=[spend], tags={"x": "1"})
part = FeatureService(name="part", features=[spend[["orders"]].with_name("friend").with_join_key_map({"customer_id": "friend_id"})])
computed = FeatureService(name="computed", features=[spend, doubled])
by_name = FeatureService(name="by_name", features=["spend:total"])
"""
    )
    catalog = compiled(shop("from feast.on_demand_feature_view import on_demand_feature_view\n" + text))[1]
    assert catalog.service("plain").projections == (Projection("spend", ("total", "orders")),)
    assert catalog.service("plain").tags == (("x", "1"),)
    assert catalog.service("part").projections == (Projection("spend", ("orders",), "friend", (("customer_id", "friend_id"),)),)
    assert catalog.service("computed").on_demand == ("doubled",)
    assert catalog.service("by_name").projections == (Projection("spend", ("total",)),)
    (view,) = catalog.on_demand_views
    assert (view.name, view.features) == ("doubled", (Field("twice", ValueType.DOUBLE),))


def test_a_service_over_an_inferred_view_names_its_features(shop: Shop) -> None:
    text = 'v = FeatureView(name="v", entities=[customer], source=spend_source)\n'
    text += 'all_of = FeatureService(name="all_of", features=[v])\nsome = FeatureService(name="some", features=[v[["orders"]]])\n'
    catalog = compiled(shop(text))[1]
    assert catalog.service("all_of").projections[0].features == ("total", "orders", "name")
    assert catalog.service("some").projections[0].features == ("orders",)


def test_an_integer_key_is_as_wide_as_its_widest_view(shop: Shop) -> None:
    text = """
k = Entity(name="k")
source = FileSource(name="s", path="data/none.parquet", timestamp_field="at")
a = FeatureView(name="a", entities=[k], source=source, schema=[Field(name="k", dtype=Int32), Field(name="x", dtype=Int64)])
b = FeatureView(name="b", entities=[k], source=source, schema=[Field(name="k", dtype=Int64), Field(name="x", dtype=Int64)])
"""
    catalog = compiled(shop(text))[1]
    assert {view.join_keys for view in catalog.views} == {(Field("k", ValueType.INT64),)}
    assert catalog.entity("k").dtype == ValueType.INT64


def test_a_view_over_a_prepared_table_is_complete_before_the_table_exists(shop: Shop) -> None:
    text = """
from featurestore.registry.feast_sources import delta_source
source = delta_source("days", "data/offline/days", "day")
buyer = Entity(name="buyer", join_keys=["customer_id"])
v = FeatureView(name="v", entities=[buyer], source=source)
by_path = FeatureView(name="by_path", entities=[buyer], source=FileSource(name="again", path="data/offline/days", file_format=DELTA))
""".replace("DELTA", "source.file_format")
    catalog = compiled(shop(text), [TABLE])[1]
    assert catalog.tables == (TABLE,)
    for name in ("v", "by_path"):
        view = catalog.view(name)
        assert view.join_keys == (Field("customer_id", ValueType.INT64),)
        assert view.features == (Field("total", ValueType.DOUBLE), Field("codes", ValueType.STRING_LIST))
        assert (view.source.format, view.source.timestamp_field) == ("delta", "day")


def field(name: str, dtype: str = "Float64") -> str:
    return f"Field(name='{name}', dtype={dtype})"


def view_of(schema: str, entities: str = "[customer]", source: str = "spend_source", more: str = "") -> str:
    return f"v = FeatureView(name='v', entities={entities}, source={source}, schema=[{schema}]{more})\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (view_of(field("totl")), "view v: source spend_source has no column totl; did you mean total"),
        (view_of(field("total"), "[Entity(name='x')]"), "names the entity x, which no module defines"),
        ("x = Entity(name='costumer_id')\n" + view_of(field("total"), "[x]"), "no column costumer_id.*did you mean customer_id"),
        ("x = Entity(name='name', value_type=ValueType.INT64)\n" + view_of(field("total"), "[x]"), "declared INT64.*is STRING"),
        (
            "x = Entity(name='x', join_keys=['customer_id'], value_type=ValueType.INT32)\n" + view_of(field("total"), "[x]"),
            "declared INT32.*is INT64",
        ),
        (
            "s = FileSource(name='s', path='data/spend.parquet', timestamp_field='when')\n" + view_of(field("total"), source="s"),
            "no column when",
        ),
        ("s = FileSource(name='s', path='no.parquet', timestamp_field='at')\n" + view_of("", source="s"), "no file at no.parquet"),
        (
            "s = FileSource(name='s', path='s3://b/x', timestamp_field='at')\n" + view_of(field("total"), source="s"),
            "local Parquet or Delta",
        ),
        (
            "from feast import BigQuerySource\ns = BigQuerySource(name='s', table='t', timestamp_field='at')\n"
            + view_of(field("total"), source="s"),
            "kind BigQuerySource.*local Parquet or Delta",
        ),
        (view_of(field("total"), more=", ttl=-timedelta(1)"), "negative ttl"),
        (view_of(field("total"), more=", version='v3'"), "pinned to version v3"),
        (view_of(field("total")) + "w = FeatureView(name='V', source=spend_source)\n", "two objects of kind view are called V"),
        (
            "from feast.aggregation import Aggregation\n"
            "b = BatchFeatureView(name='b', entities=[customer], source=spend_source, aggregations=[Aggregation(column='total', function='sum')])\n",
            "view b has aggregations, which are not computed yet",
        ),
        (
            "b = BatchFeatureView(name='b', entities=[customer], source=spend_source, udf=lambda d: d)\n",
            "view b has a transformation",
        ),
        (view_of(field("total")) + "s = FeatureService(name='s', features=['w:total'])\n", "unknown view w; did you mean v"),
        (view_of(field("total")) + "s = FeatureService(name='s', features=['v@v2'])\n", "cannot be pinned"),
        (
            "s = FeatureService(name='s', features=[FeatureView(name='gone', source=spend_source, schema=[Field(name='total', dtype=Float64)])])\n",
            "gone",
        ),
    ],
)
def test_a_contradiction_is_refused_and_says_how_to_mend_it(shop: Shop, text: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        compiled(shop(text))


def test_a_column_that_a_prepared_table_does_not_have_is_refused(shop: Shop) -> None:
    text = "from featurestore.registry.feast_sources import delta_source\ns = delta_source('days', 'data/offline/days', 'day')\n"
    with pytest.raises(DefinitionError, match="no column totals; did you mean total"):
        compiled(shop(text + view_of(field("totals"), source="s")), [TABLE])


def test_one_entity_with_keys_of_two_types_is_refused(shop: Shop) -> None:
    text = """
k = Entity(name="k")
source = FileSource(name="s", path="data/none.parquet", timestamp_field="at")
a = FeatureView(name="a", entities=[k], source=source, schema=[Field(name="k", dtype=String), Field(name="x", dtype=Int64)])
b = FeatureView(name="b", entities=[k], source=source, schema=[Field(name="k", dtype=Int64), Field(name="x", dtype=Int64)])
"""
    with pytest.raises(DefinitionError, match="INT64 and STRING"):
        compiled(shop(text))


def test_a_source_file_that_is_not_parquet_is_corrupt(shop: Shop, tmp_path: Path) -> None:
    config = shop(view_of(field("total")))
    (tmp_path / "data" / "spend.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptDataError, match=r"data/spend\.parquet"):
        compiled(config)


def test_the_same_definitions_give_the_same_digest(shop: Shop) -> None:
    config = shop(SPEND)
    assert compiled(config)[1].digest == compiled(config)[1].digest

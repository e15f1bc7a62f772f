"""The catalog's round trip, its identity, and its refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.core.catalog import Catalog, Entity, Field, OnDemandView, Projection, Service, Source, Table, View
from featurestore.core.errors import CorruptDataError, DefinitionError, UnknownNameError
from featurestore.core.types import JOIN_KEY_TYPES, ValueType

names = st.text(min_size=1, max_size=8)
fields = st.builds(Field, names, st.sampled_from(ValueType))
pairs = st.lists(st.tuples(names, names), max_size=2).map(tuple)
sources = st.builds(Source, names, st.sampled_from(["parquet", "delta"]), names, names, st.none() | names, pairs)


@st.composite
def views(draw: st.DrawFn) -> View:
    columns = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    split = draw(st.integers(0, len(columns)))
    keys = tuple(Field(name, draw(st.sampled_from(sorted(JOIN_KEY_TYPES)))) for name in columns[:split])
    features = tuple(Field(name, draw(st.sampled_from(ValueType))) for name in columns[split:])
    ttl = draw(st.none() | st.integers(1, 2**60))
    return View(
        draw(names), tuple(draw(st.lists(names, max_size=2))), keys, features, ttl, draw(sources), draw(st.booleans()), draw(pairs)
    )


catalogs = st.builds(
    Catalog,
    project=names,
    entities=st.lists(st.builds(Entity, names, names, st.sampled_from(ValueType)), max_size=2).map(tuple),
    views=st.lists(views(), max_size=3).map(tuple),
    on_demand_views=st.lists(st.builds(OnDemandView, names, st.lists(fields, max_size=2).map(tuple)), max_size=1).map(tuple),
    services=st.lists(
        st.builds(
            Service,
            names,
            st.lists(
                st.builds(Projection, names, st.lists(names, max_size=2).map(tuple), st.none() | names, pairs), max_size=2
            ).map(tuple),
            st.lists(names, max_size=1).map(tuple),
            pairs,
        ),
        max_size=2,
    ).map(tuple),
    tables=st.lists(
        st.builds(
            Table,
            names,
            names,
            st.lists(names, max_size=2).map(tuple),
            names,
            st.lists(fields, max_size=2).map(tuple),
            st.lists(names, max_size=1).map(tuple),
            names,
        ),
        max_size=1,
    ).map(tuple),
)


@given(catalogs)
def test_a_catalog_comes_back_equal_from_its_text(catalog: Catalog) -> None:
    again = Catalog.from_json(catalog.to_json())
    assert again == catalog
    assert again.digest == catalog.digest


def view(name: str = "v", **changes: object) -> View:
    values: dict[str, object] = {
        "name": name,
        "entities": ("e",),
        "join_keys": (Field("k", ValueType.INT64),),
        "features": (Field("a", ValueType.DOUBLE), Field("b", ValueType.STRING)),
        "ttl": None,
        "source": Source("s", "parquet", "p", "t"),
    }
    return View(**(values | changes))  # type: ignore[arg-type]


def test_the_digest_catches_a_changed_text() -> None:
    document = json.loads(Catalog("p", views=(view(),)).to_json())
    document["catalog"]["views"][0]["ttl"] = 5
    with pytest.raises(CorruptDataError, match="digest"):
        Catalog.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 99, "digest": "", "catalog": {}}', '{"format": 1, "digest": "", "catalog": 3}']
)
def test_text_that_is_no_catalog_is_refused(text: str) -> None:
    with pytest.raises(CorruptDataError, match="featurestore apply"):
        Catalog.from_json(text)


def test_the_fingerprint_follows_names_types_and_order_alone() -> None:
    base = view()
    assert view("other", ttl=7, tags=(("a", "b"),)).fingerprint == base.fingerprint
    swapped = view(features=tuple(reversed(base.features)))
    retyped = view(features=(Field("a", ValueType.FLOAT), Field("b", ValueType.STRING)))
    moved = view(join_keys=(), features=(Field("k", ValueType.INT64), *base.features))
    assert len({base.fingerprint, swapped.fingerprint, retyped.fingerprint, moved.fingerprint}) == 4


def test_unknown_names_offer_the_nearest() -> None:
    catalog = Catalog("p", views=(view("customer_day"), view("product_day")))
    with pytest.raises(UnknownNameError, match="did you mean customer_day"):
        catalog.view("custmer_day")
    with pytest.raises(UnknownNameError, match="feature service"):
        catalog.service("x")
    with pytest.raises(UnknownNameError, match="feature of view customer_day"):
        catalog.view("customer_day").feature("aa")


def test_a_float_join_key_and_a_name_used_twice_are_refused() -> None:
    with pytest.raises(DefinitionError, match="join key k is DOUBLE"):
        view(join_keys=(Field("k", ValueType.DOUBLE),))
    with pytest.raises(DefinitionError, match="more than once"):
        view(features=(Field("k", ValueType.INT64),))


def test_the_origin_tells_where_rows_are_and_how_they_are_read_and_not_what_the_source_is_called() -> None:
    source = Source("s", "parquet", "p", "t", "c", (("a", "b"), ("d", "e")))
    view = View("v", (), (), (Field("f", ValueType.INT64),), None, source)
    same = [replace(source, name="other"), replace(source, field_mapping=source.field_mapping[::-1])]
    changes: dict[str, Any] = {
        "format": "delta",
        "path": "q",
        "timestamp_field": "u",
        "created_timestamp_column": None,
        "field_mapping": (("a", "b"),),
    }
    others = [replace(source, **{name: value}) for name, value in changes.items()]
    assert {replace(view, source=each).origin for each in same} == {view.origin}
    assert len({replace(view, source=each).origin for each in [source, *others]}) == len(others) + 1

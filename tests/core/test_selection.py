"""From references and services to what each view has to answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featurestore.core.catalog import Catalog, Field, OnDemandView, Projection, Service, Source, View
from featurestore.core.errors import InvalidInputError, UnknownNameError
from featurestore.core.selection import MOST_FEATURES, select
from featurestore.core.types import ValueType

SOURCE = Source("s", "parquet", "p", "t")
CUSTOMER = View(
    "customer",
    ("c",),
    (Field("customer_id", ValueType.INT64),),
    (Field("spend", ValueType.DOUBLE), Field("n", ValueType.INT64)),
    None,
    SOURCE,
)
PRODUCT = View(
    "product",
    ("p",),
    (Field("code", ValueType.STRING),),
    (Field("price", ValueType.DOUBLE), Field("n", ValueType.INT32)),
    None,
    SOURCE,
)
CATALOG = Catalog(
    "p",
    views=(CUSTOMER, PRODUCT),
    on_demand_views=(OnDemandView("ratio", ()),),
    services=(
        Service("both", (Projection("product", ("price",)), Projection("customer", ("spend", "n")))),
        Service(
            "pair",
            (Projection("customer", ("n",), "buyer", (("customer_id", "buyer_id"),)), Projection("customer", ("n",), "seller")),
        ),
        Service("computed", (Projection("customer", ("n",)),), ("ratio",)),
    ),
)


def test_references_keep_their_order_across_views() -> None:
    selection = select(CATALOG, ["customer:spend", "product:price", "customer:n"])
    assert selection.names == ("spend", "price", "n")
    assert [(s.view.name, s.positions, s.key_names) for s in selection.views] == [
        ("customer", (0, 2), ("customer_id",)),
        ("product", (1,), ("code",)),
    ]
    assert selection.join_keys == (Field("customer_id", ValueType.INT64), Field("code", ValueType.STRING))


def test_a_star_means_all_features_of_the_view() -> None:
    assert select(CATALOG, ["customer:*"], full_feature_names=True).names == ("customer__spend", "customer__n")


def test_a_service_is_resolved_by_name() -> None:
    assert select(CATALOG, "both").names == ("price", "spend", "n")


def test_one_view_under_two_aliases_takes_two_sets_of_keys() -> None:
    selection = select(CATALOG, "pair", full_feature_names=True)
    assert selection.names == ("buyer__n", "seller__n")
    assert [s.key_names for s in selection.views] == [("buyer_id",), ("customer_id",)]


def test_equal_output_names_are_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidInputError, match="called n; ask with full_feature_names=True"):
        select(CATALOG, ["customer:n", "product:n"])
    assert select(CATALOG, ["customer:n", "product:n"], full_feature_names=True).names == ("customer__n", "product__n")


def test_a_reference_given_twice_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="asked for more than once: customer:n; name each feature once"):
        select(CATALOG, ["customer:n", "product:n", "customer:n"], full_feature_names=True)
    with pytest.raises(InvalidInputError, match="more than one output would be called customer__n"):
        select(CATALOG, ["customer:n", "customer:*"], full_feature_names=True)


def test_a_request_that_asks_for_too_much_is_refused_before_work_is_done() -> None:
    wide = replace(CUSTOMER, name="wide", features=tuple(Field(f"f{n}", ValueType.INT64) for n in range(MOST_FEATURES)))
    catalog = Catalog("p", views=(wide, PRODUCT))
    assert len(select(catalog, ["wide:*"]).names) == MOST_FEATURES
    for references in (["wide:*", "product:price"], [f"nowhere:f{n}" for n in range(MOST_FEATURES + 1)]):
        with pytest.raises(InvalidInputError, match="10001 features are asked for; ask for 10000 or fewer"):
            select(catalog, references)
    service = Service("all", (Projection("wide", tuple(f.name for f in wide.features)), Projection("product", ("price",))))
    with pytest.raises(InvalidInputError, match="10001 features"):
        select(replace(catalog, services=(service,)), "all")


@pytest.mark.parametrize("reference", ["customer", ":n", "customer:", ""])
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a feature reference; write view:feature"):
        select(CATALOG, [reference])


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown feature view 'custmer'; did you mean customer"):
        select(CATALOG, ["custmer:n"])
    with pytest.raises(UnknownNameError, match="did you mean spend"):
        select(CATALOG, ["customer:spent"])
    with pytest.raises(UnknownNameError, match="unknown feature service"):
        select(CATALOG, "bot")


def test_on_demand_views_are_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="ratio"):
        select(CATALOG, "computed")
    with pytest.raises(InvalidInputError, match="on-demand"):
        select(CATALOG, ["ratio:x"])


def test_nothing_asked_for_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no feature"):
        select(CATALOG, [])

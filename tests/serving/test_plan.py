"""Request shapes: which entity names stand for which join keys."""

from __future__ import annotations

import pytest

from featurestore.core.catalog import Catalog, Entity, Field, Service, Source, View
from featurestore.core.errors import InvalidInputError, UnknownNameError
from featurestore.core.types import ValueType
from featurestore.serving.plan import Plans

KEY = Field("customer_id", ValueType.INT64)
VIEW = View("spend", ("customer",), (KEY,), (Field("total", ValueType.DOUBLE),), None, Source("s", "parquet", "s", "ts"))
CATALOG = Catalog(
    "p",
    (Entity("customer", "customer_id", ValueType.INT64), Entity("product", "stock_code", ValueType.STRING)),
    (VIEW,),
    services=(Service("scoring", ()),),
)
PLANS = Plans(CATALOG)
SPEND = PLANS.plan(("spend:total",), False)


def test_a_shape_is_resolved_once() -> None:
    assert PLANS.plan(("spend:total",), False) is SPEND
    assert PLANS.plan(("spend:total",), True) is not SPEND


def test_a_join_key_may_be_called_by_its_own_name_or_its_entitys() -> None:
    assert SPEND.join_keys(["customer_id"]) == (("customer_id", KEY),)
    assert SPEND.join_keys(["customer"]) == (("customer", KEY),)


def test_an_unneeded_join_key_of_the_project_comes_after_the_needed() -> None:
    given = SPEND.join_keys(["stock_code", "customer_id"])
    assert given == (("customer_id", KEY), ("stock_code", Field("stock_code", ValueType.STRING)))


def test_a_join_keys_own_name_goes_before_an_entity_of_that_name() -> None:
    confusing = Catalog("p", (Entity("customer_id", "other", ValueType.STRING), *CATALOG.entities), (VIEW,))
    assert Plans(confusing).plan(("spend:total",), False).join_keys(["customer_id"]) == (("customer_id", KEY),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"join key customer_id is missing \(got no entities\); give a value of customer_id for every row"),
        (["stock_code"], r"join key customer_id is missing \(got stock_code\)"),
        (["customer_id", "customer"], "join key customer_id is given twice, as customer_id and as customer"),
        (["custmer_id"], "'custmer_id' is no join key or entity of this project; these features need customer_id"),
    ],
)
def test_wrong_entities_are_refused_naming_what_is_needed(given: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        SPEND.join_keys(given)


@pytest.mark.parametrize(("asked", "nearest"), [(("spnd:total",), "spend"), (("spend:totl",), "total"), ("scorin", "scoring")])
def test_an_unknown_name_is_answered_with_the_nearest(asked: tuple[str, ...] | str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean {nearest}"):
        PLANS.plan(asked, False)

"""The online read: statuses, ages, order, and an independent oracle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.clock import fixed_clock
from featurestore.core.errors import InvalidInputError
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.online.lmdb import LmdbStore
from featurestore.serving.lookup import Lookup, judge
from featurestore.wire.values import column_from_python, column_to_python
from tests.serving.project import CATALOG, DAY, NOW, Row, Shop

PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE = 1, 2, 3, 4


def ids(values: list[int]) -> Any:
    return column_from_python(values, ValueType.INT64, "customer_id")


def codes(values: list[str]) -> Any:
    return column_from_python(values, ValueType.STRING, "stock_code")


def lookup(shop: Shop, now: int = NOW) -> Lookup:
    return Lookup(CATALOG, LmdbStore(shop.config.online, fixed_clock(now)), fixed_clock(now))


def test_every_status(shop: Shop) -> None:
    answer = lookup(shop).read(select(CATALOG, ["spend:total", "spend:city"]), {"customer_id": ids([1, 2, 3, 4, 5])})
    assert answer.names == ("total", "city")
    assert column_to_python(answer.columns[0]) == [2.5, None, None, None, None]
    assert column_to_python(answer.columns[1]) == ["Köln", None, "", None, None]
    assert answer.statuses[0].tolist() == [PRESENT, OUTSIDE_MAX_AGE, NULL_VALUE, NOT_FOUND, NOT_FOUND]
    assert answer.statuses[1].tolist() == [PRESENT, OUTSIDE_MAX_AGE, PRESENT, NOT_FOUND, NOT_FOUND]
    assert answer.statuses[0].dtype == np.uint8
    for times in answer.event_us:
        assert times.tolist() == [NOW - 5, NOW - 2 * DAY, NOW, 0, 0]


def test_the_ages_bounds_belong_to_it() -> None:
    found = np.array([True, True, True, True, True, False])
    event_us = np.array([NOW - DAY - 1, NOW - DAY, NOW, NOW + 1, -(2**63), 0])
    status, times = judge(found, event_us, DAY, NOW)
    assert status.tolist() == [OUTSIDE_MAX_AGE, PRESENT, PRESENT, NOT_FOUND, OUTSIDE_MAX_AGE, NOT_FOUND]
    assert times.tolist() == [NOW - DAY - 1, NOW - DAY, NOW, 0, -(2**63), 0]


@pytest.mark.parametrize("ttl", [None, 10**25])
def test_without_a_bound_nothing_is_too_old(ttl: int | None) -> None:
    status, _ = judge(np.array([True]), np.array([-(2**63)]), ttl, NOW)
    assert status.tolist() == [PRESENT]


def test_views_of_several_keys_answer_in_the_order_asked_for(shop: Shop) -> None:
    selection = select(CATALOG, ["stock:price", "pair:bought", "spend:orders", "stock:listed", "shop:open"])
    answer = lookup(shop).read(selection, {"stock_code": codes(["A", "A", "B"]), "customer_id": ids([1, 3, 1])})
    assert answer.names == ("price", "bought", "orders", "listed", "open")
    assert [column_to_python(column) for column in answer.columns] == [
        [0.5, 0.5, None],
        [-(2**63), None, None],
        [3, 0, 3],
        [False, False, None],
        [True, True, True],
    ]


def test_a_mapped_join_key_is_read_under_the_callers_name(shop: Shop) -> None:
    selection = select(CATALOG, "friend", full_feature_names=True)
    answer = lookup(shop).read(selection, {"friend_id": ids([1])})
    assert (answer.names, column_to_python(answer.columns[0])) == (("friend__total",), [2.5])


def test_a_view_without_entities_has_one_row_unless_further_keys_count_them(shop: Shop) -> None:
    selection = select(CATALOG, ["shop:open"])
    assert column_to_python(lookup(shop).read(selection, {}).columns[0]) == [True]
    assert column_to_python(lookup(shop).read(selection, {"customer_id": ids([7, 8])}).columns[0]) == [True, True]


def test_a_store_never_written_knows_nobody(tmp_path: Path) -> None:
    answer = lookup(Shop(tmp_path)).read(select(CATALOG, ["spend:total", "shop:open"]), {"customer_id": ids([1, 2])})
    assert [status.tolist() for status in answer.statuses] == [[NOT_FOUND, NOT_FOUND]] * 2
    assert answer.generation == 0


def test_no_rows_give_empty_columns(shop: Shop) -> None:
    answer = lookup(shop).read(select(CATALOG, ["spend:city", "shop:open"]), {"customer_id": ids([])})
    assert [len(column) for column in answer.columns] == [0, 0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "join key customer_id is missing"),
        ({"customer_id": ids([1]), "stock_code": codes(["A", "B"])}, "different numbers of values .customer_id: 1, stock_code: 2"),
        ({"customer_id": codes(["1"])}, "join key customer_id is STRING, not INT64"),
        ({"customer_id": ids([1]), "shop_id": ids([1])}, "'shop_id' is no join key.*need customer_id"),
        ({"customer_id": column_from_python([1, None], ValueType.INT64, "customer_id")}, "customer_id|null"),
    ],
)
def test_wrong_keys_are_refused(shop: Shop, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        lookup(shop).read(select(CATALOG, ["spend:total"]), keys)


TIMES = (
    st.integers(-3, 3).map(lambda step: NOW + step * DAY // 2)
    | st.integers(NOW - DAY - 2, NOW - DAY + 2)
    | st.integers(NOW - 2, NOW + 2)
)
VALUES = st.fixed_dictionaries(
    {
        "total": st.none() | st.floats(allow_nan=False),
        "orders": st.none() | st.integers(-(2**31), 2**31 - 1),
        "city": st.none() | st.text(max_size=5),
    }
)


@settings(max_examples=40, deadline=None)
@given(
    stored=st.dictionaries(st.integers(0, 9), st.tuples(TIMES, VALUES), max_size=8),
    asked=st.lists(st.integers(0, 11), max_size=12),
    features=st.lists(st.sampled_from(["total", "orders", "city"]), min_size=1, unique=True),
)
def test_the_read_is_the_point_in_time_definition(
    stored: dict[int, tuple[int, dict[str, Any]]], asked: list[int], features: list[str]
) -> None:
    def expected(customer: int, feature: str) -> tuple[Any, int, int]:
        if customer not in stored or stored[customer][0] > NOW:
            return None, NOT_FOUND, 0
        event_us, values = stored[customer]
        if NOW - event_us > DAY:
            return None, OUTSIDE_MAX_AGE, event_us
        return values[feature], NULL_VALUE if values[feature] is None else PRESENT, event_us

    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        rows: list[Row] = [((customer,), event_us, values) for customer, (event_us, values) in stored.items()]
        shop.publish({"spend": rows})
        answer = lookup(shop).read(select(CATALOG, [f"spend:{f}" for f in features]), {"customer_id": ids(asked)})
    for position, feature in enumerate(features):
        got = zip(
            column_to_python(answer.columns[position]),
            answer.statuses[position].tolist(),
            answer.event_us[position].tolist(),
            strict=True,
        )
        assert list(got) == [expected(customer, feature) for customer in asked]

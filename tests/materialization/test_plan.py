"""Which interval of which view is materialized."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from featurestore.core.catalog import Catalog, Field, Source, View
from featurestore.core.errors import InvalidInputError, UnknownNameError
from featurestore.core.types import ValueType
from featurestore.materialization.plan import Step, plan_increment, plan_interval
from featurestore.online import ViewState

SOURCE = Source("source", "parquet", "rows.parquet", "event_timestamp")
SPEND = View("spend", ("customer",), (Field("id", ValueType.INT64),), (Field("total", ValueType.DOUBLE),), 100, SOURCE)
STOCK = replace(SPEND, name="stock", ttl=None)
ARCHIVE = replace(SPEND, name="archive", online=False)
CATALOG = Catalog("shop", views=(SPEND, STOCK, ARCHIVE))


@dataclass
class Held:
    """The states a plan is made from."""

    states: dict[str, ViewState] = field(default_factory=dict)
    generation: int = 1

    def state(self, view_name: str) -> ViewState | None:
        return self.states.get(view_name)

    def get(self, view: View, keys: object) -> list[bytes | None]:
        raise AssertionError("a plan reads no rows")


def held(
    watermark: int | None, fingerprint: int = SPEND.fingerprint, origin: str = SPEND.origin, ttl: int | None = SPEND.ttl
) -> ViewState:
    return ViewState(1, fingerprint, 5, watermark, 0, 4096, origin, ttl)


def test_all_online_views_or_those_named() -> None:
    assert plan_interval(CATALOG, None, 3, 7) == (Step(SPEND, 3, 7), Step(STOCK, 3, 7))
    assert plan_interval(CATALOG, ["stock", "stock"], 3, 3) == (Step(STOCK, 3, 3),)


def test_start_after_end_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"START 1970-01-01T00:00:00.000008\+00:00 is after END .*; swap them"):
        plan_interval(CATALOG, None, 8, 7)


def test_an_unknown_view_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown feature view 'spent'; did you mean spend"):
        plan_interval(CATALOG, ["spent"], 0, 1)


def test_an_offline_view_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="view archive is not online; define it with online=True"):
        plan_increment(CATALOG, ["archive"], 1, Held())


def test_nothing_to_materialize_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match="no feature view is online"):
        plan_interval(Catalog("shop", views=(ARCHIVE,)), None, 0, 1)
    with pytest.raises(InvalidInputError, match="no view is named"):
        plan_interval(CATALOG, [], 0, 1)


def test_the_first_increment_goes_back_by_the_ttl_or_to_the_beginning() -> None:
    assert plan_increment(CATALOG, None, 1000, Held()) == (Step(SPEND, 900, 1000), Step(STOCK, None, 1000))


def test_the_next_increment_begins_at_the_watermark() -> None:
    assert plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(400)})) == (Step(SPEND, 400, 1000),)
    assert plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(1000)})) == (Step(SPEND, 1000, 1000),)


def test_a_view_written_only_in_place_has_no_watermark_yet() -> None:
    assert plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(None)})) == (Step(SPEND, 900, 1000),)


def test_the_watermark_of_another_definition_does_not_count() -> None:
    assert plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(950, fingerprint=1)})) == (Step(SPEND, 900, 1000),)


def test_the_watermark_of_another_source_does_not_count() -> None:
    other = replace(SPEND, source=replace(SOURCE, path="others.parquet")).origin
    assert plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(950, origin=other)})) == (Step(SPEND, 900, 1000),)


@pytest.mark.parametrize(
    ("watermark", "was", "ttl", "start"),
    [
        (950, 50, 100, 900),  # what the shorter ttl left out is fetched
        (950, 50, None, None),
        (500, 50, 100, 500),  # but nothing after the watermark is left out for it
        (950, 100, 100, 950),
        (950, 200, 100, 950),
        (950, None, 100, 950),
        (950, None, None, 950),
    ],
)
def test_a_ttl_that_has_grown_makes_the_increment_reach_back(
    watermark: int, was: int | None, ttl: int | None, start: int | None
) -> None:
    view = replace(SPEND, ttl=ttl)
    states = Held({"spend": held(watermark, ttl=was)})
    assert plan_increment(Catalog("shop", views=(view,)), None, 1000, states) == (Step(view, start, 1000),)


def test_an_end_before_the_watermark_leaves_nothing_to_do() -> None:
    (step,) = plan_increment(CATALOG, ["spend"], 1000, Held({"spend": held(2000)}))
    assert step.done == "already materialized up to 1970-01-01T00:00:00.002000+00:00"

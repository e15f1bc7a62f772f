"""The demo's model: its questions against a slow oracle, and what it can learn."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from featurestore.reference import model

START = datetime(2011, 1, 1, 9, 30, tzinfo=UTC)
END = datetime(2011, 9, 1, tzinfo=UTC)


def lines(orders: list[tuple[int | None, datetime, bool]]) -> pl.LazyFrame:
    columns = [("customer_id", pl.Int64()), ("invoiced_at", pl.Datetime("us", "UTC")), ("is_cancellation", pl.Boolean())]
    return pl.LazyFrame(orders, schema=pl.Schema(columns), orient="row")


def random_orders(count: int, seed: int) -> list[tuple[int | None, datetime, bool]]:
    draw = random.Random(seed)
    days = (END - START).days
    orders: list[tuple[int | None, datetime, bool]] = [(1, START, False)]
    for _ in range(count):
        at = START.replace(hour=0, minute=0) + timedelta(days=draw.randrange(days), hours=draw.choice([0, 0, 11, 16]))
        orders.append((draw.choice([None, *range(1, 12)]), max(at, START), draw.random() < 0.1))
    return orders


@pytest.mark.parametrize("seed", range(5))
def test_questions_and_outcomes_are_those_of_the_definition(seed: int) -> None:
    orders = random_orders(60, seed)
    wanted = []
    at = datetime(2011, 3, 2, tzinfo=UTC)  # 60 days after the first day
    while at + timedelta(days=30) <= END:
        for customer in range(1, 12):
            times = [t for c, t, cancelled in orders if c == customer and not cancelled]
            if any(at - timedelta(days=90) < t <= at for t in times):
                wanted.append((customer, at, any(at < t <= at + timedelta(days=30) for t in times)))
        at += timedelta(days=14)
    assert model.questions(lines(orders), END).rows() == wanted
    assert {outcome for _, _, outcome in wanted} == {True, False}


def test_no_orders_or_too_short_a_time_give_no_questions() -> None:
    assert model.questions(lines([]), END).is_empty()
    assert model.questions(lines([(None, START, False), (4, START, True)]), END).is_empty()
    assert model.questions(lines([(4, START, False)]), START + timedelta(days=80)).is_empty()


def training_set(outcome_follows: str) -> pl.DataFrame:
    """Ten rounds of 60 customers; the outcome follows spend_total, or chance."""
    draw = random.Random(4)
    rows = []
    for n in range(10):
        at = START + n * timedelta(days=14)
        for _ in range(60):
            row: dict[str, object] = {name: draw.randrange(100) for name in model.NUMBERS}
            row["days_since_previous"] = None
            row["is_returning"] = True
            row |= {"event_timestamp": at, "last_invoice_at": at - timedelta(days=draw.randrange(90))}
            row[model.LABEL] = (row["spend_total"] if outcome_follows == "spend" else draw.randrange(100)) >= 50  # type: ignore[operator]
            rows.append(row)
    return pl.DataFrame(rows)


def test_the_model_finds_what_is_to_be_found_and_nothing_else() -> None:
    found, chance = model.train(training_set("spend")), model.train(training_set("chance"))
    assert found is not None
    assert found.auc > 0.95
    assert chance is not None
    assert 0.35 < chance.auc < 0.65


def test_a_round_is_learned_from_only_when_its_outcome_was_known_before_the_first_round_judged() -> None:
    trained = model.train(training_set("spend"))
    assert trained is not None
    # Judged: rounds 7, 8, 9. Round 7 is 98 days in; rounds 0 to 4 (56 days) were over 30 days later, round 5 (70 days) was not.
    assert (trained.train_rows, trained.test_rows) == (5 * 60, 3 * 60)


def test_a_lookup_is_scored_as_the_same_values_in_a_training_set_are() -> None:
    data = training_set("spend")
    trained = model.train(data)
    assert trained is not None
    at = data["event_timestamp"][0]
    first = data.filter(pl.col("event_timestamp") == at)
    rich, poor = first["spend_total"].arg_max(), first["spend_total"].arg_min()
    assert rich is not None
    assert poor is not None
    scores = trained.score({name: first[name].to_list() for name in first.columns}, at)
    assert scores[rich] > 0.9 > 0.1 > scores[poor]
    unknown: dict[str, list[object]] = {name: [None] for name in (*model.NUMBERS, "last_invoice_at")}
    assert 0.0 <= trained.score(unknown, at)[0] <= 1.0


def test_too_few_data_give_no_model() -> None:
    data = training_set("spend")
    assert model.train(data.head(0)) is None
    assert model.train(data.head(60)) is None
    small = data.filter(pl.int_range(pl.len()).over("event_timestamp") < 30)
    assert small.height == 300
    assert model.train(small) is None  # three rounds judged, but 90 rows
    assert model.train(data.with_columns(pl.lit(True).alias(model.LABEL))) is None

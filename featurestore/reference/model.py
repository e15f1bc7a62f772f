"""The demo's model: does a customer buy again within 30 days? Trained on historical features, it scores online ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

HORIZON = timedelta(days=30)
"""How far ahead the model looks."""
ACTIVE_WITHIN = timedelta(days=90)
"""Only customers with an order that recent are asked about."""
FIRST_AFTER = timedelta(days=60)
"""History wanted before the first question."""
EVERY = timedelta(days=14)
"""Time from one round of questions to the next."""
TEST_SHARE = 0.3
"""Share of the rounds, the latest ones, that the model is judged on."""

FEWEST_ROWS = 100
"""Rows that each part, the one learned from and the one judged on, must have."""

SERVICE = "repurchase_v1"
"""The feature service the model reads."""
LABEL = "bought_again"
NUMBERS = (
    "day_orders", "day_cancellations", "day_lines", "day_pieces", "day_spend", "day_mean_price", "orders_total", "lines_total",
    "spend_total", "mean_basket", "cancelled_share", "active_days", "days_since_first", "days_since_previous", "is_returning",
)  # fmt: skip
"""The service's features that the model takes as they are. From last_invoice_at it derives the days since then."""


def questions(order_lines: pl.LazyFrame, end: datetime) -> pl.DataFrame:
    """Training rows: customer_id (int64), event_timestamp (UTC), `bought_again` (whether an order came in (t, t + 30 days]).

    `order_lines` is the prepared table, complete up to `end`. Only times with all 30 days of outcome before `end` are used,
    and only customers who ordered in the 90 days before.
    """
    orders = (
        order_lines.filter(pl.col("customer_id").is_not_null() & ~pl.col("is_cancellation"))
        .select("customer_id", pl.col("invoiced_at").alias("ordered_at"))
        .unique()
        .sort("ordered_at")
        .collect()
    )
    if orders.is_empty():
        return _no_questions()
    first = orders["ordered_at"][0].replace(hour=0, minute=0, second=0, microsecond=0) + FIRST_AFTER
    rounds = pl.Series("event_timestamp", _rounds(first, end - HORIZON), dtype=pl.Datetime("us", "UTC"))
    if rounds.is_empty():
        return _no_questions()
    grid = orders.select(pl.col("customer_id").unique().sort()).join(rounds.to_frame(), how="cross").sort("event_timestamp")
    last = orders.with_columns(pl.col("ordered_at").alias("last_at"))
    coming = orders.with_columns(pl.col("ordered_at").alias("next_at"))
    asked = grid.join_asof(
        last, left_on="event_timestamp", right_on="ordered_at", by="customer_id", strategy="backward", check_sortedness=False
    ).join_asof(
        coming, left_on="event_timestamp", right_on="ordered_at", by="customer_id", strategy="forward",
        allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip
    time = pl.col("event_timestamp")
    return (
        asked.filter(pl.col("last_at") > time - ACTIVE_WITHIN)
        .select("customer_id", time, (pl.col("next_at") <= time + HORIZON).fill_null(False).alias(LABEL))
        .sort("event_timestamp", "customer_id")
    )


def _rounds(first: datetime, last: datetime) -> list[datetime]:
    return [first + n * EVERY for n in range((last - first) // EVERY + 1)] if last >= first else []


def _no_questions() -> pl.DataFrame:
    return pl.DataFrame(schema={"customer_id": pl.Int64, "event_timestamp": pl.Datetime("us", "UTC"), LABEL: pl.Boolean})


@dataclass(frozen=True)
class Model:
    """A trained classifier and how it did: `auc` is the area under the ROC curve on rounds later than all it learned from.
    `bought_again` is the share of the test rows with that outcome.
    """

    classifier: Pipeline
    auc: float
    train_rows: int
    test_rows: int
    bought_again: float

    def score(self, features: Mapping[str, Sequence[object]], at: datetime) -> list[float]:
        """The probability to buy again within 30 days of `at`, for each row of features as a lookup returns them."""
        columns = {name: list(features[name]) for name in (*NUMBERS, "last_invoice_at")}
        frame = pl.DataFrame(columns, schema_overrides={"last_invoice_at": pl.Datetime("us", "UTC")}, strict=False)
        inputs = _inputs(frame.with_columns(pl.lit(at).cast(pl.Datetime("us", "UTC")).alias("event_timestamp")))
        return [float(p) for p in self.classifier.predict_proba(inputs)[:, 1]]


def train(training_set: pl.DataFrame) -> Model | None:
    """Learn from the earlier rounds of a training set (questions joined with the service's features), judge on the later ones.

    A round is learned from only if its 30 days were over before the first round judged. Returns None where the data are too few:
    one of the parts has less than FEWEST_ROWS, or but one outcome.
    """
    rounds = training_set["event_timestamp"].unique().sort()
    if len(rounds) < 2:
        return None
    first_test = rounds[min(int(len(rounds) * (1 - TEST_SHARE)), len(rounds) - 1)]
    early = training_set.filter(pl.col("event_timestamp") + HORIZON <= first_test)
    late = training_set.filter(pl.col("event_timestamp") >= first_test)
    if min(early.height, late.height) < FEWEST_ROWS or early[LABEL].n_unique() < 2 or late[LABEL].n_unique() < 2:
        return None
    classifier = make_pipeline(
        FunctionTransformer(_signed_log),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    )
    classifier.fit(_inputs(early), early[LABEL].to_numpy())
    auc = roc_auc_score(late[LABEL].to_numpy(), classifier.predict_proba(_inputs(late))[:, 1])
    return Model(classifier, float(auc), early.height, late.height, float(late[LABEL].to_numpy().mean()))


def _signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts and pounds are spread over orders of magnitude; their logarithms are not."""
    return np.sign(values) * np.log1p(np.abs(values))


def _inputs(frame: pl.DataFrame) -> NDArray[np.float64]:
    """Rows x (NUMBERS, days since the last invoice) as doubles; missing values are NaN."""
    age = (pl.col("event_timestamp") - pl.col("last_invoice_at")).dt.total_seconds() / 86_400
    return frame.select(*(pl.col(name).cast(pl.Float64) for name in NUMBERS), age.alias("age")).to_numpy()

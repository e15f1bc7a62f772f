"""The face: what a Feast user passes, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import featurestore
from featurestore.core.errors import InvalidInputError, UnknownNameError
from tests.shop import FEATURES, write_shop

NOON = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> featurestore.FeatureStore:
    store = featurestore.FeatureStore(write_shop(tmp_path_factory.mktemp("store") / "shop"), as_of=NOON)
    store.apply()
    store.prepare()
    store.materialize(datetime(2026, 1, 1), NOON)
    return store


def service(name: str, view: str = "buyer_day", features: tuple[str, ...] = ()) -> Any:
    """As much of Feast's FeatureService as is looked at."""
    projection = SimpleNamespace(name=view, name_alias=None, features=[SimpleNamespace(name=feature) for feature in features])
    return SimpleNamespace(name=name, feature_view_projections=[projection])


@pytest.mark.parametrize("features", ["scoring_v1", ["buyer_day:spend", "buyer_day:sales"], service("scoring_v1")])
def test_features_by_service_name_references_or_service_object(store: featurestore.FeatureStore, features: Any) -> None:
    entities = pl.DataFrame({"buyer": ["ann"], "event_timestamp": [NOON]})
    assert store.get_historical_features(entities, features).to_polars().select("spend", "sales").row(0) == (8.0, 1)
    assert store.get_online_features(features, [{"buyer": "ann"}]).to_dict() == {"buyer": ["ann"], "spend": [8.0], "sales": [1]}


def test_a_service_object_that_is_not_the_applied_one_is_refused(store: featurestore.FeatureStore) -> None:
    for other in (service("scoring_v1", features=("spend",)), service("scoring_v1", view="other")):
        with pytest.raises(InvalidInputError, match="differs from the applied one; run `featurestore apply`"):
            store.get_online_features(other, [{"buyer": "ann"}])
    with pytest.raises(UnknownNameError, match="did you mean scoring_v1"):
        store.get_online_features(service("scoring_v2"), [{"buyer": "ann"}])


@pytest.mark.parametrize("features", [None, 5, [5], {"buyer_day:spend": 1}])
def test_features_of_another_kind_are_refused(store: featurestore.FeatureStore, features: Any) -> None:
    with pytest.raises(InvalidInputError, match="features is"):
        store.get_online_features(features, [{"buyer": "ann"}])


def test_a_view_that_comes_back_does_not_bring_its_old_rows(tmp_path: Path) -> None:
    project = write_shop(tmp_path / "shop")
    store = featurestore.FeatureStore(project, as_of=NOON)
    store.apply()
    store.prepare()
    store.materialize(datetime(2026, 1, 1), NOON)
    (project / "features.py").write_text(FEATURES.replace("buyer_day", "buyer_day_two").replace("buyer_day_twos", "buyer_days"))
    store.apply()
    (project / "features.py").write_text(FEATURES)
    store.apply()
    assert store.get_online_features(["buyer_day:spend"], [{"buyer": "ann"}]).statuses()["spend"] == ["NOT_FOUND"]

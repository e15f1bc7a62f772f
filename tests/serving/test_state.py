"""Following the project: new catalogs, new generations, and catalogs that cannot be read."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.core.catalog import Catalog, Field
from featurestore.core.clock import fixed_clock
from featurestore.core.errors import CorruptDataError, NotMaterializedError, UnknownNameError
from featurestore.core.types import ValueType
from featurestore.registry.catalog_file import load
from featurestore.serving.state import Project, ServingState
from featurestore.wire.values import column_from_python, column_to_python
from tests.serving.project import CATALOG, NOW, SPEND, Shop

SMALLER = Catalog(CATALOG.project, CATALOG.entities, CATALOG.views, services=())
ONE = {"customer_id": column_from_python([1], ValueType.INT64, "customer_id")}


def test_a_project_without_a_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotMaterializedError, match="run `featurestore apply`"):
        ServingState(Shop(tmp_path).config, fixed_clock(NOW))


def test_a_broken_catalog_at_the_start_is_refused(shop: Shop) -> None:
    shop.config.catalog.write_text("{}")
    with pytest.raises(CorruptDataError, match="run `featurestore apply`"):
        ServingState(shop.config, fixed_clock(NOW))


def test_nothing_is_read_anew_while_the_catalog_stays(shop: Shop) -> None:
    state = ServingState(shop.config, fixed_clock(NOW))
    assert state.current() is state.current()


def test_a_new_catalog_is_followed(shop: Shop) -> None:
    state = ServingState(shop.config, fixed_clock(NOW))
    assert state.current().plans.plan("scoring", False)
    shop.apply(SMALLER)
    with pytest.raises(UnknownNameError, match="scoring"):
        state.current().plans.plan("scoring", False)


def test_a_catalog_replaced_while_it_is_read_is_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    replacements = [CATALOG, SMALLER]

    def load_then_replace(path: Path) -> Catalog:
        loaded = load(path)
        if replacements:
            shop.apply(replacements.pop(0))
        return loaded

    monkeypatch.setattr("featurestore.serving.state.load", load_then_replace)
    state = ServingState(shop.config, fixed_clock(NOW))
    for _ in range(2):
        state.current()
    with pytest.raises(UnknownNameError, match="scoring"):
        state.current().plans.plan("scoring", False)


def test_while_a_new_catalog_is_read_nobody_answers_from_the_old(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow_load(path: Path) -> Catalog:
        reading.set()
        go_on.wait(20)
        return load(path)

    state = ServingState(shop.config, fixed_clock(NOW))
    old = state.current()
    shop.apply(SMALLER)
    monkeypatch.setattr("featurestore.serving.state.load", slow_load)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(state.current)
        assert reading.wait(20)
        others = [threads.submit(state.current) for _ in range(3)]
        done, _ = wait(others, timeout=0.1)
        assert not done
        go_on.set()
        answers = [future.result(20) for future in (first, *others)]
    assert all(answer is answers[0] for answer in answers)
    assert answers[0] is not old


def test_a_lookup_overtaken_by_a_new_catalog_and_generation_is_answered_from_them(shop: Shop) -> None:
    state = ServingState(shop.config, fixed_clock(NOW))
    wider = replace(SPEND, features=(*SPEND.features, Field("more", ValueType.INT64)))
    catalog = replace(CATALOG, views=(wider,), services=())
    tried: list[Project] = []

    def lookup(project: Project) -> list[float]:
        if not tried:
            shop.apply(catalog)
            shop.publish({"spend": [((1,), NOW, {"total": 7.0})]}, catalog)
        tried.append(project)
        selection = project.plans.plan(("spend:total",), False).selection
        return column_to_python(project.lookup.read(selection, ONE).columns[0])

    assert state.answer(lookup) == [7.0]
    assert len(tried) == 2
    shop.publish({"spend": [((1,), NOW, {"total": 8.0})]}, CATALOG)
    with pytest.raises(NotMaterializedError):
        state.answer(lookup)
    assert len(tried) == 3


def test_a_new_generation_is_followed(shop: Shop) -> None:
    state = ServingState(shop.config, fixed_clock(NOW))
    selection = state.current().plans.plan(("spend:total",), False).selection
    before = state.current().lookup.read(selection, ONE)
    shop.publish({"spend": [((1,), NOW, {"total": 7.0})]})
    after = state.current().lookup.read(selection, ONE)
    assert (column_to_python(before.columns[0]), column_to_python(after.columns[0])) == ([2.5], [7.0])
    assert after.generation == before.generation + 1


@pytest.mark.parametrize("harm", ["garbage", "removed"])
def test_a_catalog_that_breaks_later_is_left_aside_and_logged_once(shop: Shop, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    state = ServingState(shop.config, fixed_clock(NOW))
    if harm == "garbage":
        shop.config.catalog.write_bytes(b"\xff{")
    else:
        shop.config.catalog.unlink()
    with caplog.at_level(logging.ERROR, "featurestore.serving"):
        for _ in range(3):
            assert state.current().plans.plan("scoring", False)
    assert len(caplog.records) == 1
    assert "the one before goes on" in caplog.records[0].getMessage()
    shop.apply(SMALLER)
    with pytest.raises(UnknownNameError, match="scoring"):
        state.current().plans.plan("scoring", False)


def test_rows_of_a_views_former_definition_are_not_served_as_the_new(shop: Shop) -> None:
    spend = CATALOG.view("spend")
    changed = type(spend)(spend.name, spend.entities, spend.join_keys, spend.features[:1], spend.ttl, spend.source)
    shop.apply(Catalog(CATALOG.project, CATALOG.entities, (changed,)))
    project = ServingState(shop.config, fixed_clock(NOW)).current()
    with pytest.raises(NotMaterializedError, match=r"spend.*changed"):
        project.lookup.read(project.plans.plan(("spend:total",), False).selection, ONE)

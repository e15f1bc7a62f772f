"""Planning and applying: Feast's registry and the catalog, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import feast
import pytest
from feast.repo_operations import init_repo

from featurestore.core.catalog import Catalog, Table
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import BusyError, CorruptDataError, FeatureStoreError, StoreError
from featurestore.files import exclusive
from featurestore.files.kill import VARIABLE
from featurestore.registry import load_catalog, load_config
from featurestore.registry.apply import apply_changes, plan_changes
from featurestore.registry.changes import Change, FieldChange, compare
from featurestore.registry.definitions import quiet_feast
from tests.registry.conftest import compiled
from tests.registry.test_compile import SPEND, TABLE

Shop = Callable[[str], ProjectConfig]

SERVICE = 'scoring = FeatureService(name="scoring", features=[spend])\n'


def apply(config: ProjectConfig, *tables: Table) -> tuple[Change, ...]:
    definitions, catalog = compiled(config, tables)
    return apply_changes(config, definitions.contents, catalog)


def plan(config: ProjectConfig, *tables: Table) -> tuple[Change, ...]:
    definitions, catalog = compiled(config, tables)
    return plan_changes(config, definitions.contents, catalog)


def names(changes: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    return [(change.kind, change.object, change.name) for change in changes]


def state(config: ProjectConfig) -> dict[str, bytes]:
    """Every file in the data folder but the lock."""
    return {str(p): p.read_bytes() for p in config.data.rglob("*") if p.is_file() and p.name != ".apply.lock"}


def test_the_first_plan_names_everything_and_changes_nothing(shop: Shop) -> None:
    config = shop(SPEND + SERVICE)
    before = state(config)
    assert names(plan(config, TABLE)) == [
        ("created", "data source", "spend_source"),
        ("created", "entity", "customer"),
        ("created", "feature service", "scoring"),
        ("created", "feature view", "spend"),
        ("created", "project", "shop"),
        ("created", "table", "days"),
    ]
    assert state(config) == before


def test_apply_makes_what_plan_said_and_then_nothing_is_left(shop: Shop) -> None:
    config = shop(SPEND + SERVICE)
    assert plan(config, TABLE) == apply(config, TABLE)
    assert plan(config, TABLE) == ()
    before = state(config)
    assert apply(config, TABLE) == ()
    assert state(config) == before
    assert load_catalog(config.catalog) == compiled(config, [TABLE])[1]


def test_changed_fields_are_named_with_both_values(shop: Shop) -> None:
    apply(shop(SPEND + SERVICE))
    changed = SPEND.replace("days=2", "days=3").replace('Field(name="orders", dtype=Int32)', 'Field(name="name", dtype=String)')
    changed = changed.replace('"a": "1"', '"a": "9"').replace("schema=", 'description="new", online=False, schema=')
    config = shop(changed + SERVICE)
    expected = (
        Change(
            "changed",
            "feature service",
            "scoring",
            (FieldChange("view spend", "spend:total, spend:orders", "spend:total, spend:name"),),
        ),
        Change(
            "changed",
            "feature view",
            "spend",
            (
                FieldChange("feature orders", "INT32", ""),
                FieldChange("ttl", "2 days, 0:00:00", "3 days, 0:00:00"),
                FieldChange("online", "True", "False"),
                FieldChange("tag a", "1", "9"),
                FieldChange("feature name", "", "STRING"),
                FieldChange("description", "", "new"),
            ),
        ),
    )
    assert plan(config) == expected
    assert apply(config) == expected
    assert plan(config) == ()


def test_a_service_whose_features_only_change_their_types_is_written_but_not_told(shop: Shop) -> None:
    apply(shop(SPEND + SERVICE))
    config = shop(SPEND.replace("dtype=Int32", "dtype=Int64") + SERVICE)
    expected = (Change("changed", "feature view", "spend", (FieldChange("feature orders", "INT32", "INT64"),)),)
    assert plan(config) == expected
    assert apply(config) == expected
    assert plan(config) == ()
    (projection,) = open_with_feast(config).get_feature_service("scoring").feature_view_projections
    assert {str(field.dtype) for field in projection.features} == {"Float64", "Int64"}


def test_a_changed_service_is_told_by_the_names_it_takes(shop: Shop) -> None:
    apply(shop(SPEND + SERVICE))
    config = shop(SPEND + SERVICE.replace("[spend]", '[spend[["total"]].with_name("s")], tags={"a": "b"}'))
    (change,) = plan(config)
    assert change.fields == (
        FieldChange("view spend", "spend:total, spend:orders", ""),
        FieldChange("view s", "", "spend:total"),
        FieldChange("tag a", "", "b"),
    )


def test_a_long_list_is_told_by_what_differs() -> None:
    many = tuple(f"spend:feature_{n}" for n in range(50))
    (change,) = compare("feature service", {"s": {"view spend": many}}, {"s": {"view spend": (*many[:-1], "spend:new")}})
    assert change.fields == (FieldChange("view spend", "…, spend:feature_49", "…, spend:new"),)


def test_what_is_gone_is_deleted(shop: Shop) -> None:
    apply(shop(SPEND + SERVICE), TABLE)
    config = shop("")
    expected = [("deleted", "feature service", "scoring"), ("deleted", "feature view", "spend"), ("deleted", "table", "days")]
    assert names(plan(config)) == expected
    assert names(apply(config)) == expected
    assert plan(config) == ()
    assert open_with_feast(config).list_feature_views() == []


def test_every_field_of_a_view_reaches_the_registry(shop: Shop) -> None:
    apply(shop(SPEND))
    fields = 'owner="me", org="ads", offline=True, enable_validation=True, description="d", '
    config = shop(SPEND.replace("schema=", fields + "schema="))
    assert {f.name for c in plan(config) for f in c.fields} == {"owner", "org", "offline", "enable_validation", "description"}
    apply(config)
    assert plan(config) == ()
    view = open_with_feast(config).get_feature_view("spend")
    assert (view.owner, view.org, view.offline, view.enable_validation) == ("me", "ads", True, True)


def test_a_view_that_becomes_another_kind_of_view_is_one_change(shop: Shop) -> None:
    apply(shop(SPEND))
    push = 'push = PushSource(name="push", batch_source=spend_source)\n'
    config = shop(push + SPEND.replace("FeatureView(", "StreamFeatureView(").replace("source=spend_source", "source=push"))
    assert names(apply(config)) == [("created", "data source", "push"), ("changed", "stream feature view", "spend")]
    assert plan(config) == ()
    with quiet_feast():
        store = open_with_feast(config)
        assert [view.name for view in store.list_stream_feature_views()] == ["spend"]
        assert store.list_batch_feature_views() == []


def test_the_catalog_alone_is_published_when_the_registry_is_up_to_date(shop: Shop) -> None:
    config = shop(SPEND)
    apply(config)
    registry = config.registry.read_bytes()
    config.catalog.unlink()
    assert names(plan(config)) == [("created", "catalog", "shop")]
    assert names(apply(config)) == [("created", "catalog", "shop")]
    assert load_catalog(config.catalog).view("spend").name == "spend"
    config.catalog.write_text("torn")
    apply(config)
    assert load_catalog(config.catalog).view("spend").name == "spend"
    assert config.registry.read_bytes() == registry


def test_other_projects_in_the_registry_are_left_alone(shop: Shop, tmp_path: Path) -> None:
    apply(shop(SPEND))
    yaml = (tmp_path / "feature_store.yaml").read_text()
    shop("")
    (tmp_path / "feature_store.yaml").write_text(yaml.replace("project: shop", "project: other"))
    apply(load_config(tmp_path))
    shop(SPEND)
    assert [view.name for view in open_with_feast(load_config(tmp_path)).list_feature_views()] == ["spend"]


@pytest.mark.parametrize("garbage", [b"not a registry at all", b"", b"SQLite format 3\x00", b"PK\x03\x04"])
def test_a_registry_that_is_not_one_is_refused_and_left_as_it_is(shop: Shop, garbage: bytes) -> None:
    config = shop(SPEND)
    config.registry.write_bytes(garbage)
    for step in (plan, apply):
        with pytest.raises(CorruptDataError, match=r"registry\.db is not a registry.*featurestore apply"):
            step(config)
    assert config.registry.read_bytes() == garbage
    assert not config.catalog.exists()


def test_a_torn_registry_is_refused(shop: Shop) -> None:
    config = shop(SPEND)
    apply(config)
    whole = config.registry.read_bytes()
    config.registry.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptDataError):
        plan(config)


def test_one_apply_at_a_time(shop: Shop) -> None:
    config = shop(SPEND)
    with exclusive(config.data / ".apply.lock", "apply"), pytest.raises(BusyError, match="apply"):
        apply(config)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; its exit status as `os.waitstatus_to_exitcode` gives it, 3 for one of our errors."""
    child = os.fork()
    if child == 0:
        status = 4
        try:
            work()
            status = 0
        except FeatureStoreError:
            status = 3
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def changed_shop(shop: Shop) -> tuple[ProjectConfig, dict[str, bytes], Callable[[], object], Catalog]:
    """A shop that was applied and then edited: its configuration, its state, the apply to come, and the old catalog."""
    config = shop(SPEND + SERVICE)
    apply(config)
    old = load_catalog(config.catalog)
    shop(SPEND.replace("days=2", "days=3"))
    definitions, catalog = compiled(config)
    return config, state(config), lambda: apply_changes(config, definitions.contents, catalog), old


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("apply.registry_written", [("changed", "feature view", "spend"), ("deleted", "feature service", "scoring")]),
        ("apply.before_catalog", [("changed", "feature view", "spend"), ("deleted", "feature service", "scoring")]),
    ],
)
def test_killed_at_any_point_the_old_catalog_is_served_and_a_rerun_completes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str, left: list[tuple[str, str, str]]
) -> None:
    config, before, work, old = changed_shop(shop)
    monkeypatch.setenv(VARIABLE, point)
    assert in_child(work) == -signal.SIGKILL
    monkeypatch.delenv(VARIABLE)
    assert load_catalog(config.catalog) == old
    if point == "apply.registry_written":
        assert config.registry.read_bytes() == before[str(config.registry)]
    else:
        assert open_with_feast(config).list_feature_services() == []
    assert names(plan(config)) == left
    apply(config)
    assert plan(config) == ()
    assert load_catalog(config.catalog).services == ()
    assert sorted(p.name for p in config.data.iterdir()) == [".apply.lock", "catalog.json", "registry.db", "spend.parquet"]


def test_a_full_disk_leaves_both_as_they_were(shop: Shop) -> None:
    config, before, work, _ = changed_shop(shop)

    def with_little_space() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        with pytest.raises(StoreError, match="free space"):
            work()

    assert in_child(with_little_space) == 0
    assert state(config) == before


def open_with_feast(config: ProjectConfig) -> feast.FeatureStore:
    """Stock Feast on the project's registry; its stores are named but not opened."""
    with quiet_feast():
        repo = feast.RepoConfig(
            project="shop",
            provider="local",
            registry=str(config.registry),
            online_store=None,
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
            repo_path=config.root,
        )
        return feast.FeatureStore(config=repo)


def test_an_unmodified_repository_of_feast_is_applied_and_stock_feast_agrees(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), quiet_feast():
        init_repo("stock", "local")  # what `feast init -t local stock` does, without starting Feast once more
    root = tmp_path / "stock" / "feature_repo"
    config = load_config(root)
    assert "stock Feast" in config.notice
    apply(config)
    catalog = load_catalog(config.catalog)
    assert [view.name for view in catalog.views] == ["driver_hourly_stats", "driver_hourly_stats_fresh", "driver_quality_labels"]
    assert [service.name for service in catalog.services] == ["driver_activity_v1", "driver_activity_v2", "driver_activity_v3"]
    assert plan(config) == ()
    assert not list(root.rglob("online_store*"))
    with quiet_feast():
        store = feast.FeatureStore(repo_path=str(root))
        assert sorted(v.name for v in store.list_feature_views()) == ["driver_hourly_stats", "driver_hourly_stats_fresh"]
        assert [v.name for v in store.list_label_views()] == ["driver_quality_labels"]
        assert sorted(v.name for v in store.list_on_demand_feature_views()) == [
            "transformed_conv_rate",
            "transformed_conv_rate_fresh",
        ]
        assert len(store.get_feature_service("driver_activity_v1").feature_view_projections) == 2
        contents = compiled(config)[0].contents
        stock_diff, _, _ = store.plan(contents)
    assert "No changes" in stock_diff.to_string()

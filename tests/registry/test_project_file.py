"""feature_store.yaml, ours and stock Feast's."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.core.errors import ConfigError
from featurestore.registry import load_config


def write(root: Path, text: str) -> Path:
    (root / "feature_store.yaml").write_text(text)
    return root


OURS = "project: shop\nregistry: data/registry.db\noffline_store: {type: featurestore.feast_plugin.DeltaOfflineStore}\n"


def test_our_configuration_needs_no_notice(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, OURS + "online_store: {type: featurestore.feast_plugin.LmdbOnlineStore, path: kept/online}\n")
    )
    assert (config.project, config.root) == ("shop", tmp_path)
    assert config.registry == tmp_path / "data" / "registry.db"
    assert config.online == tmp_path / "kept" / "online"
    assert config.notice == ""


def test_the_online_path_has_a_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, OURS + "online_store: featurestore.feast_plugin.LmdbOnlineStore\n"))
    assert config.online == tmp_path / "data" / "online"


@pytest.mark.parametrize(
    ("section", "online"),
    [
        ("", "data/online.lmdb"),
        ("online_store: sqlite\n", "data/online.lmdb"),
        ("online_store: {type: sqlite, path: data/online_store.db}\n", "data/online_store.lmdb"),
        ("online_store: {path: elsewhere/o.db}\n", "elsewhere/o.lmdb"),
    ],
)
def test_a_stock_online_store_becomes_lmdb_beside_its_path_and_says_so(tmp_path: Path, section: str, online: str) -> None:
    config = load_config(write(tmp_path, OURS + section))
    assert config.online == tmp_path / online
    assert online in config.notice
    assert "sqlite" in config.notice


@pytest.mark.parametrize("kind", ["", "offline_store: file\n", "offline_store: {type: dask}\n", "offline_store: {type: duckdb}\n"])
def test_a_stock_offline_store_is_read_by_our_engine_and_says_so(tmp_path: Path, kind: str) -> None:
    assert "DuckDB" in load_config(write(tmp_path, "project: p\nregistry: r.db\n" + kind)).notice


def test_the_registry_may_be_written_as_a_section_and_absolute(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, f"project: p\nregistry: {{registry_type: file, path: {tmp_path}/kept/r.db}}\n"))
    assert config.registry == tmp_path / "kept" / "r.db"
    assert config.data == tmp_path / "kept"


def test_environment_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_NAME", "corner_shop")
    assert load_config(write(tmp_path, "project: $SHOP_NAME\nregistry: r.db\n")).project == "corner_shop"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("project: p\nregistry: r.db\nonline_store: {type: redis}\n", "redis.*LmdbOnlineStore.*sqlite"),
        (
            "project: p\nregistry: r.db\nonline_store: {type: featurestore.feast_plugin.RedisOnlineStore}\n",
            "RedisOnlineStore.*sqlite",
        ),
        ("project: p\nregistry: r.db\nonline_store: {type: sqlite, path: 3}\n", "path 3"),
        ("project: p\nregistry: r.db\nonline_store: [sqlite]\n", "online_store"),
        ("project: p\nregistry: r.db\noffline_store: bigquery\n", "bigquery.*DeltaOfflineStore.*dask or duckdb"),
        ("project: p\nregistry: r.db\nprovider: gcp\n", "gcp.*local"),
        ("project: p\nregistry: s3://bucket/r.db\n", "s3://bucket/r.db.*local file"),
        ("project: p\nregistry: {registry_type: sql, path: 'sqlite://'}\n", "sql.*local file"),
        ("project: p\nregistry: {registry_store_type: S3RegistryStore, path: r.db}\n", "S3RegistryStore.*local file"),
        ("project: p\nregistry: {path: ''}\n", "registry"),
        ("project: p\n", "registry.*data/registry.db"),
        ("registry: r.db\n", "project: NAME"),
        ("project: _p\nregistry: r.db\n", "_p"),
        ("project: 7 p\nregistry: r.db\n", "7 p"),
        ("project: [p\n", "not YAML.*line 2"),
        ("", "no keys"),
        ("just words\n", "no keys"),
    ],
)
def test_what_is_not_supported_is_refused_with_the_choices(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(write(tmp_path, text))


def test_a_folder_without_the_file_names_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="featurestore init"):
        load_config(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_bytes(b"project: \xff\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path)

"""feature_store.yaml, Feast's own file, read into a `ProjectConfig` without importing Feast."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from featurestore.core.config import ProjectConfig
from featurestore.core.errors import ConfigError

FILE_NAME = "feature_store.yaml"

_LMDB = "featurestore.feast_plugin.LmdbOnlineStore"
_DELTA = "featurestore.feast_plugin.DeltaOfflineStore"
_STOCK_ONLINE = frozenset({"sqlite", "feast.infra.online_stores.sqlite.SqliteOnlineStore"})
_STOCK_OFFLINE = {
    "file": "file",
    "dask": "dask",
    "duckdb": "duckdb",
    "feast.infra.offline_stores.dask.DaskOfflineStore": "dask",
    "feast.infra.offline_stores.duckdb.DuckDBOfflineStore": "duckdb",
}
_DEFAULT_LMDB_PATH = "data/online"
_DEFAULT_SQLITE_PATH = "data/online.db"


def load_config(root: Path) -> ProjectConfig:
    """Read `root`/feature_store.yaml: ours, or a stock Feast one that our embedded engines can stand in for.

    Environment variables in the file are expanded, as Feast does. Relative paths are under `root`.

    Raises:
        ConfigError: the file is missing or malformed, or asks for a store, registry or provider that is not supported.
    """
    root = root.resolve()
    document = _read(root / FILE_NAME)
    provider = document.get("provider", "local")
    if provider != "local":
        raise ConfigError(f"{FILE_NAME} asks for provider {provider!r}", "only `provider: local` works")
    registry = _registry(document, root)
    offline_notice = _offline_notice(document)
    online, online_notice = _online(document, root)
    parts = [part for part in (offline_notice, online_notice) if part]
    notice = f"this is a stock Feast configuration: {' and '.join(parts)}" if parts else ""
    return ProjectConfig(root=root, project=_project(document), registry=registry, online=online, notice=notice)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {FILE_NAME} in {path.parent}",
            "name the project's folder with --chdir, or make a project with `featurestore init DIR`",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", "make it a readable text file in UTF-8") from error
    try:
        document = yaml.safe_load(os.path.expandvars(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", "mend it at the place named") from error
    if not isinstance(document, Mapping):
        raise ConfigError(f"{path} holds no keys", "start it with `project: NAME` and `registry: data/registry.db`")
    return document


def _project(document: Mapping[str, Any]) -> str:
    name = document.get("project")
    if name is None:
        raise ConfigError(f"{FILE_NAME} names no project", "add `project: NAME`")
    if not isinstance(name, str) or not re.fullmatch(r"[^\W_][\w-]*", name):
        raise ConfigError(
            f"{FILE_NAME} has the project name {name!r}",
            "use letters, digits, underscores and hyphens, the first being a letter or a digit",
        )
    return name


def _registry(document: Mapping[str, Any], root: Path) -> Path:
    given = document.get("registry")
    what_works = "only a local file works, such as `registry: data/registry.db`"
    if given is None:
        raise ConfigError(f"{FILE_NAME} names no registry", "add `registry: data/registry.db`")
    if isinstance(given, Mapping):
        kind = given.get("registry_type", "file")
        if kind != "file" or given.get("registry_store_type") not in (None, "FileRegistryStore"):
            raise ConfigError(f"{FILE_NAME} asks for registry type {given.get('registry_store_type') or kind!r}", what_works)
        given = given.get("path")
    if not isinstance(given, str) or not given:
        raise ConfigError(f"{FILE_NAME} has the registry {given!r}", what_works)
    if "://" in given:
        raise ConfigError(f"{FILE_NAME} keeps the registry at {given}", what_works)
    return root / given


def _store(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A store's section as a mapping; Feast lets a bare name stand for `{type: name}`."""
    given = document.get(key)
    if given is None:
        return {}
    if isinstance(given, str):
        return {"type": given}
    if isinstance(given, Mapping):
        return given
    raise ConfigError(f"{FILE_NAME} has {key}: {given!r}", f"write `{key}: {{type: ...}}`")


def _offline_notice(document: Mapping[str, Any]) -> str:
    kind = _store(document, "offline_store").get("type", "dask")
    if kind == _DELTA:
        return ""
    if kind not in _STOCK_OFFLINE:
        raise ConfigError(f"{FILE_NAME} asks for offline store {kind!r}", f"use {_DELTA}, or Feast's file, dask or duckdb")
    return f"DuckDB joins its Parquet and Delta sources in place of Feast's {_STOCK_OFFLINE[kind]} store"


def _online(document: Mapping[str, Any], root: Path) -> tuple[Path, str]:
    store = _store(document, "online_store")
    kind = store.get("type", "sqlite")
    ours = kind == _LMDB
    if not ours and kind not in _STOCK_ONLINE:
        raise ConfigError(f"{FILE_NAME} asks for online store {kind!r}", f"use {_LMDB}, or Feast's sqlite (kept in LMDB beside it)")
    path = store.get("path", _DEFAULT_LMDB_PATH if ours else _DEFAULT_SQLITE_PATH)
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{FILE_NAME} has the online store's path {path!r}", f"write `path: {_DEFAULT_LMDB_PATH}`")
    if ours:
        return root / path, ""
    beside = Path(path).with_suffix(".lmdb")
    return root / beside, f"online values are kept in LMDB at {beside} in place of sqlite at {path}"

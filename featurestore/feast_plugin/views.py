"""From the views Feast hands to a store to the views of our catalog."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from feast import RepoConfig

from featurestore.core.catalog import Catalog, Field, View
from featurestore.core.errors import CorruptDataError
from featurestore.registry import load_catalog
from featurestore.registry.compile import compile_view


def root_of(config: RepoConfig) -> Path:
    """The project's folder, which relative paths are under."""
    return Path(config.repo_path or ".").resolve()


def stored_view(config: RepoConfig, feature_view: Any) -> View:
    """The catalog's view for Feast's, which knows the order of features and the width of keys that rows are stored with.

    Where Feast's registry is ahead of the catalog (`feast apply` ran alone), or there is no catalog, it is compiled from Feast's
    object, with the features in the order of their names: Feast's registry keeps no order for some kinds of view.

    Raises:
        DefinitionError: the view has another kind of source than Parquet or Delta, or is computed.
    """
    compiled = compile_view(feature_view)
    catalog = published_catalog(config)
    known = next((view for view in catalog.views if view.name == compiled.name), None) if catalog else None
    if (
        known is not None
        and _names(known.join_keys) == _names(compiled.join_keys)
        and set(known.features) == set(compiled.features)
    ):
        return replace(compiled, join_keys=known.join_keys, features=known.features)
    return replace(compiled, features=tuple(sorted(compiled.features, key=lambda field: field.name)))


def published_catalog(config: RepoConfig) -> Catalog | None:
    """The catalog beside Feast's registry; None if there is none that can be read, for Feast's own objects can stand in for it."""
    path = root_of(config) / Path(str(config.registry.path)).parent / "catalog.json"
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _loaded(path, found.st_mtime_ns, found.st_ino)


def _names(fields: tuple[Field, ...]) -> list[str]:
    return [field.name for field in fields]


@lru_cache(maxsize=8)
def _loaded(path: Path, modified: int, inode: int) -> Catalog | None:
    try:
        return load_catalog(path)
    except CorruptDataError:
        return None

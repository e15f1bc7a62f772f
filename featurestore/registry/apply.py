"""`plan` and `apply`: the difference between the definitions and what is registered, and the steps that make it vanish."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast.feature_view import DUMMY_ENTITY_NAME
from feast.infra.registry.registry import Registry
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryMessage
from feast.repo_config import RegistryConfig
from feast.repo_contents import RepoContents

from featurestore.core.catalog import Catalog
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import CorruptDataError, NotMaterializedError, StoreError
from featurestore.files import exclusive, kill_point, write_whole
from featurestore.registry import catalog_file
from featurestore.registry.changes import Change, compare, compare_catalogs, merge
from featurestore.registry.schemas import feast_refusals

_UNSAID = frozenset({"project", "meta", "data_source_class_type", "body"})
"""Fields of Feast's messages that say nothing about a definition: times, bookkeeping, and functions pickled by value."""


@dataclass(frozen=True)
class _Kind:
    """One kind of Feast object: its name in Feast's words, its list in the registry's message, how it is put there and removed."""

    name: str
    listed: str
    put: str
    delete: str


_KINDS = (
    _Kind("project", "projects", "apply_project", ""),
    _Kind("data source", "data_sources", "apply_data_source", "delete_data_source"),
    _Kind("feature view", "feature_views", "apply_feature_view", "delete_feature_view"),
    _Kind("on demand feature view", "on_demand_feature_views", "apply_feature_view", "delete_feature_view"),
    _Kind("stream feature view", "stream_feature_views", "apply_feature_view", "delete_feature_view"),
    _Kind("label view", "label_views", "apply_feature_view", "delete_feature_view"),
    _Kind("entity", "entities", "apply_entity", "delete_entity"),
    _Kind("feature service", "feature_services", "apply_feature_service", "delete_feature_service"),
    _Kind("permission", "permissions", "apply_permission", "delete_permission"),
)
"""In the order in which Feast applies them."""


def plan_changes(config: ProjectConfig, contents: RepoContents, catalog: Catalog) -> tuple[Change, ...]:
    """What `apply_changes` would do, and nothing done. `contents` must be complete (see `compile.compile_project`).

    Raises:
        CorruptDataError: the registry file is not one.
        StoreError: the registry file cannot be read.
    """
    return _changes(_registry_changes(_read_registry(config.registry), config.project, contents), _catalog(config), catalog)


def apply_changes(config: ProjectConfig, contents: RepoContents, catalog: Catalog) -> tuple[Change, ...]:
    """Register `contents` in Feast's registry, then publish `catalog`; both are replaced whole. Returns what changed.

    The registry is written by Feast's own code, on a copy. Killed at any point, either both are old, or the registry is new and
    the next apply publishes the catalog. No online table of Feast's own stores is made: `feast apply` does that.

    Raises:
        DefinitionError: Feast refuses a definition.
        CorruptDataError: the registry file is not one; it is left as it is.
        StoreError: the disk is full, or the folder cannot be written.
        BusyError: another apply is at work.
    """
    with exclusive(config.data / ".apply.lock", "apply"):
        registered = _registry_changes(_read_registry(config.registry), config.project, contents)
        published = _catalog(config)
        if registered:
            _write_registry(config, contents, registered)
        kill_point("apply.before_catalog")
        if published is None or published.digest != catalog.digest:
            catalog_file.save(config.catalog, catalog)
        return _changes(registered, published, catalog)


def _catalog(config: ProjectConfig) -> Catalog | None:
    """The published catalog; None where there is none that can be read, for apply writes it anew."""
    try:
        return catalog_file.load(config.catalog)
    except (NotMaterializedError, CorruptDataError):
        return None


def _changes(registered: Sequence[Change], published: Catalog | None, catalog: Catalog) -> tuple[Change, ...]:
    before = published or Catalog(catalog.project)
    compiled = compare_catalogs(before, catalog)
    if published is None:
        # What the registry has already is not created by publishing a catalog of it.
        new = {change.name for change in registered if change.kind == "created"}
        compiled = [change for change in compiled if change.name in new or change.object == "table"]
    changes = merge(registered, compiled)
    if not changes and (published is None or published.digest != catalog.digest):
        return (Change("created" if published is None else "changed", "catalog", catalog.project),)
    return changes


def _read_registry(path: Path) -> Any:
    """Feast's registry message; an empty one where there is no file."""
    remedy = "restore it from a copy, or move it away and run `featurestore apply` to write a new one"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return RegistryMessage()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}", "give this user the right to read it") from error
    try:
        message = RegistryMessage.FromString(data)
    # Protobuf's DecodeError; its package is not imported in this room.
    except Exception as error:
        raise CorruptDataError(f"{path} is not a registry of Feast's ({error})", remedy) from error
    if not message.registry_schema_version:
        raise CorruptDataError(f"{path} is not a registry of Feast's (it has no version)", remedy)
    return message


def _registry_changes(message: Any, project: str, contents: RepoContents) -> list[Change]:
    changes = []
    for kind in _KINDS:
        before = {_spec(item).name: _plain(_spec(item)) for item in getattr(message, kind.listed) if _belongs(item, project)}
        after = {item.name: _plain(_spec(item.to_proto())) for item in _declared(contents, kind)}
        changes += [change for change in compare(kind.name, before, after) if change.name != DUMMY_ENTITY_NAME]
    return changes


def _declared(contents: RepoContents, kind: _Kind) -> list[Any]:
    return list(getattr(contents, kind.listed))


def _spec(message: Any) -> Any:
    """The part of a registered object that holds its definition: data sources keep it at the top."""
    return message.spec if hasattr(message, "spec") else message


def _belongs(message: Any, project: str) -> bool:
    """Whether a registered object is this project's: one registry may hold several."""
    spec = _spec(message)
    return bool((spec.project if hasattr(spec, "project") else spec.name) == project)


def _plain(message: Any) -> dict[str, Any]:
    """A message as plain values, without what says nothing; repeated messages in one order, for Feast writes some from a set."""
    return {field.name: _plain_value(value) for field, value in message.ListFields() if field.name not in _UNSAID}


def _plain_value(value: Any) -> Any:
    if hasattr(value, "ListFields"):
        return str(value.ToTimedelta()) if hasattr(value, "ToTimedelta") else _plain(value)
    if isinstance(value, Mapping):
        return {key: _plain_value(value[key]) for key in sorted(value)}
    if isinstance(value, (str, bytes, int, float)):
        return value
    return sorted((_plain_value(item) for item in value), key=repr)


def _write_registry(config: ProjectConfig, contents: RepoContents, changes: Sequence[Change]) -> None:
    """Make `changes` on a copy of the registry beside it, and replace the registry by what Feast made of it.

    The copy itself is never put in place: on a full disk Feast writes part of a file without a word.
    """
    copy = config.registry.with_name(f".{config.registry.name}.new")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        if config.registry.exists():
            shutil.copyfile(config.registry, copy)
        with feast_refusals():
            message = _write_changes(copy, config.project, contents, changes)
    except OSError as error:
        raise _unwritten(config.registry, error) from error
    finally:
        copy.unlink(missing_ok=True)
    kill_point("apply.registry_written")
    write_whole(config.registry, message.SerializeToString())


def _unwritten(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror or error}", "free space or rights there, then run again")


def _write_changes(path: Path, project: str, contents: RepoContents, changes: Sequence[Change]) -> Any:
    """Make `changes` in the registry file at `path`; gives the registry's message as it is then."""
    registry = Registry(project, RegistryConfig(registry_type="file", path=str(path)), None)
    for kind in _KINDS:
        for change in changes:
            if change.object == kind.name and change.kind == "deleted" and kind.delete:
                getattr(registry, kind.delete)(change.name, project, commit=False)
    for kind in _KINDS:
        wanted = {change.name for change in changes if change.object == kind.name and change.kind != "deleted"}
        for item in _declared(contents, kind):
            if item.name in wanted:
                arguments = (item,) if kind.name == "project" else (item, project)
                getattr(registry, kind.put)(*arguments, commit=False)
                _settle(registry.cached_registry_proto, kind, item, project)
    # Feast keeps one entity for all views without entities, in every project.
    registry.apply_entity(next(entity for entity in contents.entities if entity.name == DUMMY_ENTITY_NAME), project, commit=False)
    try:
        registry.commit()
    except OSError as error:
        raise _unwritten(path, error) from error
    return registry.cached_registry_proto


def _settle(message: Any, kind: _Kind, item: Any, project: str) -> None:
    """Copy the whole definition over the stored one: Feast's update in place leaves some fields of a view as they were."""
    for stored in getattr(message, kind.listed):
        if _belongs(stored, project) and _spec(stored).name == item.name and hasattr(stored, "spec"):
            stored.spec.CopyFrom(item.to_proto().spec)
            if hasattr(stored.spec, "project"):
                stored.spec.project = project

"""Feast's definition objects compiled to the catalog; never from a round trip through Feast's registry, which forgets some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from feast import FileSource
from feast.data_format import DeltaFormat
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_NAME
from feast.repo_contents import RepoContents
from feast.value_type import ValueType as FeastType

from featurestore.core.catalog import Catalog, Entity, Field, OnDemandView, Projection, Service, Source, Table, View
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import DefinitionError
from featurestore.core.types import ValueType
from featurestore.registry.schemas import all_views, complete, file_source

_BYTES_BY_ANOTHER_NAME = frozenset({"PDF_BYTES", "IMAGE_BYTES"})
_MICROSECOND = timedelta(microseconds=1)
_INTEGERS = frozenset({ValueType.INT32, ValueType.INT64})


def compile_project(config: ProjectConfig, contents: RepoContents, tables: Sequence[Table]) -> Catalog:
    """Complete the definitions from their sources (in place) and compile them.

    Raises:
        DefinitionError: the definitions contradict themselves or their sources, or ask for what is not computed yet.
        CorruptDataError: a source's file is not what its format says.
    """
    complete(config, contents, tables)
    return compile_catalog(config.project, contents, tables)


def compile_catalog(project: str, contents: RepoContents, tables: Sequence[Table]) -> Catalog:
    """The catalog of definitions that are complete: schemas inferred, services resolved. Objects come in the order of names.

    Raises:
        DefinitionError: as `compile_view`; or one entity's join key has types that do not go together.
    """
    views = [compile_view(view) for view in all_views(contents)]
    entities = [_entity(entity, views) for entity in contents.entities if entity.name != DUMMY_ENTITY_NAME]
    views = [_with_key_types(view, entities) for view in views]
    on_demand = [OnDemandView(view.name, _fields(view, view.features)) for view in contents.on_demand_feature_views]
    names, computed = {view.name for view in views}, {view.name for view in on_demand}
    services = [_service(service, names, computed) for service in contents.feature_services]
    return Catalog(
        project=project,
        entities=tuple(sorted(entities, key=_name)),
        views=tuple(sorted(views, key=_name)),
        on_demand_views=tuple(sorted(on_demand, key=_name)),
        services=tuple(sorted(services, key=_name)),
        tables=tuple(sorted(tables, key=_name)),
    )


def compile_view(view: Any) -> View:
    """One view with a complete schema. Join keys come in the order of their names, as Feast's own stores order them.

    Raises:
        DefinitionError: the view is computed rather than read, its source is of another kind than Parquet or Delta, it is pinned
            to a version, its ttl is negative, or a type is not one of ours.
    """
    source = file_source(view)
    if getattr(view, "version", "latest") not in ("", "latest"):
        raise DefinitionError(f"view {view.name} is pinned to version {view.version}", 'leave out `version`, or write "latest"')
    keys = [field for field in view.entity_columns if field.name != DUMMY_ENTITY_ID]
    return View(
        name=view.name,
        entities=tuple(name for name in view.entities if name != DUMMY_ENTITY_NAME),
        join_keys=tuple(sorted(_fields(view, keys), key=_name)),
        features=_fields(view, view.features),
        ttl=_ttl(view),
        source=compile_source(source),
        # A view that is switched off is served as little as one that is not online.
        online=bool(view.online and getattr(view, "enabled", True)),
        tags=tuple(sorted(view.tags.items())),
    )


def compile_source(source: FileSource) -> Source:
    """A source that `schemas.readable_source` let pass."""
    return Source(
        name=source.name,
        format="delta" if isinstance(source.file_format, DeltaFormat) else "parquet",
        path=source.path,
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column or None,
        field_mapping=tuple(sorted(source.field_mapping.items())),
    )


def value_type(what: str, kind: FeastType) -> ValueType:
    """Our type for Feast's: the number is the same. `what` names the column in the message.

    Raises:
        DefinitionError: Feast's type is none of ours.
    """
    if kind.name in _BYTES_BY_ANOTHER_NAME:
        return ValueType.BYTES
    try:
        return ValueType(kind.value)
    except ValueError:
        raise DefinitionError(f"{what} has the type {kind.name}", f"use one of {', '.join(t.name for t in ValueType)}") from None


def _name(item: Any) -> str:
    return str(item.name)


def _fields(view: Any, fields: Sequence[Any]) -> tuple[Field, ...]:
    return tuple(Field(f.name, value_type(f"view {view.name}: {f.name}", f.dtype.to_value_type())) for f in fields)


def _ttl(view: Any) -> int | None:
    """Microseconds; Feast writes no limit as None or as zero."""
    if not view.ttl:
        return None
    if view.ttl < timedelta():
        raise DefinitionError(f"view {view.name} has the negative ttl {view.ttl}", "leave it out for no limit")
    return int(view.ttl // _MICROSECOND)


def _entity(entity: Any, views: Sequence[View]) -> Entity:
    if entity.value_type != FeastType.UNKNOWN:
        return Entity(entity.name, entity.join_key, value_type(f"entity {entity.name}", entity.value_type))
    kinds = {key.dtype for view in views if entity.name in view.entities for key in view.join_keys if key.name == entity.join_key}
    if kinds <= _INTEGERS and kinds:
        return Entity(entity.name, entity.join_key, max(kinds))
    if len(kinds) > 1:
        raise DefinitionError(
            f"join key {entity.join_key} of entity {entity.name} is {' and '.join(sorted(k.name for k in kinds))} in its views",
            "give the entity a value_type, and the columns that type",
        )
    # No view uses it: Feast, too, takes a key that nothing tells the type of for a string.
    return Entity(entity.name, entity.join_key, next(iter(kinds), ValueType.STRING))


def _with_key_types(view: View, entities: Sequence[Entity]) -> View:
    """The view with its integer keys as wide as their entity's: one entity must have one key in every view."""
    wide = {entity.join_key for entity in entities if entity.name in view.entities and entity.dtype == ValueType.INT64}
    keys = tuple(
        replace(key, dtype=ValueType.INT64) if key.name in wide and key.dtype in _INTEGERS else key for key in view.join_keys
    )
    return view if keys == view.join_keys else replace(view, join_keys=keys)


def _service(service: Any, views: set[str], computed: set[str]) -> Service:
    projections, on_demand = [], []
    for projection in service.feature_view_projections:
        if projection.version_tag is not None:
            raise DefinitionError(f"feature service {service.name} pins a version of {projection.name}", "leave the version out")
        if projection.name in computed:
            on_demand.append(projection.name)
        elif projection.name in views:
            features = tuple(field.name for field in projection.features)
            renamed = tuple(sorted(projection.join_key_map.items()))
            projections.append(Projection(projection.name, features, projection.name_alias or None, renamed))
        else:
            raise DefinitionError(
                f"feature service {service.name} uses the view {projection.name}, which no module defines",
                "assign the view to a name of a module",
            )
    return Service(service.name, tuple(projections), tuple(on_demand), tuple(sorted(service.tags.items())))

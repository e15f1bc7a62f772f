"""Views completed from the columns of their sources: a prepared table tells its columns before it was ever published."""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from feast import BatchFeatureView, Entity, FeatureView, Field, FileSource, RepoConfig, StreamFeatureView
from feast.data_format import DeltaFormat, ParquetFormat
from feast.feature_view import DUMMY_ENTITY_FIELD, DUMMY_ENTITY_NAME
from feast.field import from_value_type
from feast.inference import (
    update_data_sources_with_inferred_event_timestamp_col,
    update_feature_views_with_inferred_features_and_entities,
)
from feast.infra.registry.registry import Registry
from feast.labeling.label_view import LabelView
from feast.repo_contents import RepoContents
from feast.type_map import pa_to_feast_value_type
from feast.types import String
from feast.value_type import ValueType as FeastType

from featurestore.core.catalog import Table
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import CorruptDataError, DefinitionError, FeatureStoreError, nearest
from featurestore.registry.definitions import quiet_feast
from featurestore.registry.feast_sources import TABLE_TAG

Columns = Mapping[str, FeastType]
"""A source's columns under the names the view gives them; UNKNOWN for a type that Feast has no name for."""

_ENTITY_FEATURES = re.compile("^__|__$")
_KEY_WIDENS = {(FeastType.INT32, FeastType.INT64), (FeastType.STRING, FeastType.UUID), (FeastType.JSON, FeastType.STRING)}
"""Column type, declared type: a join key column may be narrower than its declaration, and text may be declared an identifier."""


def complete(config: ProjectConfig, contents: RepoContents, tables: Sequence[Table]) -> None:
    """Fill in, in place, what the definitions leave to inference, and check what they declare against the sources.

    A view without a schema gets its features and join keys from its source: from the table's definition if preparation makes
    it, else from the Parquet or Delta schema. What is left is Feast's own inference.

    Raises:
        DefinitionError: a column does not exist, a join key has another type than its column, a name is given twice, a view
            cannot be computed here, or Feast refuses a definition.
        CorruptDataError: a source's file is not what its format says.
    """
    _check_names(contents)
    entities = {entity.name: entity for entity in contents.entities}
    by_table = {table.name: table for table in tables}
    with feast_refusals():
        for view in all_views(contents):
            source = file_source(view)
            table = _table_of(source, by_table)
            if table is not None and not source.timestamp_field:
                source.timestamp_field = table.timestamp_field
            columns = _table_columns(table, source) if table is not None else _file_columns(source, config.root)
            _complete_view(view, source, columns, [_entity(view, name, entities) for name in view.entities])
        with contextlib.chdir(config.root):
            _infer(config, contents)
        for view in all_views(contents):
            source = file_source(view)
            table = _table_of(source, by_table)
            columns = _table_columns(table, source) if table is not None else _file_columns(source, config.root)
            if columns is not None:
                _check_columns(view, source, columns)


def all_views(contents: RepoContents) -> list[Any]:
    """Every view that has stored features: plain, batch, stream and label views."""
    return [*contents.feature_views, *contents.stream_feature_views, *contents.label_views]


def file_source(view: Any) -> FileSource:
    """The local Parquet or Delta source a view's rows come from.

    Raises:
        DefinitionError: the view is computed rather than read, or its source is of another kind.
    """
    what = f"view {view.name}"
    if isinstance(view, (BatchFeatureView, StreamFeatureView)):
        if view.aggregations:
            raise DefinitionError(f"{what} has aggregations, which are not computed yet", "aggregate in a prepared table instead")
        if view.feature_transformation or view.udf:
            raise DefinitionError(f"{what} has a transformation, which is not run yet", "transform in a prepared table instead")
    if isinstance(view, FeatureView) and view.source_views:
        raise DefinitionError(
            f"{what} is derived from other views, which is not computed yet", "derive it in a prepared table instead"
        )
    return readable_source(what, view.batch_source)


def readable_source(what: str, source: Any) -> FileSource:
    """`source` if it is one that is read here: a FileSource over local Parquet or Delta. `what` has it, for the message.

    Raises:
        DefinitionError: it is another kind of source, or none.
    """
    works = "use a FileSource over local Parquet or Delta, or a prepared table's .source"
    if source is None:
        raise DefinitionError(f"{what} has no batch source", works)
    if not isinstance(source, FileSource):
        raise DefinitionError(f"{what} has the source {source.name} of kind {type(source).__name__}", works)
    if source.file_format is not None and not isinstance(source.file_format, (ParquetFormat, DeltaFormat)):
        raise DefinitionError(f"{what} has the source {source.name} in {type(source.file_format).__name__}", works)
    if "://" in source.path:
        raise DefinitionError(f"{what} has the source {source.name} at {source.path}", works)
    return source


@contextlib.contextmanager
def feast_refusals() -> Iterator[None]:
    """Turn whatever Feast raises about a definition into a DefinitionError, and keep its warnings to itself."""
    try:
        with quiet_feast():
            yield
    except FeatureStoreError:
        raise
    # Feast raises some 540 bare ValueErrors, its own errors, assertions and those of the user's functions that it runs.
    except Exception as error:
        raise DefinitionError(f"Feast refuses the definitions ({type(error).__name__}: {error})", "correct them") from error


def _check_names(contents: RepoContents) -> None:
    groups: tuple[tuple[str, Sequence[Any]], ...] = (
        ("data source", contents.data_sources),
        ("entity", contents.entities),
        ("view", [*all_views(contents), *contents.on_demand_feature_views]),
        ("feature service", contents.feature_services),
    )
    for kind, objects in groups:
        known: dict[str, Any] = {}
        for item in objects:
            # Feast tells names apart without case; and it lets one data source be written down twice.
            other = known.setdefault(item.name.lower(), item)
            if other is not item and not (kind == "data source" and other == item):
                raise DefinitionError(f"two objects of kind {kind} are called {item.name}", "rename one of them")


def _entity(view: Any, name: str, entities: Mapping[str, Entity]) -> Entity:
    if name not in entities:
        raise DefinitionError(
            f"view {view.name} names the entity {name}, which no module defines", f"define it, or use {_offer(name, entities)}"
        )
    return entities[name]


def _offer(name: str, choices: Mapping[str, Any] | Sequence[str]) -> str:
    return " or ".join(nearest(name, [choice for choice in choices if not choice.startswith("__")])) or "a name that exists"


def _table_of(source: FileSource, tables: Mapping[str, Table]) -> Table | None:
    named = tables.get(source.tags.get(TABLE_TAG, ""))
    return named or next((table for table in tables.values() if Path(table.path) == Path(source.path)), None)


def _table_columns(table: Table, source: FileSource) -> Columns:
    return _renamed({field.name: FeastType(int(field.dtype)) for field in table.columns}, source)


def _renamed(columns: Columns, source: FileSource) -> Columns:
    return {source.field_mapping.get(name, name): kind for name, kind in columns.items()}


def _file_columns(source: FileSource, root: Path) -> Columns | None:
    """The columns of the source's files as they are now; None where there is no file yet."""
    path = root / source.path
    remedy = f"write {source.path} anew, or correct the source's path"
    try:
        if isinstance(source.file_format, DeltaFormat):
            if not DeltaTable.is_deltatable(str(path)):
                return None
            schema = pa.schema(DeltaTable(str(path)).schema().to_arrow())
        else:
            first = next(iter(sorted(glob.glob(str(path)))), None)
            if first is None:
                return None
            schema = pq.ParquetDataset(first).schema if Path(first).is_dir() else pq.read_schema(first)
    except (DeltaError, pa.ArrowInvalid, OSError) as error:
        raise CorruptDataError(f"source {source.name}: cannot read the schema of {source.path} ({error})", remedy) from error
    return _renamed({field.name: _feast_type(field.type) for field in schema}, source)


def _feast_type(kind: pa.DataType) -> FeastType:
    """Feast's type for an Arrow type, by Feast's own table (large strings are JSON there), which is made to read more spellings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        text = f"list<item: {_spelling(kind.value_type)}>"
    else:
        text = _spelling(kind)
    try:
        return pa_to_feast_value_type(text)
    except KeyError:
        return FeastType.UNKNOWN


def _spelling(kind: pa.DataType) -> str:
    return {"string_view": "string", "binary_view": "binary", "large_binary": "binary"}.get(str(kind), str(kind))


def _complete_view(view: Any, source: FileSource, columns: Columns | None, entities: Sequence[Entity]) -> None:
    keys = [entity for entity in entities if entity.name != DUMMY_ENTITY_NAME]
    if not keys and not view.entity_columns and isinstance(view, FeatureView):
        view.entity_columns.append(DUMMY_ENTITY_FIELD)
    for entity in keys:
        declared = next((field for field in view.entity_columns if field.name == entity.join_key), None)
        # A label view calls every key without a type a string, whatever its source holds.
        guessed = isinstance(view, LabelView) and entity.value_type == FeastType.UNKNOWN and declared is not None
        if declared is None or (guessed and declared.dtype == String and columns is not None and entity.join_key in columns):
            if declared is not None:
                view.entity_columns.remove(declared)
            view.entity_columns.append(_key_field(view, source, columns, entity))
    if not view.features:
        if columns is None:
            raise DefinitionError(
                f"view {view.name} has no schema and its source {source.name} has no file at {source.path}",
                "give the view a schema, or put the file there",
            )
        hidden = {source.timestamp_field, source.created_timestamp_column, *(entity.join_key for entity in keys)}
        for name, kind in columns.items():
            if name not in hidden and not _ENTITY_FEATURES.search(name):
                view.features.append(_field(view, source, name, kind))


def _key_field(view: Any, source: FileSource, columns: Columns | None, entity: Entity) -> Field:
    if entity.value_type != FeastType.UNKNOWN:
        return Field(name=entity.join_key, dtype=from_value_type(entity.value_type))
    if columns is None:
        raise DefinitionError(
            f"view {view.name}: the type of join key {entity.join_key} is unknown, for there is no file at {source.path}",
            f"give the entity {entity.name} a value_type, or the view's schema a field for it",
        )
    if entity.join_key not in columns:
        raise DefinitionError(
            f"view {view.name}: source {source.name} has no column {entity.join_key}, the join key of entity {entity.name}",
            f"did you mean {_offer(entity.join_key, list(columns))}?",
        )
    kind = columns[entity.join_key]
    # Feast reads large strings as JSON, which is no type for a key.
    return _field(view, source, entity.join_key, FeastType.STRING if kind == FeastType.JSON else kind)


def _field(view: Any, source: FileSource, name: str, kind: FeastType) -> Field:
    if kind in (FeastType.UNKNOWN, FeastType.NULL):
        raise DefinitionError(
            f"view {view.name}: the column {name} of source {source.name} is of a type that no feature can have",
            "give the view a schema that leaves it out, or convert the column",
        )
    return Field(name=name, dtype=from_value_type(kind))


def _infer(config: ProjectConfig, contents: RepoContents) -> None:
    """What is left to Feast: unnamed timestamp columns, on-demand views, and the features of services."""
    repo = RepoConfig(
        project=config.project,
        provider="local",
        registry=str(config.registry),
        online_store=None,
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
        repo_path=config.root,
    )
    update_data_sources_with_inferred_event_timestamp_col([view.batch_source for view in all_views(contents)], repo)
    on_demand = contents.on_demand_feature_views
    update_feature_views_with_inferred_features_and_entities(None, on_demand, contents.entities, repo)
    for view in on_demand:
        view.infer_features()
    views = {view.name: view for view in [*all_views(contents), *on_demand]}
    nothing = Registry(config.project, None, None)
    for service in contents.feature_services:
        for reference in [part for part in service._features if isinstance(part, str)]:
            _check_reference(service.name, reference, views)
        service.resolve_pending_refs(config.project, nothing, fvs_to_update=views)
        service.infer_features(fvs_to_update=views)


def _check_reference(service: str, reference: str, views: Mapping[str, Any]) -> None:
    name = reference.partition(":")[0]
    if "@" in name:
        raise DefinitionError(
            f"feature service {service} asks for {reference}: versions of a view cannot be pinned",
            f"ask for {name.partition('@')[0]}",
        )
    if name not in views:
        raise DefinitionError(f"feature service {service} asks for the unknown view {name}", f"did you mean {_offer(name, views)}?")


def _check_columns(view: Any, source: FileSource, columns: Columns) -> None:
    created = [source.created_timestamp_column] if source.created_timestamp_column else []
    # A timestamp may be named as in the source or, mapped, as in the view.
    stamps = [source.field_mapping.get(name, name) for name in (source.timestamp_field, *created)]
    keys = [field for field in view.entity_columns if field.name != DUMMY_ENTITY_FIELD.name]
    for name in [*stamps, *(field.name for field in keys), *(field.name for field in view.features)]:
        if name not in columns:
            raise DefinitionError(
                f"view {view.name}: source {source.name} has no column {name}", f"did you mean {_offer(name, list(columns))}?"
            )
    for field in keys:
        held, declared = columns[field.name], field.dtype.to_value_type()
        if held not in (declared, FeastType.UNKNOWN) and (held, declared) not in _KEY_WIDENS:
            raise DefinitionError(
                f"view {view.name}: join key {field.name} is declared {declared.name}, its column in {source.name} is {held.name}",
                f"declare it {held.name}, or convert the column",
            )

"""Feast's offline store interface over our joins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.saved_dataset import SavedDatasetStorage

from featurestore.core.catalog import Field, Source
from featurestore.core.clock import to_microseconds
from featurestore.core.errors import InvalidInputError
from featurestore.core.selection import Selection, ViewSelection
from featurestore.feast_plugin.views import published_catalog, root_of, stored_view
from featurestore.offline.engine import connected, literal, quoted, reading
from featurestore.offline.join import point_in_time
from featurestore.offline.latest import latest_columns
from featurestore.offline.scan import open_scan
from featurestore.registry.compile import compile_source
from featurestore.registry.feast_sources import TABLE_TAG
from featurestore.registry.schemas import readable_source
from featurestore.wire.arrow import arrow_type

_ENTITY_TIMESTAMP = "event_timestamp"
_END_OF_TIME = 2**63 - 1


class DeltaOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast is not type-checked
    """The section `offline_store` of feature_store.yaml."""

    type: Literal["featurestore.feast_plugin.DeltaOfflineStore"] = "featurestore.feast_plugin.DeltaOfflineStore"


class ArrowJob(RetrievalJob):  # type: ignore[misc]
    """A retrieval that runs when its result is first asked for."""

    def __init__(
        self,
        run: Callable[[], pa.Table],
        *,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
        root: Path | None = None,
    ) -> None:
        self._run = run
        self._full_feature_names = full_feature_names
        self._on_demand = list(on_demand_feature_views)
        self._metadata = metadata
        self._root = root or Path()

    @property
    def full_feature_names(self) -> bool:
        """Whether names are `view__feature`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """What Feast computes on top of the result."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Which features were asked for, and over which entity rows."""
        return self._metadata

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result, on-demand features included, to a Parquet file.

        Raises:
            InvalidInputError: the storage is no file.
            SavedDatasetLocationAlreadyExists: there is a file, and it may not be overwritten.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise InvalidInputError(f"a data set cannot be saved to {type(storage).__name__}", "use SavedDatasetFileStorage")
        path = self._root / storage.file_options.uri
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=storage.file_options.uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.to_arrow(), path)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._run()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._run().to_pandas()
        return frame


class DeltaOfflineStore(OfflineStore):  # type: ignore[misc]
    """Feast's historical retrieval and materialization, answered by the point-in-time join and the latest rows of ours.

    Feast's own `materialize` reads all rows of the interval and picks the latest itself, unless feature_store.yaml has
    `materialization: {pull_latest_features: true}`; only so are rows of one key and time told apart by our rule.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **options: Any,
    ) -> RetrievalJob:
        """For each entity row the values known at its time; rows out are rows in, in their order.

        `entity_df` is a pandas DataFrame or a DuckDB query over files (paths relative to the project). Its time column is
        `event_timestamp`, or the only timestamp there is.

        Raises:
            InvalidInputError: no entity rows, or they lack a column.
        """
        if entity_df is None:
            raise InvalidInputError(
                "there are no entity rows", "give entity_df; retrieval by a range of dates alone is not supported"
            )
        root = root_of(config)
        stored = {view.projection.name_to_use() for view in feature_views}
        computed = {reference.partition(":")[0] for reference in feature_refs} - stored
        # Feast unpickles what it lists here, so nothing is listed without need.
        on_demand = [view for view in registry.list_on_demand_feature_views(project) if view.name in computed] if computed else []
        selection = _selection(config, feature_views, feature_refs, full_feature_names)
        entities = _query(entity_df, root) if isinstance(entity_df, str) else _from_pandas(entity_df)
        timestamp = _timestamp(entities)
        only_known = bool(options.get("filter_by_created_timestamp", False))
        range_of_times = pc.min_max(entities.column(timestamp))
        keys = [name for name in entities.column_names if name != timestamp]
        return ArrowJob(
            lambda: point_in_time(entities, timestamp, selection, root, filter_by_created_timestamp=only_known),
            full_feature_names=full_feature_names,
            on_demand_feature_views=on_demand,
            metadata=RetrievalMetadata(feature_refs, keys, range_of_times["min"].as_py(), range_of_times["max"].as_py()),
            root=root,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """The latest row of each key with an event time in [start, end], both included."""
        root = root_of(config)
        source = _source(data_source, timestamp_field, created_timestamp_column)
        interval = to_microseconds(start_date), to_microseconds(end_date)

        def run() -> pa.Table:
            table = latest_columns(source, join_key_columns, feature_name_columns, *interval, root).reader.read_all()
            names = [*table.column_names[:-2], timestamp_field]
            found = table.drop_columns(table.column_names[-1]).rename_columns(names)
            if created_timestamp_column:
                found = found.append_column(created_timestamp_column, table.column(table.num_columns - 1))
            return _with_dummy_key(found, join_key_columns)

        return ArrowJob(run, root=root)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """All rows with an event time in [start, end], both included; every column where no feature is named."""
        root = root_of(config)
        source = _source(data_source, timestamp_field, created_timestamp_column)
        start = None if start_date is None else to_microseconds(start_date)
        end = _END_OF_TIME if end_date is None else to_microseconds(end_date)
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        names = list(dict.fromkeys([*join_key_columns, *feature_name_columns, *times]))

        def run() -> pa.Table:
            with connected() as connection:
                scan = open_scan(connection, source, root)
                columns = ", ".join(f"{scan.value(name)} AS {quoted(name)}" for name in names) if feature_name_columns else "*"
                with reading(scan.label):
                    query = f"SELECT {columns} FROM {scan.relation} WHERE {scan.within(start, end)}"
                    return _with_dummy_key(connection.sql(query).to_arrow_table(), join_key_columns)

        return ArrowJob(run, root=root)

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> Iterable[tuple[str, str]]:
        """Names and Arrow types of a source's columns; a prepared table's are known from the catalog before it was ever prepared."""
        catalog = published_catalog(config)
        for table in catalog.tables if catalog else ():
            if data_source.tags.get(TABLE_TAG) == table.name:
                return [(field.name, str(arrow_type(field.dtype))) for field in table.columns]
        columns: Iterable[tuple[str, str]] = super().get_table_column_names_and_types_from_data_source(config, data_source)
        return columns


def _source(data_source: DataSource, timestamp_field: str, created_timestamp_column: str | None) -> Source:
    """Feast names the source's own columns here, so its field mapping has been applied already."""
    source = compile_source(readable_source("the request", data_source))
    return replace(
        source, timestamp_field=timestamp_field, created_timestamp_column=created_timestamp_column or None, field_mapping=()
    )


def _with_dummy_key(table: pa.Table, join_keys: Sequence[str]) -> pa.Table:
    """Feast expects its placeholder column in the rows of a view without entities."""
    if join_keys:
        return table
    return table.append_column(DUMMY_ENTITY_ID, pa.array([DUMMY_ENTITY_VAL] * table.num_rows, pa.string()))


def _selection(config: RepoConfig, feature_views: Sequence[FeatureView], references: Sequence[str], full_names: bool) -> Selection:
    """The stored features among the references, in their order; Feast has added those that on-demand views need."""
    projected = {view.projection.name_to_use(): (view, stored_view(config, view)) for view in feature_views}
    names: list[str] = []
    wanted: dict[str, list[tuple[int, Field]]] = {}
    for reference in dict.fromkeys(references):
        prefix, _, feature = reference.partition(":")
        if prefix in projected:
            wanted.setdefault(prefix, []).append((len(names), projected[prefix][1].feature(feature)))
            names.append(f"{prefix}__{feature}" if full_names else feature)
    parts, keys = [], {}
    for prefix, features in wanted.items():
        feature_view, view = projected[prefix]
        key_names = tuple(feature_view.projection.join_key_map.get(key.name, key.name) for key in view.join_keys)
        keys.update({name: Field(name, key.dtype) for name, key in zip(key_names, view.join_keys, strict=True)})
        parts.append(ViewSelection(view, tuple(f for _, f in features), tuple(place for place, _ in features), key_names))
    return Selection(tuple(names), tuple(parts), tuple(keys.values()))


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InvalidInputError(f"entity_df cannot be read: {error}", "let each column hold values of one type") from error


def _query(sql: str, root: Path) -> pa.Table:
    with connected() as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(f"SET file_search_path = {literal(str(root))}")
        try:
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise InvalidInputError(f"entity_df is no query that DuckDB runs: {error}", "correct it") from error


def _timestamp(entities: pa.Table) -> str:
    if _ENTITY_TIMESTAMP in entities.column_names:
        return _ENTITY_TIMESTAMP
    found: list[str] = [field.name for field in entities.schema if pa.types.is_timestamp(field.type)]
    if len(found) != 1:
        raise InvalidInputError(
            f"entity_df has {len(found)} timestamp columns and none called {_ENTITY_TIMESTAMP}",
            f"call the column of the entity rows' times {_ENTITY_TIMESTAMP}",
        )
    return found[0]

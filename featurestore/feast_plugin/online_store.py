"""Feast's online store interface over the LMDB store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from pydantic import StrictStr

from featurestore.core.catalog import Field, View
from featurestore.core.clock import from_microseconds, to_microseconds
from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.feast_plugin.views import root_of, stored_view
from featurestore.online import NO_CREATED_TIME, RowCodec, encode_keys
from featurestore.online.lmdb import LmdbStore
from featurestore.wire.columns import Column
from featurestore.wire.feast_messages import column_to_value_bytes, values_from_bytes

_NO_TIME = Value(unix_timestamp_val=-(2**63)).SerializeToString()
"""What Feast's materialization makes of a null timestamp: NaT's number, taken for seconds."""

_Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class LmdbOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast is not type-checked
    """The section `online_store` of feature_store.yaml."""

    type: Literal["featurestore.feast_plugin.LmdbOnlineStore"] = "featurestore.feast_plugin.LmdbOnlineStore"
    path: StrictStr = "data/online"
    """The store's folder, relative to the project's."""


class LmdbOnlineStore(OnlineStore):  # type: ignore[misc]
    """Feast reads and writes the same rows as our server.

    Two things are Feast's own: its client does not look at a view's ttl, so it gives values that our server calls
    OUTSIDE_MAX_AGE; and its values carry timestamps in whole seconds, so features of that type written through Feast are cut
    there. Rows written through Feast go in place, and newer wins.
    """

    def __init__(self) -> None:
        self._store: LmdbStore | None = None
        self._codecs: dict[View, RowCodec] = {}

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[_Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write Feast's rows; all of them are durable when this returns. A feature that a row leaves out is null.

        Raises:
            InvalidInputError: a null join key, a missing one, or a value that its declared type cannot hold.
        """
        view = stored_view(config, table)
        if not data:
            return
        # Feast's interface is rows of message objects; turning them into columns costs a Python step a value.
        keys = _key_columns(view, [entity for entity, _, _, _ in data])
        features = [_feature_column(field, [values.get(field.name) for _, values, _, _ in data]) for field in view.features]
        event = np.array([to_microseconds(moment) for _, _, moment, _ in data], dtype=np.int64)
        created = np.array([NO_CREATED_TIME if made is None else to_microseconds(made) for *_, made in data], dtype=np.int64)
        self._open(config).upsert(view, keys, self._codec(view).encode(keys, features, event, created))
        if progress is not None:
            progress(len(data))

    def online_read(
        self, config: RepoConfig, table: FeatureView, entity_keys: list[EntityKey], requested_features: list[str] | None = None
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """For each key its row's event time and values, (None, None) where there is none; expired rows are given too."""
        view = stored_view(config, table)
        if not entity_keys:
            return []
        names = [f.name for f in view.features] if requested_features is None else requested_features
        keys = _key_columns(view, entity_keys)
        found = self._open(config).snapshot().get(view, keys)
        rows = self._codec(view).decode(keys, found, [view.feature(name) for name in names])
        # Feast's interface again: one message object a value.
        columns = [list(map(Value.FromString, column_to_value_bytes(column))) for column in rows.columns]
        cells = zip(*columns, strict=True) if columns else ((),) * len(entity_keys)
        return [
            (from_microseconds(moment), dict(zip(names, values, strict=True))) if present else (None, None)
            for present, moment, values in zip(rows.found.tolist(), rows.event_us.tolist(), cells, strict=True)
        ]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Drop the rows of deleted views; a new view needs nothing made for it."""
        if tables_to_delete:
            self._open(config).delete_views([table.name for table in tables_to_delete])

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Drop the rows of all views."""
        self._open(config).delete_views([table.name for table in tables])

    def _open(self, config: RepoConfig) -> LmdbStore:
        if self._store is None:
            self._store = LmdbStore(root_of(config) / Path(config.online_store.path))
        return self._store

    def _codec(self, view: View) -> RowCodec:
        return self._codecs.setdefault(view, RowCodec(view))


def _feature_column(field: Field, values: Sequence[Value | None]) -> Column:
    messages = [b"" if value is None else value.SerializeToString() for value in values]
    if field.dtype is ValueType.UNIX_TIMESTAMP:
        messages = [b"" if message == _NO_TIME else message for message in messages]
    return values_from_bytes(messages, field.dtype, field.name)


def _key_columns(view: View, entity_keys: Sequence[EntityKey]) -> list[bytes]:
    """The store's keys for Feast's; for a view without entities always the one constant key."""
    given = [dict(zip(key.join_keys, key.entity_values, strict=True)) for key in entity_keys]
    columns: list[Column] = []
    for key in view.join_keys:
        if not all(key.name in row for row in given):
            raise InvalidInputError(f"an entity key for view {view.name} lacks the join key {key.name}", "give every join key")
        messages = [row[key.name].SerializeToString() for row in given]
        columns.append(values_from_bytes(messages, key.dtype, f"join key {key.name}", nullable=False))
    keys = encode_keys(columns, [key.name for key in view.join_keys])
    return keys if view.join_keys else keys * len(entity_keys)

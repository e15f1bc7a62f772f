"""Feast data sources over our own tables."""

from __future__ import annotations

from feast import FileSource
from feast.data_format import DeltaFormat

TABLE_TAG = "featurestore.table"
"""The tag of a data source that stands for a prepared table; its value is the table's name."""


def delta_source(name: str, path: str, timestamp_field: str, created_timestamp_column: str | None = None) -> FileSource:
    """A Feast source over the Delta table that preparation publishes at `path` (relative to the project's root).

    Stock Feast reads it as well: it is an ordinary FileSource in Delta format.
    """
    return FileSource(
        name=name,
        path=path,
        file_format=DeltaFormat(),
        timestamp_field=timestamp_field,
        created_timestamp_column=created_timestamp_column or "",
        tags={TABLE_TAG: name},
    )

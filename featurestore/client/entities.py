"""Entity rows as a caller writes them, Python values by join key, to typed columns for the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import ValueType
from featurestore.wire.columns import Column
from featurestore.wire.values import column_from_python

_TYPES: tuple[tuple[type, ValueType], ...] = (
    (bool, ValueType.BOOL),  # before int, of which it is a kind
    (int, ValueType.INT64),
    (str, ValueType.STRING),
    (bytes, ValueType.BYTES),
    (datetime, ValueType.UNIX_TIMESTAMP),
    (UUID, ValueType.STRING),
)

EntityRows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]
"""Rows, [{"customer_id": 1}, ...], or columns, {"customer_id": [1, ...]}."""


def entity_columns(entity_rows: EntityRows) -> dict[str, Column]:
    """Each join key's values as a column of the type that their Python type stands for.

    int is INT64, str STRING, bytes BYTES, bool BOOL, UUID STRING, datetime UNIX_TIMESTAMP in whole seconds (naive is UTC).

    Raises:
        InvalidInputError: rows name different keys, columns differ in length, a value is None, of another type or out of range,
            or one key's values are of more than one type.
    """
    lists = entity_lists(entity_rows)
    return {name: _column(name, values) for name, values in lists.items()}


def entity_lists(entity_rows: EntityRows) -> dict[str, list[Any]]:
    """Each join key's values as a list, all of one length.

    Raises:
        InvalidInputError: rows name different keys, or columns differ in length.
    """
    columns = entity_rows if isinstance(entity_rows, Mapping) else _by_key(entity_rows)
    lists = {name: _values(name, values) for name, values in columns.items()}
    if len({len(values) for values in lists.values()}) > 1:
        counts = ", ".join(f"{name}: {len(values)}" for name, values in lists.items())
        raise InvalidInputError(f"the join keys have different numbers of values ({counts})", "give every key one value a row")
    return lists


def _by_key(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidInputError(
            "entity_rows is neither rows nor columns", 'give [{"customer_id": 1}, ...] or {"customer_id": [1, ...]}'
        )
    if not rows:
        raise InvalidInputError("entity_rows is empty", "give at least one row")
    names = list(rows[0])
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise InvalidInputError(
                f"row {number} of entity_rows names {', '.join(row) or 'nothing'}, row 0 {', '.join(names) or 'nothing'}",
                "give every row the same keys",
            )
    # The caller's rows are Python objects already; one pass turns them into columns.
    return {name: [row[name] for row in rows] for name in names}


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(values.tolist())
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise InvalidInputError(f"the values of {name} are {type(values).__name__}, not a list", f"give {name} as a list of values")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _column(name: str, values: list[Any]) -> Column:
    found: dict[ValueType, type] = {}
    for kind in {type(value) for value in values}:
        found.setdefault(_value_type(name, kind), kind)
    if len(found) > 1:
        kinds = ", ".join(sorted(kind.__name__ for kind in found.values()))
        raise InvalidInputError(f"the values of join key {name} are of several types ({kinds})", "give one type")
    dtype = next(iter(found), ValueType.INT64)  # of no values at all, the type does not matter
    if dtype == ValueType.UNIX_TIMESTAMP and any(value.microsecond for value in values):
        raise InvalidInputError(f"join key {name} has a time within a second", "give whole seconds: the protocol carries no more")
    return column_from_python([str(v) if isinstance(v, UUID) else v for v in values], dtype, name)


def _value_type(name: str, kind: type) -> ValueType:
    for python_type, dtype in _TYPES:
        if issubclass(kind, python_type):
            return dtype
    if kind is type(None):
        raise InvalidInputError(f"join key {name} has a null", "leave the row out, or give its key")
    allowed = ", ".join(python_type.__name__ for python_type, _ in _TYPES)
    raise InvalidInputError(f"join key {name} has a value of type {kind.__name__}", f"give one of {allowed}")

"""From join key columns to store keys: one byte string a row, different for different values, never cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from featurestore.core.errors import InvalidInputError
from featurestore.core.types import JOIN_KEY_TYPES, ValueType
from featurestore.wire.columns import Column

MAX_KEY_BYTES = 511
"""The longest key LMDB takes as it is built."""

ENTITYLESS_KEY = b"\x00"
"""The one key of a view without entities."""

_PLAIN, _HASHED = b"\x00", b"\x01"
_SIGN = np.uint64(1 << 63)


def encode_keys(columns: Sequence[Column], names: Sequence[str] = ()) -> list[bytes]:
    """One key a row for join key columns of equal length, in the order of the view's join keys; `names` serve messages only.

    Integers and timestamps take 8 bytes, big-endian with the sign bit flipped, so INT32 and INT64 of equal value give equal
    keys and keys sort as the numbers do. Booleans take one byte. Strings and bytes are preceded by their length (uint32).
    Where a column is of variable width every key begins with a marker: 0, or 1 for a key of more than 511 bytes, of which the
    SHA-256 is kept instead. Without columns (a view without entities) the result is the one constant key.

    Raises:
        InvalidInputError: a null, a type that cannot be a join key, or columns of different lengths.
    """
    if not columns:
        return [ENTITYLESS_KEY]
    labels = list(names) or [f"number {place}" for place in range(1, len(columns) + 1)]
    for column, label in zip(columns, labels, strict=True):
        _check(column, label, len(columns[0]))
    if all(column.dtype.is_fixed for column in columns):
        keys: list[bytes] = np.hstack([_fixed_bytes(c) for c in columns]).view(f"V{_width(columns)}").ravel().tolist()
        return keys if _width(columns) <= MAX_KEY_BYTES else list(map(_digest, keys))
    parts = [iter([_PLAIN] * len(columns[0]))]
    for column in columns:
        parts.extend(_parts(column))
    keys = list(map(b"".join, zip(*parts, strict=True)))
    # Long keys are hashed one at a time; the common case pays one length check a key.
    if max(map(len, keys), default=0) > MAX_KEY_BYTES:
        keys = [key if len(key) <= MAX_KEY_BYTES else _digest(key) for key in keys]
    return keys


def _digest(key: bytes) -> bytes:
    return _HASHED + hashlib.sha256(key).digest()


def _check(column: Column, label: str, rows: int) -> None:
    if column.dtype not in JOIN_KEY_TYPES:
        allowed = ", ".join(sorted(t.name for t in JOIN_KEY_TYPES))
        raise InvalidInputError(f"join key {label} is {column.dtype.name}", f"use one of {allowed}")
    if len(column) != rows:
        raise InvalidInputError(f"join key {label} has {len(column)} values, the first has {rows}", "give as many of each")
    if column.valid is not None and not column.valid.all():
        raise InvalidInputError(
            f"join key {label} is null in row {int(np.argmin(column.valid))}", "give a value for every join key"
        )


def _width(columns: Sequence[Column]) -> int:
    return sum(1 if column.dtype == ValueType.BOOL else 8 for column in columns)


def _fixed_bytes(column: Column) -> NDArray[np.uint8]:
    """The keys of a fixed-width column, shape (rows, bytes a key)."""
    if column.dtype == ValueType.BOOL:
        return column.values.astype(np.uint8).reshape(-1, 1)
    ordered = column.values.astype(np.int64).view(np.uint64) ^ _SIGN
    return ordered.astype(">u8").view(np.uint8).reshape(-1, 8)


def _parts(column: Column) -> Iterator[Iterator[bytes]]:
    """What a column contributes to each key: its bytes, preceded by their length where the width varies."""
    if column.offsets is None:
        matrix = _fixed_bytes(column)
        yield iter(matrix.view(f"V{matrix.shape[1]}").ravel().tolist())
        return
    lengths = np.diff(column.offsets).astype(">u4")
    yield iter(lengths.view("V4").tolist())
    # slice and indexing run in C; no bytecode is executed for a cell
    yield map(column.values.tobytes().__getitem__, map(slice, column.offsets[:-1].tolist(), column.offsets[1:].tolist()))

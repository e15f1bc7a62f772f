"""Views, columns and rows for the tests of the online store."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from featurestore.core.catalog import Field, Source, View
from featurestore.core.types import ValueType
from featurestore.online import NO_CREATED_TIME, OnlineStore, RowCodec, encode_keys
from featurestore.wire.columns import STORAGE_DTYPES, Column

SOURCE = Source("source", "parquet", "rows.parquet", "event_timestamp")

Stored = tuple[int, int | None, float | None, bytes | None]
"""A row of SPEND as the tests write it: event time, created time, amount, note."""


def view(name: str, features: Sequence[ValueType], keys: Sequence[ValueType] = (ValueType.INT64,)) -> View:
    """A view of features f0, f1, ... and keys k0, k1, ..."""
    return View(
        name=name,
        entities=("entity",) if keys else (),
        join_keys=tuple(Field(f"k{i}", dtype) for i, dtype in enumerate(keys)),
        features=tuple(Field(f"f{i}", dtype) for i, dtype in enumerate(features)),
        ttl=None,
        source=SOURCE,
    )


SPEND = view("spend", [ValueType.DOUBLE, ValueType.STRING])
STOCK = view("stock", [ValueType.DOUBLE, ValueType.STRING])
SPEND_CHANGED = view("spend", [ValueType.DOUBLE, ValueType.BYTES])


def cell_strategy(dtype: ValueType) -> SearchStrategy[bytes]:
    """Storage forms of any value of a type: every bit pattern, for the codec must keep them all."""
    if dtype == ValueType.BOOL:
        return st.sampled_from([b"\x00", b"\x01"])
    if dtype.is_fixed:
        width = STORAGE_DTYPES[dtype].itemsize
        ends = [bytes(width), b"\xff" * width, bytes(width - 1) + b"\x80", b"\xff" * (width - 1) + b"\x7f"]
        special = [struct.pack("<d" if width == 8 else "<f", x) for x in (float("nan"), float("inf"), -0.0, 1.5)]
        return st.sampled_from(ends + special) | st.binary(min_size=width, max_size=width)
    return st.binary(max_size=40)


def column(dtype: ValueType, cells: Sequence[bytes | None]) -> Column:
    """A column of storage forms, None for null; what lies under a null is garbage, as the type allows."""
    valid = np.array([cell is not None for cell in cells], dtype=np.bool_)
    if dtype.is_fixed:
        junk = b"\x01" * STORAGE_DTYPES[dtype].itemsize
        values = np.frombuffer(b"".join(junk if cell is None else cell for cell in cells), dtype=STORAGE_DTYPES[dtype])
        return Column(dtype, values, None, None if valid.all() else valid)
    return Column.from_cells(dtype, [b"junk" if cell is None else cell for cell in cells], None if valid.all() else valid)


def cells_of(column: Column) -> list[bytes | None]:
    """The reverse of `column`."""
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    forms = column.cells() if column.offsets is not None else [value.tobytes() for value in column.values]
    return [form if present else None for form, present in zip(forms, valid, strict=True)]


def spend_keys(ids: Iterable[int]) -> list[bytes]:
    return encode_keys([Column(ValueType.INT64, np.array(list(ids), dtype=np.int64))])


def spend_batch(ids: Iterable[int], rows: Sequence[Stored], of: View = SPEND) -> tuple[list[bytes], list[bytes]]:
    """Keys and packed rows."""
    keys = spend_keys(ids)
    amounts = column(ValueType.DOUBLE, [None if r[2] is None else struct.pack("<d", r[2]) for r in rows])
    notes = column(of.features[1].dtype, [r[3] for r in rows])
    event = np.array([r[0] for r in rows], dtype=np.int64)
    created = np.array([NO_CREATED_TIME if r[1] is None else r[1] for r in rows], dtype=np.int64)
    return keys, RowCodec(of).encode(keys, [amounts, notes], event, created)


def publish(store: OnlineStore, rows: dict[int, Stored], of: View = SPEND, watermark_us: int | None = None) -> int:
    """One generation with these rows added to a view; returns how many were taken up."""
    with store.publication() as publication:
        written = publication.write(of, [spend_batch(rows, list(rows.values()), of)], watermark_us)
        publication.commit()
    return written


def upsert(store: OnlineStore, rows: dict[int, Stored], of: View = SPEND) -> int:
    return store.upsert(of, *spend_batch(rows, list(rows.values()), of))


def read(store: Any, ids: Sequence[int], of: View = SPEND) -> list[Stored | None]:
    """What a store or a snapshot holds for these ids."""
    snapshot = store.snapshot() if hasattr(store, "snapshot") else store
    keys = spend_keys(ids)
    rows = RowCodec(of).decode(keys, snapshot.get(of, keys), of.features)
    amounts, notes = (cells_of(c) for c in rows.columns)
    return [
        (
            int(rows.event_us[i]),
            None if rows.created_us[i] == NO_CREATED_TIME else int(rows.created_us[i]),
            None if (amount := amounts[i]) is None else struct.unpack("<d", amount)[0],
            notes[i],
        )
        if rows.found[i]
        else None
        for i in range(len(ids))
    ]

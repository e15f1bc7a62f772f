"""The online read: join key columns in, feature columns with statuses and event times out, all from one generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.core.catalog import Catalog, View
from featurestore.core.clock import Clock
from featurestore.core.errors import InvalidInputError
from featurestore.core.selection import Selection, ViewSelection
from featurestore.core.status import FieldStatus
from featurestore.online.keys import encode_keys
from featurestore.online.rows import RowCodec
from featurestore.online.store import OnlineStore, Snapshot
from featurestore.serving.plan import missing_key, unexpected_key
from featurestore.wire.columns import Column

EARLIEST = -(2**63)
"""The earliest time that int64 microseconds can hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The features asked for, in order; every array has one element a row.

    `statuses` holds FieldStatus numbers as uint8. `event_us` is the event time of the row that was read, int64 microseconds, and 0
    where the status is NOT_FOUND. `generation` is the store's generation that all values come from.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    statuses: tuple[NDArray[np.uint8], ...]
    event_us: tuple[NDArray[np.int64], ...]
    generation: int


class Lookup:
    """Reads features of one catalog's views from a store, judging their age by a clock. Safe for many threads."""

    def __init__(self, catalog: Catalog, store: OnlineStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._join_keys = frozenset(entity.join_key for entity in catalog.entities)
        self._codecs: dict[str, RowCodec] = {}

    def read(self, selection: Selection, keys: Mapping[str, Column]) -> Answer:
        """The value of every selected feature at the clock's time r, by the point-in-time rule.

        A stored row of event time e is visible if e is in [r - ttl, r], both ends included. An older one gives null with
        OUTSIDE_MAX_AGE. One with e > r gives null with NOT_FOUND: at r there was no such value yet, and the store keeps only the
        latest. No row gives NOT_FOUND, a null in a visible row NULL_VALUE, anything else PRESENT.

        Args:
            selection: what is asked for.
            keys: caller-side join key name -> column. All have one length, the number of rows; where no view needs a key and none
                is given, there is one row. Further join keys of the project count rows but are not read.

        Raises:
            InvalidInputError: a join key is missing, null, unknown, of another type or of another length.
            NotMaterializedError: a view was changed since it was materialized.
            CorruptDataError: a stored row fails its checksum.
            StoreError: the store cannot be read.
        """
        count = self._rows(selection, keys)
        now = self._clock()
        snapshot = self._store.snapshot()
        answers: dict[int, tuple[Column, NDArray[np.uint8], NDArray[np.int64]]] = {}
        for part in selection.views:
            answers.update(zip(part.positions, self._read_view(part, snapshot, keys, count, now), strict=True))
        ordered = [answers[position] for position in range(len(selection.names))]
        return Answer(
            selection.names,
            tuple(column for column, _, _ in ordered),
            tuple(status for _, status, _ in ordered),
            tuple(times for _, _, times in ordered),
            snapshot.generation,
        )

    def _rows(self, selection: Selection, keys: Mapping[str, Column]) -> int:
        for field in selection.join_keys:
            column = keys.get(field.name)
            if column is None:
                raise missing_key(field.name, keys)
            if column.dtype != field.dtype:
                raise InvalidInputError(
                    f"join key {field.name} is {column.dtype.name}, not {field.dtype.name}", f"give {field.dtype.name} values"
                )
        if len(keys) > len(selection.join_keys):
            needed = {field.name for field in selection.join_keys}
            for name in keys:
                if name not in needed and name not in self._join_keys:
                    raise unexpected_key(name, selection, self._join_keys)
        lengths = {name: len(column) for name, column in keys.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise InvalidInputError(f"the join keys have different numbers of values ({counts})", "give every key one value a row")
        return next(iter(lengths.values()), 1)

    def _read_view(
        self, part: ViewSelection, snapshot: Snapshot, keys: Mapping[str, Column], count: int, now: int
    ) -> list[tuple[Column, NDArray[np.uint8], NDArray[np.int64]]]:
        view = part.view
        stored = encode_keys([keys[name] for name in part.key_names], part.key_names)
        raw = snapshot.get(view, stored)
        if not view.join_keys:
            stored, raw = stored * count, raw * count
        rows = self._codec(view).decode(stored, raw, part.features)
        status, times = judge(rows.found, rows.event_us, view.ttl, now)
        visible = status == FieldStatus.PRESENT
        mask = None if visible.all() else visible
        return [(*_shown(column, mask, status), times) for column in rows.columns]

    def _codec(self, view: View) -> RowCodec:
        # Two threads may both build one at first; either serves.
        codec = self._codecs.get(view.name)
        if codec is None:
            codec = self._codecs[view.name] = RowCodec(view)
        return codec


def judge(
    found: NDArray[np.bool_], event_us: NDArray[np.int64], ttl: int | None, now: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Each row's status before its nulls are looked at (PRESENT, NOT_FOUND, OUTSIDE_MAX_AGE), and its event time or 0.

    `ttl` and `now` are microseconds.
    """
    exists = found & (event_us <= now)
    status = np.where(exists, FieldStatus.PRESENT, FieldStatus.NOT_FOUND).astype(np.uint8)
    if ttl is not None:
        status[exists & (event_us < max(now - ttl, EARLIEST))] = FieldStatus.OUTSIDE_MAX_AGE
    return status, np.where(exists, event_us, 0)


def _shown(column: Column, visible: NDArray[np.bool_] | None, status: NDArray[np.uint8]) -> tuple[Column, NDArray[np.uint8]]:
    """The column with invisible rows as nulls, and its statuses; `visible` is None where every row is."""
    if column.valid is None:
        return column if visible is None else Column(column.dtype, column.values, column.offsets, visible), status
    valid = column.valid if visible is None else visible & column.valid
    null = ~column.valid if visible is None else visible & ~column.valid
    return Column(column.dtype, column.values, column.offsets, valid), np.where(null, np.uint8(FieldStatus.NULL_VALUE), status)

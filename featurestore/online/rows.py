"""The packed row: all features of a view for one key in one byte string that can tell when it is damaged or not its view's.

Little-endian, without padding:

    version      u8
    fingerprint  u32   of the view's keys and features, names and types
    event        i64   event time, microseconds since the epoch, UTC
    created      i64   created time likewise; the least int64 for none
    nulls        one bit a feature in the view's order, least significant first; 1 is null
    fixed        the fixed-width features in the view's order, zero where null
    ends         u32 for each variable-width feature: where its cell ends in what follows
    cells        the variable-width features in the view's order, empty where null
    checksum     u32, CRC-32 of the row's key and all before it

With its checksum last, the CRC-32 of a key and its whole intact row is one constant, so a batch is checked without cutting any
row. A row that a damaged page puts under another key does not pass.
"""

from __future__ import annotations

import operator
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.core.catalog import Field, View
from featurestore.core.errors import CorruptDataError, InvalidInputError
from featurestore.wire.columns import STORAGE_DTYPES, Column

VERSION = 1
NO_CREATED_TIME = int(np.iinfo(np.int64).min)
"""Stands for "no created time"; it sorts below every time."""

_HEADER = np.dtype([("version", "u1"), ("fingerprint", "<u4"), ("event", "<i8"), ("created", "<i8")])
_CHECKSUM_BYTES = 4
_INTACT = 0x2144DF1C
_header = operator.itemgetter(slice(0, _HEADER.itemsize))
_REMEDY = "run `featurestore materialize` for it again"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Decoded rows: `found` bool, `event_us` and `created_us` int64, each of shape (n,); one Column a feature asked for.

    Where a row was not found its times are 0 and NO_CREATED_TIME and its features null.
    """

    found: NDArray[np.bool_]
    event_us: NDArray[np.int64]
    created_us: NDArray[np.int64]
    columns: tuple[Column, ...]


class RowCodec:
    """Packs and unpacks the rows of one view."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._places = {field.name: place for place, field in enumerate(view.features)}
        self._variable = [place for place, field in enumerate(view.features) if not field.dtype.is_fixed]
        self._ends = {place: number for number, place in enumerate(self._variable)}
        layout: list[Any] = [*_HEADER.descr, ("nulls", "u1", ((len(view.features) + 7) // 8,))]
        layout.extend((f"f{place}", STORAGE_DTYPES[f.dtype]) for place, f in enumerate(view.features) if f.dtype.is_fixed)
        layout.append(("ends", "<u4", (len(self._variable),)))
        self._head = np.dtype(layout)
        self._least = self._head.itemsize + _CHECKSUM_BYTES
        self._head_of = operator.itemgetter(slice(0, self._head.itemsize))
        self._absent = self.encode([b""], [Column.nulls(f.dtype, 1) for f in view.features], np.zeros(1, dtype=np.int64))[0]

    def encode(
        self,
        keys: Sequence[bytes],
        features: Sequence[Column],
        event_us: NDArray[np.int64],
        created_us: NDArray[np.int64] | None = None,
    ) -> list[bytes]:
        """One packed row for each of n keys and event times; `features` are n values each, in the order of `view.features`.

        `created_us` holds NO_CREATED_TIME where a row has none; None where no row has one.

        Raises:
            InvalidInputError: columns that are not the view's features, not as many keys as times, or a row of 4 GiB or more.
        """
        count = len(event_us)
        _check_keys(keys, count)
        self._check_columns(features, count)
        heads = np.zeros(count, dtype=self._head)
        heads["version"] = VERSION
        heads["fingerprint"] = self.view.fingerprint
        heads["event"] = event_us
        heads["created"] = NO_CREATED_TIME if created_us is None else created_us
        if any(column.valid is not None for column in features):
            nulls = np.zeros((count, len(features)), dtype=np.bool_)
            for place, column in enumerate(features):
                if column.valid is not None:
                    nulls[:, place] = ~column.valid
            heads["nulls"] = np.packbits(nulls, axis=1, bitorder="little")
        for place, column in enumerate(features):
            if column.offsets is None:
                np.copyto(heads[f"f{place}"], column.values, where=True if column.valid is None else column.valid)
        tails = self._tails([features[place] for place in self._variable], heads)
        bodies: list[bytes] = heads.view(f"V{self._head.itemsize}").tolist()
        if tails:
            bodies = list(map(operator.add, bodies, tails))
        checksums = np.fromiter(map(zlib.crc32, bodies, map(zlib.crc32, keys)), dtype="<u4", count=count)
        return list(map(operator.add, bodies, checksums.view("V4").tolist()))

    def decode(self, keys: Sequence[bytes], rows: Sequence[bytes | None], features: Sequence[Field]) -> Rows:
        """Unpack some of the view's features from the rows stored under `keys`; None is a row that was not found.

        Raises:
            CorruptDataError: a row fails its checksum, is another key's, of another format, or of another definition of the view.
            InvalidInputError: not as many keys as rows.
            UnknownNameError: a feature is not the view's.
        """
        _check_keys(keys, len(rows))
        missing = rows.count(None)
        if missing:
            keys = [b"" if row is None else key for key, row in zip(keys, rows, strict=True)]
        present = [self._absent if row is None else row for row in rows] if missing else rows
        heads = self._heads(keys, present)  # type: ignore[arg-type]  # the line above leaves no None
        nulls = np.unpackbits(heads["nulls"], axis=1, bitorder="little") if heads["nulls"].any() else None
        blob, starts = b"", None
        columns = []
        for field in features:
            place = self._places.get(field.name)
            if place is None:
                raise InvalidInputError(
                    f"{field.name} is no feature of view {self.view.name}", f"ask for some of {', '.join(self._places)}"
                )
            valid = None
            if nulls is not None and nulls[:, place].any():
                valid = nulls[:, place] == 0
            number = self._ends.get(place)
            if number is None:
                columns.append(Column(field.dtype, np.ascontiguousarray(heads[f"f{place}"]), None, valid))
                continue
            if starts is None:
                blob = b"".join(present)  # type: ignore[arg-type]
                starts = _starts(present) + self._head.itemsize  # type: ignore[arg-type]
            columns.append(_cells(field, blob, starts, heads["ends"], number, valid))
        found = np.ones(len(rows), dtype=np.bool_)
        if missing:
            found = np.fromiter((row is not None for row in rows), dtype=np.bool_, count=len(rows))
        return Rows(found, np.ascontiguousarray(heads["event"]), np.ascontiguousarray(heads["created"]), tuple(columns))

    def _check_columns(self, features: Sequence[Column], count: int) -> None:
        wanted = [(field.dtype, count) for field in self.view.features]
        if [(column.dtype, len(column)) for column in features] != wanted:
            given = ", ".join(f"{len(column)} {column.dtype.name}" for column in features)
            raise InvalidInputError(
                f"view {self.view.name} cannot be packed from columns of {given or 'nothing'}",
                f"give {count} values for each of {', '.join(f'{f.name} ({f.dtype.name})' for f in self.view.features)}",
            )

    def _tails(self, columns: Sequence[Column], heads: NDArray[np.void]) -> list[bytes]:
        """The variable-width cells of each row, one after another; their ends are put into `heads`."""
        if not columns:
            return []
        starts = np.empty((len(heads), len(columns)), dtype=np.int64)
        stops = np.empty_like(starts)
        pieces, base = [], 0
        for number, column in enumerate(columns):
            assert column.offsets is not None
            first, last = int(column.offsets[0]), int(column.offsets[-1])
            pieces.append(column.values[first:last].tobytes())
            starts[:, number] = column.offsets[:-1] + (base - first)
            stops[:, number] = column.offsets[1:] + (base - first)
            if column.valid is not None:
                stops[:, number] = np.where(column.valid, stops[:, number], starts[:, number])
            base += last - first
        ends = np.cumsum(stops - starts, axis=1)
        if ends.size and int(ends.max()) > np.iinfo(np.uint32).max:
            raise InvalidInputError(f"a row of view {self.view.name} takes 4 GiB or more", "keep such values elsewhere")
        heads["ends"] = ends
        # One slice a cell, made and joined in C; reordering byte by byte in numpy would need 16 bytes of index for each.
        cells = _slices(b"".join(pieces), starts.ravel(), stops.ravel())
        rows = np.concatenate(([0], np.cumsum(ends[:, -1])))
        return _slices(b"".join(cells), rows[:-1], rows[1:])

    def _heads(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> NDArray[np.void]:
        """The part of fixed layout of each row, after checking every row whole."""
        if not rows:
            return np.zeros(0, dtype=self._head)
        if set(map(zlib.crc32, rows, map(zlib.crc32, keys))) != {_INTACT}:
            raise CorruptDataError(
                f"view {self.view.name}: the stored row of entity {int(np.argmin(intact(keys, rows)))} fails its checksum", _REMEDY
            )
        # An intact row of this view is at least as long as its head; a shorter one is of another definition.
        if min(map(len, rows)) >= self._least:
            heads = np.frombuffer(b"".join(map(self._head_of, rows)), dtype=self._head)
        else:
            heads = np.frombuffer(b"".join(map(_header, rows)), dtype=_HEADER)
        if (heads["version"] != VERSION).any():
            raise CorruptDataError(f"view {self.view.name}: a stored row has a format this version cannot read", _REMEDY)
        if (heads["fingerprint"] != self.view.fingerprint).any():
            raise CorruptDataError(f"view {self.view.name} has been changed since it was materialized", _REMEDY)
        return heads


def header_times(rows: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Event and created times of packed rows, without unpacking or checking them."""
    headers = np.frombuffer(b"".join(map(_header, rows)), dtype=_HEADER)
    return np.ascontiguousarray(headers["event"]), np.ascontiguousarray(headers["created"])


def intact(keys: Sequence[bytes], rows: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which packed rows fit their checksums and their keys."""
    checksums: NDArray[np.uint32] = np.fromiter(map(zlib.crc32, rows, map(zlib.crc32, keys)), dtype=np.uint32, count=len(rows))
    return np.equal(checksums, _INTACT)


def _check_keys(keys: Sequence[bytes], count: int) -> None:
    if len(keys) != count:
        raise InvalidInputError(f"{len(keys)} keys but {count} rows", "give a key for each row")


def _starts(rows: Sequence[bytes]) -> NDArray[np.int64]:
    """Where each row begins in their concatenation."""
    starts = np.zeros(len(rows), dtype=np.int64)
    np.cumsum(np.fromiter(map(len, rows[:-1]), dtype=np.int64, count=len(rows) - 1), out=starts[1:])
    return starts


def _slices(data: bytes, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> list[bytes]:
    return list(map(data.__getitem__, map(slice, starts.tolist(), stops.tolist())))


def _cells(
    field: Field, blob: bytes, starts: NDArray[np.int64], ends: NDArray[np.uint32], number: int, valid: NDArray[np.bool_] | None
) -> Column:
    """A variable-width column out of the concatenated rows, whose cells begin at `starts`."""
    first = starts + ends[:, number - 1] if number else starts
    last = starts + ends[:, number]
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(last - first, out=offsets[1:])
    return Column(field.dtype, np.frombuffer(b"".join(_slices(blob, first, last)), dtype=np.uint8), offsets, valid)

"""A column of values as numpy holds it: the form in which values travel between stores, codecs and the wire.

A value is kept in its *storage form*:

- BOOL, INT32, INT64, FLOAT, DOUBLE: a number of that width, little-endian. UNIX_TIMESTAMP: int64 microseconds since the epoch, UTC.
- STRING, JSON, UUID, TIME_UUID, DECIMAL: UTF-8 bytes. BYTES: the bytes.
- a list or set of fixed-width elements: their storage forms, one after another.
- a list or set of strings or bytes: uint32 count, then count uint32 ends (offsets into what follows), then the data; little-endian.
- MAP, STRUCT, their lists, SCALAR_MAP, VALUE_LIST, VALUE_SET: the serialized `feast.types` message (Map, MapList, ScalarMap, RepeatedValue).
- ZONED_TIMESTAMP: int64 microseconds, then the zone's name in UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featurestore.core.types import ValueType

STORAGE_DTYPES: dict[ValueType, np.dtype[np.generic]] = {
    ValueType.BOOL: np.dtype("?"),
    ValueType.INT32: np.dtype("<i4"),
    ValueType.INT64: np.dtype("<i8"),
    ValueType.FLOAT: np.dtype("<f4"),
    ValueType.DOUBLE: np.dtype("<f8"),
    ValueType.UNIX_TIMESTAMP: np.dtype("<i8"),
}
"""The numpy type that holds a fixed-width value."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """`len(self)` values of one type.

    Fixed-width types: `values` has shape (n,) and the type's storage dtype; `offsets` is None.
    Others: `values` is uint8 data and `offsets` int64 of shape (n + 1,), cell i being values[offsets[i]:offsets[i + 1]].
    `valid` is bool of shape (n,), False for null, or None where nothing is null. A null cell's value is unspecified.
    """

    dtype: ValueType
    values: NDArray[np.generic]
    offsets: NDArray[np.int64] | None = None
    valid: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    def cells(self) -> list[bytes]:
        """Each cell's storage form, null cells included; for a variable-width column."""
        assert self.offsets is not None
        data, ends = self.values.tobytes(), self.offsets.tolist()
        return [data[a:b] for a, b in pairwise(ends)]

    @staticmethod
    def from_cells(dtype: ValueType, cells: list[bytes], valid: NDArray[np.bool_] | None = None) -> Column:
        """A variable-width column of these storage forms."""
        offsets = np.zeros(len(cells) + 1, dtype=np.int64)
        np.cumsum([len(cell) for cell in cells], out=offsets[1:])
        return Column(dtype, np.frombuffer(b"".join(cells), dtype=np.uint8), offsets, valid)

    @staticmethod
    def nulls(dtype: ValueType, count: int) -> Column:
        """`count` nulls of a type."""
        valid = np.zeros(count, dtype=np.bool_)
        if dtype.is_fixed:
            return Column(dtype, np.zeros(count, dtype=STORAGE_DTYPES[dtype]), None, valid)
        return Column(dtype, np.zeros(0, dtype=np.uint8), np.zeros(count + 1, dtype=np.int64), valid)

"""Runs of bytes of different lengths, joined and parted without a loop over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.wire.columns import Column

Bytes = NDArray[np.uint8]
Lengths = NDArray[np.int64]


def ends_of(lengths: Lengths) -> NDArray[np.int64]:
    """Offsets, shape (n + 1,), from lengths, shape (n,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def interleave(first: Bytes, first_lengths: Lengths, second: Bytes, second_lengths: Lengths) -> Bytes:
    """The i-th run of `first`, then the i-th of `second`, for every i."""
    of_first = _of_first(first_lengths, second_lengths)
    out = np.empty(len(of_first), dtype=np.uint8)
    out[of_first] = first
    out[~of_first] = second
    return out


def part(data: Bytes, first_lengths: Lengths, second_lengths: Lengths) -> tuple[Bytes, Bytes]:
    """What `interleave` joined."""
    of_first = _of_first(first_lengths, second_lengths)
    return data[of_first], data[~of_first]


def _of_first(first_lengths: Lengths, second_lengths: Lengths) -> NDArray[np.bool_]:
    lengths = np.stack((first_lengths, second_lengths), axis=1).reshape(-1)
    return np.repeat(np.tile(np.array([True, False]), len(first_lengths)), lengths)


def valid_bytes(column: Column) -> tuple[Bytes, Lengths]:
    """A variable-width column's cells without gaps, and their lengths; a null cell has none."""
    assert column.offsets is not None
    data = column.values[column.offsets[0] : column.offsets[-1]].view(np.uint8)
    lengths = np.diff(column.offsets)
    if column.valid is None or not lengths[~column.valid].any():
        return data, lengths
    return data[np.repeat(column.valid, lengths)], np.where(column.valid, lengths, 0)


def sums(values: Lengths, counts: Lengths) -> Lengths:
    """The sum of each of the consecutive groups of `counts` values."""
    totals = ends_of(values)
    ends = ends_of(counts)
    return totals[ends[1:]] - totals[ends[:-1]]

"""Lists and sets: one column of all their elements and a count a cell, to and from the storage form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.core.types import FIXED_WIDTH, ValueType
from featurestore.wire.columns import STORAGE_DTYPES, Column
from featurestore.wire.ragged import Lengths, ends_of, interleave, part, sums, valid_bytes


def list_column(dtype: ValueType, elements: Column, counts: Lengths, valid: NDArray[np.bool_] | None = None) -> Column:
    """The lists of `counts` consecutive elements each. `elements` holds no nulls, and a null cell counts 0 elements."""
    assert dtype.element is elements.dtype
    if elements.dtype.is_fixed:
        ends = ends_of(counts * FIXED_WIDTH[elements.dtype])
        return Column(dtype, np.ascontiguousarray(elements.values).view(np.uint8), ends, valid)
    data, lengths = valid_bytes(elements)
    first = ends_of(counts)[:-1]
    ends = ends_of(lengths)
    here = np.arange(len(counts))
    heads = np.empty(len(counts) + len(lengths), dtype="<u4")
    heads[first + here] = counts
    heads[np.arange(len(lengths)) + np.repeat(here, counts) + 1] = ends[1:] - np.repeat(ends[first], counts)
    head_lengths, data_lengths = 4 * (counts + 1), sums(lengths, counts)
    if valid is not None:
        head_lengths = np.where(valid, head_lengths, 0)
        heads = heads[np.repeat(valid, counts + 1)]
    values = interleave(heads.view(np.uint8), head_lengths, data, data_lengths)
    return Column(dtype, values, ends_of(head_lengths + data_lengths), valid)


def list_elements(column: Column) -> tuple[Column, Lengths]:
    """All elements of a column of lists, and how many each cell has; a null cell has none."""
    element = column.dtype.element
    assert element is not None
    data, lengths = valid_bytes(column)
    if element.is_fixed:
        return Column(element, data.copy().view(STORAGE_DTYPES[element])), lengths // FIXED_WIDTH[element]
    filled = lengths > 0
    starts = ends_of(lengths)[:-1][filled]
    counts = np.zeros(len(lengths), dtype=np.int64)
    counts[filled] = data[starts[:, None] + np.arange(4)].view("<u4").reshape(-1)
    head_lengths = np.where(filled, 4 * (counts + 1), 0)
    head_bytes, texts = part(data, head_lengths, lengths - head_lengths)
    heads = head_bytes.view("<u4").astype(np.int64)
    is_count = np.zeros(len(heads), dtype=np.bool_)
    is_count[ends_of(head_lengths // 4)[:-1][filled]] = True
    before = ends_of(lengths - head_lengths)[:-1]
    offsets = np.concatenate(([0], heads[~is_count] + np.repeat(before, counts)))
    return Column(element, texts, offsets), counts

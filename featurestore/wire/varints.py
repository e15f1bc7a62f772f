"""Protobuf's varints, vectorised: many integers at once to bytes, and single ones for the frames around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LIMITS = np.array([1 << (7 * k) for k in range(1, 10)], dtype=np.uint64)
"""The smallest number that needs k + 1 bytes."""

_SHORT = [bytes([number]) for number in range(0x80)]


def varint(number: int) -> bytes:
    """One number of at least 0."""
    if number <= 0x7F:
        return _SHORT[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field's value. Wire types: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes."""
    return varint(field << 3 | wire_type)


def delimited(field: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return b"".join((tag(field, 2), varint(len(data)), data))


def unsigned(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Integers as protobuf's int32, int64 and bool write them: a negative one as its 64-bit two's complement."""
    return values.astype(np.int64).view(np.uint64)


def varint_sizes(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bytes each number takes, 1 to 10."""
    return np.searchsorted(_LIMITS, values, side="right") + 1


def varint_matrix(values: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One row a number: its bytes, left-aligned, and which of the cells belong to it. `matrix[used]` is all of them in order."""
    sizes = varint_sizes(values)
    places = np.arange(int(sizes.max(initial=1)))
    matrix = (values[:, None] >> (places * 7).astype(np.uint64)).astype(np.uint8) & np.uint8(0x7F)
    last = sizes[:, None] - 1
    matrix[places < last] |= np.uint8(0x80)
    return matrix, places <= last

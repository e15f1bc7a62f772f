"""Newer wins: which rows of a batch go into a store, given what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from featurestore.online.rows import header_times, intact


def accepted(keys: Sequence[bytes], rows: Sequence[bytes], stored: Callable[[bytes], bytes | None]) -> list[tuple[bytes, bytes]]:
    """The (key, row) pairs to write, in key order; `stored` gives the row that is there.

    A row is written unless the stored one has a greater (event time, created time). A row that is there already is not
    written again, and a stored one that fails its checksum always gives way. Of several rows for one key the
    greatest times win, at equal times the last given.
    """
    pairs = dict(zip(keys, rows, strict=True))
    if len(pairs) < len(keys):
        event, created = header_times(rows)
        order = np.lexsort((created, event)).tolist()  # stable: the last of equals stays last, and dict keeps the last
        pairs = {keys[place]: rows[place] for place in order}
    ordered = sorted(pairs.items())
    there = list(map(stored, map(itemgetter(0), ordered)))
    if there.count(None) == len(there):
        return ordered
    return list(compress(ordered, _wins(ordered, there).tolist()))


def _wins(pairs: Sequence[tuple[bytes, bytes]], there: Sequence[bytes | None]) -> NDArray[np.bool_]:
    known = np.fromiter((row is not None for row in there), dtype=np.bool_, count=len(there))
    old = [row for row in there if row is not None]
    keys, new = zip(*compress(pairs, known.tolist()), strict=True)
    event, created = header_times(new)
    old_event, old_created = header_times(old)
    newer = (event > old_event) | ((event == old_event) & (created >= old_created))
    newer |= ~intact(keys, old)
    newer &= np.fromiter((a != b for a, b in zip(new, old, strict=True)), dtype=np.bool_, count=len(new))
    wins = np.ones(len(pairs), dtype=np.bool_)
    wins[known] = newer
    return wins

"""The point-in-time match by binary search, for views with one integer key or none: a third of the time of DuckDB's ASOF join.

Key and time of a row are packed into one integer, (key - least key) * span + (time - least time), which sorts as the pairs do. The row
with the greatest time up to an entity row's is then its left neighbour among the sorted integers, if that has the same key.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurestore.core.types import ValueType
from featurestore.offline.ties import Rows

MOST_ROWS = 20_000_000
"""Source rows up to which the search is made: it holds 24 bytes a row in memory, where DuckDB could spill."""

_LARGEST = 2**63 - 1


def searchable(rows: Rows, size: int) -> bool:
    """Whether the search can be tried for rows of a source with `size` rows."""
    return size <= MOST_ROWS and [key.dtype for key in rows.keys] in ([], [ValueType.INT32], [ValueType.INT64])


def search(connection: duckdb.DuckDBPyConnection, rows: Rows, narrow: str, ttl: int | None) -> bool | None:
    """Fill the table `picks` (row, k0, t) with each entity row's key and the event time that it finds, if it finds one.

    Expects the table `wanted` (row, k0, t); `narrow` is the query for the source's k0 and t, without nulls.

    Returns:
        Whether all that was found is one source row each; None where keys and times are too far apart to be packed, and nothing is
        done.
    """
    asked = connection.sql("SELECT row, k0::BIGINT AS k0, t FROM wanted").to_arrow_table()
    source = connection.sql(f"SELECT k0::BIGINT AS k0, t FROM ({narrow})").to_arrow_table()
    if not (asked.num_rows and source.num_rows):
        return None
    keys, times, wanted_keys, wanted_times = (table[name].to_numpy() for table in (source, asked) for name in ("k0", "t"))
    first_key, last_key = _ends(keys, wanted_keys)
    first_time, last_time = _ends(times, wanted_times)
    span = last_time - first_time + 1
    if (last_key - first_key + 1) * span > _LARGEST:
        return None

    stored = (keys - first_key) * span + (times - first_time)
    stored.sort()
    moments = (wanted_keys - first_key) * span + (wanted_times - first_time)
    order = np.argsort(moments)  # neighbours are then looked for in neighbouring memory
    moments = moments[order]
    places = np.searchsorted(stored, moments, side="right") - 1
    nearest = stored[places]
    reach = (
        moments % span if ttl is None else np.minimum(moments % span, min(ttl, _LARGEST))
    )  # beyond moments % span lies another key
    found = (places >= 0) & (moments - nearest <= reach)

    nearest, places = nearest[found], places[found]
    picks = {"row": asked["row"].to_numpy()[order][found], "k0": nearest // span + first_key, "t": nearest % span + first_time}
    connection.register("found", pa.table(picks))
    connection.execute("CREATE OR REPLACE TEMP TABLE picks AS SELECT * FROM found")
    connection.unregister("found")
    return not (stored[np.maximum(places - 1, 0)] == nearest)[places > 0].any()


def _ends(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[int, int]:
    return min(int(one.min()), int(other.min())), max(int(one.max()), int(other.max()))

"""The binary search for one integer key: ties are told, keys are kept apart, and what cannot be packed goes the other way."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.core.catalog import Catalog, Field, Source, View
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.offline.join import point_in_time

FAR = 2**62
HOUR = 3_600_000_000


def joined(
    root: Path, rows: list[tuple[int, int, float]], asked: list[tuple[int, int]], ttl: int | None = None
) -> list[float | None]:
    """The feature that each (key, time) asked for finds in rows of (key, time, feature)."""
    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {"k": pa.array(columns[0]), "at": pa.array(columns[1], pa.timestamp("us", "UTC")), "v": pa.array(columns[2], pa.float64())}
    )
    pq.write_table(table, root / "rows.parquet")
    source = Source("rows", "parquet", "rows.parquet", "at")
    view = View("view", ("e",), (Field("k", ValueType.INT64),), (Field("v", ValueType.DOUBLE),), ttl, source)
    keys, times = zip(*asked, strict=True)
    entities = pa.table({"k": pa.array(keys, pa.int64()), "t": pa.array(times, pa.timestamp("us", "UTC"))})
    result = point_in_time(entities, "t", select(Catalog("p", views=(view,)), ["view:v"]), root)
    return list(result["v"].to_pylist())


@pytest.mark.parametrize("values", [[1.0, 2.0], [2.0, 1.0]])
def test_tied_rows_are_decided_by_the_rule_in_whatever_order_they_stand(values: list[float], tmp_path: Path) -> None:
    others = [(key, HOUR, 0.0) for key in range(2, 50)]
    rows = [(1, HOUR, values[0]), *others, (1, HOUR, values[1])]
    assert joined(tmp_path, rows, [(1, HOUR), (1, 2 * HOUR), (2, HOUR)]) == [2.0, 2.0, 0.0]


def test_a_tie_that_nobody_finds_does_not_matter(tmp_path: Path) -> None:
    assert joined(tmp_path, [(1, 1, 1.0), (1, 5, 2.0), (1, 5, 3.0)], [(1, 4), (1, 0)]) == [1.0, None]


def test_the_row_before_may_be_another_keys(tmp_path: Path) -> None:
    rows = [(1, 9, 1.0), (2, 5, 2.0), (3, 1, 3.0)]
    assert joined(tmp_path, rows, [(2, 4), (2, 5), (3, 0), (0, 9), (4, 9)]) == [None, 2.0, None, None, None]


def test_keys_and_times_at_the_ends_of_their_range(tmp_path: Path) -> None:
    rows = [(-FAR, -FAR, 1.0), (FAR, FAR, 2.0), (0, 0, 3.0)]
    assert joined(tmp_path, rows, [(-FAR, 0), (FAR, FAR), (FAR, 0), (0, 1)]) == [1.0, 2.0, None, 3.0]


def test_a_ttl_longer_than_time_itself(tmp_path: Path) -> None:
    assert joined(tmp_path, [(1, 0, 1.0)], [(1, 10)], ttl=2**66) == [1.0]
    assert joined(tmp_path, [(1, 0, 1.0)], [(1, 10), (1, 11)], ttl=10) == [1.0, None]

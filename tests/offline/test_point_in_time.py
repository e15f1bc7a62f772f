"""The join and the latest rows against slow plain Python written from the definition: time by time, row by row."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.catalog import Catalog, Field, Source, View
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.offline.join import join, point_in_time
from featurestore.offline.latest import latest_columns, latest_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
ROW = pa.schema(
    [
        ("k", pa.int64()),
        ("s", pa.string()),
        ("t", TIME),
        ("c", TIME),
        ("whole", pa.int64()),
        ("ratio", pa.float64()),
        ("text", pa.string()),
        ("flag", pa.bool_()),
        ("many", pa.list_(pa.int64())),
    ]
)
"""The source; its columns t and c have the names that the join gives its own, on purpose."""
FEATURES = (
    Field("whole", ValueType.INT64),
    Field("ratio", ValueType.DOUBLE),
    Field("text", ValueType.STRING),
    Field("flag", ValueType.BOOL),
    Field("many", ValueType.INT64_LIST),
)
NAMES = [f.name for f in FEATURES]
KEYS = {
    0: (),
    1: (Field("k", ValueType.INT64),),
    2: (Field("k", ValueType.INT64), Field("s", ValueType.STRING)),
}

Row: TypeAlias = dict[str, Any]


def moment(us: int | None) -> datetime | None:
    return None if us is None else EPOCH + timedelta(microseconds=us)


# Few values of everything and many rows, so that keys, times, and whole rows but for one feature coincide; times on both sides of 1970.
ticks = st.integers(-3, 3)
keys = st.sampled_from([1, 1, 1, 1, 2, 2**63 - 1, None])
words = st.sampled_from(["a", "a", "a", "é", "", None])
source_row: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "k": keys,
        "s": words,
        "t": st.sampled_from([-3, -2, -1, 0, 1, 2, 3, None]),
        "c": st.sampled_from([-2, 0, 0, 2, 4, None]),
        "whole": st.sampled_from([2**63 - 1, 2**63 - 1, -(2**63), None]),
        "ratio": st.sampled_from([0.0, 0.0, -0.0, -0.0, math.nan, math.inf, -math.inf, None]),
        "text": words,
        "flag": st.sampled_from([True, True, False, None]),
        "many": st.sampled_from([[0], [0], [0, 1], [1], [], None]),
    }
)
source_rows = st.one_of(st.lists(source_row, max_size=3), st.lists(source_row, min_size=30, max_size=60))
entity_row: st.SearchStrategy[Row] = st.fixed_dictionaries({"k": keys, "s": words, "at": st.sampled_from([*range(-5, 7), None])})
entity_rows = st.one_of(st.lists(entity_row, max_size=3), st.lists(entity_row, min_size=20, max_size=40))
ttls = st.sampled_from([None, 0, 1, 2, 4])


def rank(value: Any) -> tuple[Any, ...]:
    """The documented order of a feature's values, lowest first."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (2,) if math.isnan(value) else (1, value, math.copysign(1, value))
    return (1, value.encode()) if isinstance(value, str) else (1, value)


def place(row: Row) -> tuple[Any, ...]:
    """The greater one of two rows of a key wins."""
    return (row["t"], rank(row["c"]), *(rank(row[name]) for name in NAMES))


def as_of(rows: list[Row], names: list[str], entity: Row, at: int | None, ttl: int | None, only_known: bool) -> Row | None:
    """The row an entity row has to find, by trying all of them."""
    best: Row | None = None
    for row in rows:
        if at is None or row["t"] is None or any(entity[n] is None or row[n] != entity[n] for n in names):
            continue
        if row["t"] > at or (ttl is not None and row["t"] < at - ttl):
            continue
        if only_known and (row["c"] is None or row["c"] > at):
            continue
        if best is None or place(row) > place(best):
            best = row
    return best


def exact(value: Any) -> Any:
    """A form whose equality tells 0.0 from -0.0 and takes NaN for equal to itself."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def write(path: Path, rows: list[Row]) -> None:
    timed = [{**row, "t": moment(row["t"]), "c": moment(row["c"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(timed, schema=ROW), path, row_group_size=7)


def view_of(keys: int, ttl: int | None, created: bool) -> View:
    source = Source("rows", "parquet", "rows.parquet", "t", "c" if created else None)
    return View("v", (), KEYS[keys], FEATURES, ttl, source)


def entity_table(rows: list[Row]) -> pa.Table:
    columns = [("k", pa.int64()), ("s", pa.string()), ("event_timestamp", TIME), ("label", pa.int64())]
    data = [{"k": r["k"], "s": r["s"], "event_timestamp": moment(r["at"]), "label": i} for i, r in enumerate(rows)]
    return pa.Table.from_pylist(data, schema=pa.schema(columns))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("join")


@settings(max_examples=50, deadline=None)
@given(
    rows=source_rows,
    entities=entity_rows,
    count=st.sampled_from([0, 1, 2]),
    ttl=ttls,
    created=st.booleans(),
    only_known=st.booleans(),
    wanted=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
)
def test_every_entity_row_finds_what_a_nested_loop_finds(
    folder: Path,
    rows: list[Row],
    entities: list[Row],
    count: int,
    ttl: int | None,
    created: bool,
    only_known: bool,
    wanted: list[str],
) -> None:
    known = rows if created else [{**row, "c": None} for row in rows]
    write(folder / "rows.parquet", rows)
    given_rows = entity_table(entities)
    selection = select(Catalog("p", views=(view_of(count, ttl, created),)), [f"v:{name}" for name in wanted])
    joined = join(given_rows, "event_timestamp", selection, folder, filter_by_created_timestamp=only_known)

    names = [key.name for key in KEYS[count]]
    found = [as_of(known, names, entity, entity["at"], ttl, only_known and created) for entity in entities]
    assert joined.table.select(given_rows.column_names).equals(given_rows)
    assert joined.table.column_names == [*given_rows.column_names, *wanted]
    for name in wanted:
        expected = [None if row is None else exact(row[name]) for row in found]
        assert [exact(value) for value in joined.table[name].to_pylist()] == expected

    late = sum(
        1
        for row, entity in zip(found, entities, strict=True)
        if row is not None and row["c"] is not None and row["c"] > entity["at"]
    )
    expected_leakage = [("v", sum(row is not None for row in found), late)] if created else []
    assert [(x.view, x.rows, x.created_later) for x in joined.leakage] == expected_leakage


@settings(max_examples=10, deadline=None)
@given(rows=source_rows, entities=entity_rows, ttl=ttls, data=st.data())
def test_the_order_of_rows_and_what_comes_later_change_nothing(
    folder: Path, rows: list[Row], entities: list[Row], ttl: int | None, data: st.DataObject
) -> None:
    selection = select(Catalog("p", views=(view_of(1, ttl, True),)), ["v:*"])
    write(folder / "rows.parquet", rows)
    before = point_in_time(entity_table(entities), "event_timestamp", selection, folder)

    last = max((e["at"] for e in entities if e["at"] is not None), default=0)
    later = [{**row, "t": last + 1 + (row["t"] or 0) ** 2} for row in data.draw(source_rows)]
    write(folder / "rows.parquet", data.draw(st.permutations([*rows, *later])))
    shuffled = data.draw(st.permutations(entities))
    after = point_in_time(entity_table(shuffled), "event_timestamp", selection, folder)

    def cells(table: pa.Table) -> list[Any]:
        columns = ["k", "event_timestamp", *NAMES]
        return sorted(repr([exact(x) for x in row.values()]) for row in table.select(columns).to_pylist())

    assert cells(before) == cells(after)


@settings(max_examples=25, deadline=None)
@given(rows=source_rows, count=st.sampled_from([0, 1, 2]), created=st.booleans(), start=st.one_of(st.none(), ticks), end=ticks)
def test_latest_rows_are_those_of_a_nested_loop(
    folder: Path, rows: list[Row], count: int, created: bool, start: int | None, end: int
) -> None:
    start = None if start is None else min(start, end)
    write(folder / "rows.parquet", rows)
    view = view_of(count, None, created)
    latest = latest_rows(view.source, view, start, end, folder)
    table = latest.reader.read_all()

    names = [key.name for key in KEYS[count]]
    known = rows if created else [{**row, "c": None} for row in rows]
    inside = [row for row in known if row["t"] is not None and row["t"] <= end and (start is None or row["t"] >= start)]
    whole = [row for row in inside if all(row[name] is not None for name in names)]
    winners: dict[tuple[Any, ...], Row] = {}
    for row in whole:
        key = tuple(row[name] for name in names)
        if key not in winners or place(row) > place(winners[key]):
            winners[key] = row

    assert table.column_names == [*names, *NAMES, "event_timestamp", "created_timestamp"]
    expected = [[*key, *(row[n] for n in NAMES), moment(row["t"]), moment(row["c"])] for key, row in winners.items()]
    got = [list(row.values()) for row in table.to_pylist()]
    assert sorted(repr([exact(x) for x in row]) for row in got) == sorted(repr([exact(x) for x in row]) for row in expected)
    assert (latest.keys, latest.rows_read, latest.null_keys) == (len(winners), len(inside), len(inside) - len(whole))
    assert latest.null_times == sum(row["t"] is None for row in rows)

    plain = latest_columns(view.source, names, NAMES, start, end, folder).reader.read_all()
    assert sorted(map(repr, plain.to_pylist())) == sorted(map(repr, table.to_pylist()))


@settings(max_examples=25, deadline=None)
@given(rows=source_rows, now=ticks, ttl=ttls, wanted=st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_latest_at_a_time_is_the_join_at_that_time_for_every_key(
    folder: Path, rows: list[Row], now: int, ttl: int | None, wanted: list[str]
) -> None:
    write(folder / "rows.parquet", rows)
    view = view_of(1, ttl, True)
    known = sorted({row["k"] for row in rows if row["k"] is not None})
    entities = entity_table([{"k": k, "s": None, "at": now} for k in known])
    joined = point_in_time(
        entities, "event_timestamp", select(Catalog("p", views=(view,)), [f"v:{n}" for n in wanted]), folder
    ).to_pylist()
    latest = {row["k"]: row for row in latest_rows(view.source, view, None, now, folder).reader.read_all().to_pylist()}

    for row in joined:
        online = latest.get(row["k"])
        if online is not None and ttl is not None and online["event_timestamp"] < moment(now - ttl):
            online = None  # as a lookup judges it
        assert [exact(row[n]) for n in wanted] == [exact(online[n]) if online else None for n in wanted]

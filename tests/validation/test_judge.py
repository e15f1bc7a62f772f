"""Verdicts on rows, held to pandera's own on the same frame, and to plain Python where the rule can be said in a line."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import cleaning
from featurestore.validation import compile_contract, judge, reasons

NAN = float("nan")
INSTANT = datetime(2011, 6, 1, tzinfo=UTC)


class Everything(pa.DataFrameModel):
    """Each built-in check at least once, checks of its own, and both kinds of uniqueness."""

    whole: int = pa.Field(ge=-3, le=3, ne=2, notin=[1])
    small: pl.Int32 = pa.Field(nullable=True, gt=-3, lt=3)
    same: int = pa.Field(eq=0, unique=True, nullable=True)
    real: float = pa.Field(in_range={"min_value": -1.0, "max_value": 1.0, "include_max": False}, ne=0.5)
    loose: pl.Float32 = pa.Field(nullable=True, ge=0.0, unique=True)
    word: str = pa.Field(nullable=True, isin=["a", "ab", "b"], str_startswith="a", str_endswith="b")
    code: str = pa.Field(str_matches="[ab]+$", str_contains="b", str_length={"min_value": 1, "max_value": 3})
    yes: bool = pa.Field(eq=True)
    when: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(ge=INSTANT)

    @pa.check("whole", "same")
    def is_even(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key) % 2 == 0)

    @pa.check("small", ignore_na=False)
    def is_known_and_not_one(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key) != 1)

    @pa.dataframe_check
    def is_ordered(cls, data: pa.PolarsData) -> pl.LazyFrame:  # type: ignore[misc]
        return data.lazyframe.select(pl.col("whole") <= pl.col("small"))

    @pa.dataframe_check
    def both(cls, data: pa.PolarsData) -> pl.LazyFrame:  # type: ignore[misc]
        return data.lazyframe.select(pl.col("yes"), known=pl.col("code") != "a")

    class Config:
        unique = ["word", "loose"]  # noqa: RUF012


SCHEMA: dict[str, Any] = {
    "whole": pl.Int64, "small": pl.Int32, "same": pl.Int64, "real": pl.Float64, "loose": pl.Float32, "word": pl.String,
    "code": pl.String, "yes": pl.Boolean, "when": pl.Datetime("us", "UTC"),
}  # fmt: skip
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-4, 4),
        st.none() | st.integers(-4, 4),
        st.none() | st.integers(-1, 4),
        st.none() | st.sampled_from([NAN, -math.inf, math.inf, -1.0, -0.0, 0.5, 0.99, 1.0]),
        st.none() | st.sampled_from([NAN, 0.0, -0.0, 1.5, -1.0, math.inf]),
        st.none() | st.sampled_from(["a", "ab", "b", "abb", ""]),
        st.none() | st.text(st.sampled_from("abc\n"), max_size=4),
        st.none() | st.booleans(),
        st.none() | st.sampled_from([INSTANT, INSTANT.replace(year=2010), INSTANT.replace(month=7)]),
    ),
    max_size=12,
)
NAMES = {"not_nullable": "not_null", "field_uniqueness": "unique", "multiple_fields_uniqueness": "unique"}


def pandera_refuses(frame: pl.DataFrame) -> dict[tuple[str, str], list[bool]]:
    """(rule, column) -> whether pandera refuses each row, for the rules that refuse something."""
    try:
        Everything.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        refused = {}
        for fault in error.schema_errors:
            rule = NAMES.get(str(fault.check), getattr(fault.check, "name", ""))
            column = {"is_ordered": "whole,small", "both": "yes,code"}.get(rule, fault.column_name)
            if str(fault.check) == "multiple_fields_uniqueness":
                column = "word,loose"
            output = fault.check_output.lazy().collect()
            refused[rule, str(column)] = [not passed for passed in output.to_series(output.width - 1).to_list()]
        return refused
    return {}


@settings(max_examples=50, deadline=None)
@given(rows=ROWS)
def test_every_row_has_the_verdict_that_pandera_gives_it(rows: list[tuple[Any, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    judged = judge(frame.lazy(), compile_contract(Everything)).collect()
    found = {}
    for name in judged.columns[frame.width :]:
        mask = judged[name].is_not_null().to_list()
        if any(mask):
            _, rule, column = name.split("|")
            found[rule, column] = mask
    assert found == pandera_refuses(frame)
    assert judged.select(frame.columns).equals(frame, null_equal=True)


class Plain(pa.DataFrameModel):
    """Rules that plain Python can say."""

    n: int = pa.Field(ge=0, nullable=True)
    f: float = pa.Field(lt=2.0)
    items: list[int] = pa.Field(nullable=True)
    b: bytes = pa.Field(unique=True)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-2, 2),
            st.none() | st.sampled_from([NAN, 1.5, 2.0, math.inf]),
            st.none() | st.lists(st.none() | st.integers(0, 2), max_size=3),
            st.none() | st.sampled_from([b"\xff", b"", b"a"]),
            st.none() | st.just("some_rule"),
        ),
        max_size=10,
    )
)
def test_reasons_name_the_rule_and_show_the_value_of_rows_that_were_not_dropped(rows: list[tuple[Any, ...]]) -> None:
    expected: list[tuple[int, str, str, str | None]] = []
    alive = [row for row in rows if row[4] is None]
    for number, (n, f, items, b, dropped) in enumerate(rows):
        if dropped:
            continue
        if n is not None and n < 0:
            expected.append((number, "greater_than_or_equal_to", "n", str(n)))
        if f is None or math.isnan(f):
            expected.append((number, "not_null", "f", None if f is None else "NaN"))
        if f is not None and (math.isnan(f) or f >= 2.0):
            expected.append((number, "less_than", "f", {2.0: "2.0", math.inf: "inf"}.get(f, "NaN")))
        if items is not None and None in items:
            expected.append(
                (number, "null_element", "items", "[" + ", ".join("null" if i is None else str(i) for i in items) + "]")
            )
        if b is None:
            expected.append((number, "not_null", "b", None))
        if [row[3] for row in alive].count(b) > 1:
            expected.append((number, "unique", "b", None if b is None else b.hex()))

    schema: dict[str, Any] = {"n": pl.Int64, "f": pl.Float64, "items": pl.List(pl.Int64), "b": pl.Binary, "__dropped": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("__row").cast({"__row": pl.Int64})
    engines: tuple[Literal["in-memory", "streaming"], ...] = ("in-memory", "streaming")
    for engine in engines:
        found = reasons(judge(frame.lazy(), compile_contract(Plain)).collect(engine=engine))
        assert found.schema == {"__row": pl.Int64, "rule": pl.String, "column": pl.String, "value": pl.String}
        assert sorted(found.rows(), key=str) == sorted(expected, key=str)
        assert found["__row"].is_sorted()


def test_rules_over_several_columns_show_every_value() -> None:
    frame = pl.LazyFrame({"__row": [7, 8], "a": [1, None], "b": [0.5, 2.0]})

    class Ordered(pa.DataFrameModel):
        a: int = pa.Field(nullable=True)
        b: float

        @pa.dataframe_check(ignore_na=False)
        def ordered(cls, data: pa.PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.col("a") < pl.col("b"))

    assert reasons(judge(frame, compile_contract(Ordered)).collect()).rows() == [
        (7, "ordered", "a,b", "a=1, b=0.5"),
        (8, "ordered", "a,b", "a=null, b=2.0"),
    ]


class Raw(pa.DataFrameModel):
    """A raw contract."""

    n: str


class Clean(pa.DataFrameModel):
    """What becomes of it."""

    n: int
    m: int


def test_a_value_refused_by_a_cleaning_step_is_not_refused_again_for_being_null() -> None:
    frame = pl.LazyFrame({"__row": [0, 1, 2], "n": ["1", "x", None]})
    judged = frame.pipe(judge, compile_contract(Raw)).pipe(cleaning.to_integer, "n").with_columns(m=pl.col("n"))
    found = reasons(judge(judged, compile_contract(Clean)).collect()).rows()
    assert found == [(1, "integer", "n", "x"), (1, "not_null", "m", None), (2, "not_null", "n", None), (2, "not_null", "m", None)]


def test_a_frame_in_which_nothing_is_noted_has_no_reasons() -> None:
    assert reasons(pl.DataFrame({"__row": [1], "a": [1]})).rows() == []
    found = reasons(judge(pl.LazyFrame({"__row": [1], "n": ["x"]}), compile_contract(Raw)).collect())
    assert (found.height, found.columns) == (0, ["__row", "rule", "column", "value"])


@pytest.mark.parametrize("dropped", [["r", None], [None, None]])
def test_unique_counts_only_rows_that_stay(dropped: list[str | None]) -> None:
    class Keyed(pa.DataFrameModel):
        k: int
        j: str

        class Config:
            unique = ["k", "j"]  # noqa: RUF012

    frame = pl.LazyFrame(
        {"__row": [0, 1], "k": [1, 1], "j": ["a", "a"], "__dropped": dropped}, schema_overrides={"__dropped": pl.String}
    )
    found = reasons(judge(frame, compile_contract(Keyed)).collect()).rows()
    assert found == ([] if dropped[0] else [(0, "unique", "k,j", "k=1, j=a"), (1, "unique", "k,j", "k=1, j=a")])

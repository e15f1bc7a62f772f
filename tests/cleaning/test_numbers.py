"""Numbers and truth values read from text, held to Python's own exact numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import cleaning
from featurestore.core.errors import DefinitionError

DIGITS = frozenset("0123456789")
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1]).map(str),
    st.integers(-(10**6), 10**6).map(lambda n: f"{n}.0"),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000).map(str),
    st.text(st.sampled_from("0123456789.+-eE _٣"), max_size=8),
    st.text(max_size=4),
)


def slow_integer(text: str) -> int | None:
    """The integer a text is, by the rule in words: sign, digits, perhaps a point and zeros."""
    text = text.strip(" ")
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    whole, point, zeros = unsigned.partition(".")
    if not whole or not set(whole) <= DIGITS or (point and (not zeros or set(zeros) != {"0"})):
        return None
    value = -int(whole) if text[0] == "-" else int(whole)
    return value if -(2**63) <= value < 2**63 else None


def slow_float(text: str) -> float | None:
    """The nearest double of a decimal text, found with fractions."""
    text = text.strip(" ")
    mantissa, mark, exponent = text.replace("E", "e").partition("e")
    unsigned = mantissa[1:] if mantissa[:1] in ("+", "-") else mantissa
    power = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    if unsigned.count(".") > 1 or not unsigned.replace(".", "") or not set(unsigned.replace(".", "")) <= DIGITS:
        return None
    if mark and (not power or not set(power) <= DIGITS):
        return None
    if len(power) > 6:
        return None if exponent[0] != "-" and unsigned.strip("0.") else 0.0
    try:
        return float(Fraction(Decimal(text)))
    except OverflowError:
        return None


def outcome(frame: pl.DataFrame, rule: str) -> list[tuple[object, object]]:
    return frame.select("x", f"__refused|{rule}|x").rows()


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.none() | NUMBERS.filter(lambda text: text.strip() == text.strip(" ")), min_size=1, max_size=20))
def test_to_integer_reads_what_is_an_integer_and_notes_the_rest(texts: list[str | None]) -> None:
    found = pl.LazyFrame({"x": texts}, schema={"x": pl.String}).pipe(cleaning.to_integer, "x").collect()
    expected = [(None, None) if t is None else ((n, None) if (n := slow_integer(t)) is not None else (None, t)) for t in texts]
    assert found.schema["x"] == pl.Int64
    assert outcome(found, "integer") == expected


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.none() | NUMBERS.filter(lambda text: text.strip() == text.strip(" ")), min_size=1, max_size=20))
def test_to_float_reads_the_nearest_double_and_notes_the_rest(texts: list[str | None]) -> None:
    found = pl.LazyFrame({"x": texts}, schema={"x": pl.String}).pipe(cleaning.to_float, "x").collect()
    for (value, refused), text in zip(outcome(found, "float"), texts, strict=True):
        expected = None if text is None else slow_float(text)
        assert value == expected
        assert refused == (text if expected is None else None)


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity", "1e999", "0x10", "1_000", "1,5", ""])
def test_words_and_overflow_are_no_float(text: str) -> None:
    assert outcome(pl.LazyFrame({"x": [text]}).pipe(cleaning.to_float, "x").collect(), "float") == [(None, text)]


def test_the_smallest_numbers_survive() -> None:
    texts = ["5e-324", "2.2250738585072014e-308", "-0.0", "1e-999"]
    values = pl.LazyFrame({"x": texts}).pipe(cleaning.to_float, "x").collect()["x"].to_list()
    assert values == [5e-324, 2.2250738585072014e-308, 0.0, 0.0]
    assert math.copysign(1, values[2]) == -1


def test_to_boolean_reads_words_in_any_case() -> None:
    texts = ["TRUE", " yes ", "1", "f", "No", "0", "maybe", "", None]
    found = pl.LazyFrame({"x": texts}).pipe(cleaning.to_boolean, "x").collect()
    assert outcome(found, "boolean") == [
        (True, None), (True, None), (True, None), (False, None), (False, None), (False, None), (None, "maybe"),
        (None, ""), (None, None),
    ]  # fmt: skip


def test_to_boolean_takes_other_words() -> None:
    found = pl.LazyFrame({"x": ["Ja", "nein", "yes"]}).pipe(cleaning.to_boolean, "x", true=["ja"], false=["Nein"]).collect()
    assert outcome(found, "boolean") == [(True, None), (False, None), (None, "yes")]
    with pytest.raises(DefinitionError, match="ja means both true and false"):
        cleaning.to_boolean(pl.LazyFrame({"x": ["a"]}), "x", true=["Ja"], false=["jA"])


def test_several_columns_are_converted_and_noted_each() -> None:
    found = pl.LazyFrame({"a": ["1", "x"], "b": ["y", "2"]}).pipe(cleaning.to_integer, "a", "b").collect()
    assert found.rows(named=True) == [
        {"a": 1, "__refused|integer|a": None, "b": None, "__refused|integer|b": "y"},
        {"a": None, "__refused|integer|a": "x", "b": 2, "__refused|integer|b": None},
    ]


def test_a_refusal_noted_by_an_earlier_step_stays() -> None:
    found = (
        pl.LazyFrame({"x": ["one", "1"]})
        .pipe(cleaning.to_integer, "x")
        .with_columns(pl.lit("two").alias("x"))
        .pipe(cleaning.to_integer, "x")
        .collect()
    )
    assert outcome(found, "integer") == [(None, "one"), (None, "two")]


@pytest.mark.parametrize(
    "step", [cleaning.to_integer, cleaning.to_float, cleaning.to_boolean, cleaning.strip_text, cleaning.uppercase]
)
def test_a_step_names_the_column_that_is_not_there_or_is_no_text(step: object) -> None:
    assert callable(step)
    frame = pl.LazyFrame({"quantity": ["1"], "price": [1.5], "__row": [0]})
    with pytest.raises(DefinitionError, match=r"there is no column 'quantty' at this step; did you mean quantity"):
        frame.pipe(step, "quantty")
    with pytest.raises(DefinitionError, match=r"reads text, and column price is Float64"):
        frame.pipe(step, "price")
    with pytest.raises(DefinitionError, match=r"is given no column"):
        frame.pipe(step)

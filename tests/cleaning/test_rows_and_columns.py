"""Steps on rows, columns and text: what they note, and that nothing is lost."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import cleaning
from featurestore.core.errors import DefinitionError

# The characters with Unicode's property White_Space.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def slow_strip(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    words = "".join(" " if character in SPACES else character for character in normal).split(" ")
    return " ".join(word for word in words if word)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.none() | st.text(st.sampled_from("aé" + "e\u0301" + "Å\u212b" + SPACES), max_size=10), min_size=1, max_size=20
    )
)
def test_strip_text_gives_one_form_to_what_looks_the_same(texts: list[str | None]) -> None:
    found = pl.LazyFrame({"x": texts}, schema={"x": pl.String}).pipe(cleaning.strip_text, "x").collect()["x"].to_list()
    assert found == [None if text is None else slow_strip(text) for text in texts]


def test_uppercase_follows_unicode() -> None:
    assert pl.LazyFrame({"x": ["85123a", "straße", "ﬁ", None]}).pipe(cleaning.uppercase, "x").collect()["x"].to_list() == [
        "85123A", "STRASSE", "FI", None,
    ]  # fmt: skip


def test_null_if_takes_whole_texts_only() -> None:
    frame = pl.LazyFrame({"x": ["?", "??", "", "n/a", None, "ok"]})
    assert frame.pipe(cleaning.null_if, "x", ["?", "n/a"]).collect()["x"].to_list() == [None, "??", "", None, None, "ok"]
    assert frame.pipe(cleaning.null_if, "x", "").collect()["x"].to_list() == ["?", "??", None, "n/a", None, "ok"]
    with pytest.raises(DefinitionError, match="given no token"):
        cleaning.null_if(frame, "x", [])


def test_drop_rows_keeps_every_row_and_the_first_rule_wins() -> None:
    frame = pl.LazyFrame({"n": [-2, -1, 0, 1, None]})
    found = (
        frame.pipe(cleaning.drop_rows, "negative", pl.col("n") < 0)
        .pipe(cleaning.drop_rows, "not_positive", pl.col("n") <= 0)
        .collect()
    )
    assert found.rows() == [(-2, "negative"), (-1, "negative"), (0, "not_positive"), (1, None), (None, None)]


def test_refuse_rows_notes_the_value_and_null_too() -> None:
    frame = pl.LazyFrame({"n": [1.5, None, 3.0], "kind": ["a", "b", "c"]})
    found = frame.pipe(cleaning.refuse_rows, "odd", "n", pl.col("kind") != "c").collect()
    assert found["__refused|odd|n"].to_list() == ["1.5", "\x00", None]
    assert found["n"].to_list() == [1.5, None, 3.0]
    with pytest.raises(DefinitionError, match="name a column of text, numbers or times"):
        cleaning.refuse_rows(pl.LazyFrame({"l": [[1]]}), "odd", "l", pl.lit(True))


def test_flag_is_false_where_the_condition_is_unknown() -> None:
    found = pl.LazyFrame({"n": [-1, 1, None]}).pipe(cleaning.flag, "is_return", pl.col("n") < 0).collect()
    assert found["is_return"].to_list() == [True, False, False]


ROWS = st.lists(st.tuples(st.sampled_from(["f1", "f2"]), st.sampled_from(["a", "b", None]), st.booleans()), max_size=30)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_row_number_counts_within_file_and_group_in_the_order_of_rows(
    rows: list[tuple[str, str | None, bool]], order: object
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    counts: dict[tuple[str, str | None], int] = {}
    expected = {}
    for number, (file, group, _) in enumerate(rows):
        counts[file, group] = counts.get((file, group), 0) + 1
        expected[number] = counts[file, group]
    places = list(range(len(rows)))
    order.shuffle(places)  # type: ignore[attr-defined]
    schema = {"__file": pl.String, "group": pl.String, "bad": pl.Boolean, "__row": pl.Int64}
    frame = pl.LazyFrame([(*rows[n], n) for n in places], schema=schema, orient="row").pipe(
        cleaning.drop_rows, "bad", pl.col("bad")
    )
    found = frame.pipe(cleaning.row_number, "line", within=["group"]).collect()
    assert found.schema["line"] == pl.Int64
    assert found["__row"].to_list() == places
    assert found.select("__row", "line").rows() == [(n, expected[n]) for n in places]
    # The first file prepared alone gives its rows the same numbers.
    alone = frame.filter(pl.col("__file") == "f1").pipe(cleaning.row_number, "line", within=["group"]).collect()
    assert alone.select("__row", "line").rows() == [(n, expected[n]) for n in places if rows[n][0] == "f1"]


def test_rename_keeps_what_was_noted_under_the_old_name() -> None:
    frame = pl.LazyFrame({"A": ["x"], "B": ["1"], "__row": [0]}).pipe(cleaning.to_integer, "A")
    assert frame.pipe(cleaning.rename, {"A": "b", "B": "A"}).collect().to_dicts() == [
        {"b": None, "A": "1", "__row": 0, "__refused|integer|A": "x"}
    ]


def test_select_keeps_the_rows_origin_and_fate() -> None:
    frame = pl.LazyFrame({"a": [1], "b": [2], "__file": ["f"], "__dropped": ["rule"]})
    found = cleaning.select(frame, "a", pl.col("b").alias("c"), d=pl.col("a") + pl.col("b")).collect()
    assert found.to_dicts() == [{"a": 1, "c": 2, "d": 3, "__file": "f", "__dropped": "rule"}]


FRAME = pl.LazyFrame({"quantity": [1], "price": [1.0], "__row": [0], "__file": ["f"]})
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: cleaning.rename(FRAME, {"quantty": "q"}), "rename: there is no column 'quantty' at this step; did you mean quantity"),
    (lambda: cleaning.rename(FRAME, {"quantity": "price"}), "there is a column price already"),
    (lambda: cleaning.rename(FRAME, {"quantity": "q", "price": "q"}), "more than one column would be called q"),
    (lambda: cleaning.rename(FRAME, {"quantity": "__q"}), "begins with __"),
    (lambda: cleaning.rename(FRAME, {"__row": "row"}), "__row belongs to the store"),
    (lambda: cleaning.select(FRAME, "quantity", "prize"), "select: there is no column 'prize' at this step; did you mean price"),
    (lambda: cleaning.select(FRAME, pl.col("prize") * 2), "did you mean price"),
    (lambda: cleaning.select(FRAME, "quantity", "__row"), "__row begins with __; leave it out"),
    (lambda: cleaning.select(FRAME, "quantity", "quantity"), "select cannot be computed"),
    (
        lambda: cleaning.drop_rows(FRAME, "free", pl.col("prise") == 0),
        "drop_rows: there is no column 'prise' .* did you mean price",
    ),
    (lambda: cleaning.drop_rows(FRAME, "free", pl.col("price")), "the condition gives Float64"),
    (lambda: cleaning.drop_rows(FRAME, "free", pl.col("price").str.len_chars() > 1), "the condition cannot be computed"),
    (lambda: cleaning.drop_rows(FRAME, "", pl.col("price") == 0), "cannot name a rule"),
    (lambda: cleaning.refuse_rows(FRAME, "a|b", "price", pl.col("price") == 0), "cannot name a rule"),
    (lambda: cleaning.refuse_rows(FRAME, "free", "prise", pl.col("price") == 0), "there is no column 'prise'"),
    (lambda: cleaning.flag(FRAME, "price", pl.col("price") == 0), "there is a column price already"),
    (lambda: cleaning.row_number(FRAME, "line", within="quantity"), r"write within=\['quantity'\]"),
    (lambda: cleaning.row_number(FRAME, "line", within=["quantty"]), "row_number: there is no column 'quantty'"),
    (lambda: cleaning.row_number(FRAME, "__line", within=["quantity"]), "begins with __"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_a_wrong_definition_is_named_at_once(call: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        call()

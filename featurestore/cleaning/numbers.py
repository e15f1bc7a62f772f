"""Steps that read numbers and truth values from text, and refuse what is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl

from featurestore.cleaning.frames import need_text, refusal
from featurestore.core.errors import DefinitionError

_INTEGER = r"^([+-]?[0-9]+)(?:\.0+)?$"
_FLOAT = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def to_integer(frame: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """Int64 from text such as `12346`, `-5` or `12346.0` (spaces around it aside); exact over the whole range of int64.

    Anything else, a fraction or an exponent too, becomes null and is refused under the rule "integer". Null stays null.

    Raises:
        DefinitionError: a column does not exist or is not text.
    """
    return _convert(frame, "to_integer", "integer", columns, _integer)


def to_float(frame: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """Float64 from decimal text, with or without an exponent (spaces around it aside): the nearest double.

    Anything else becomes null and is refused under the rule "float": words such as nan and inf, and what no double holds (1e999).
    Null stays null.

    Raises:
        DefinitionError: a column does not exist or is not text.
    """
    return _convert(frame, "to_float", "float", columns, _float)


def to_boolean(
    frame: pl.LazyFrame,
    *columns: str,
    true: Iterable[str] = ("true", "t", "yes", "y", "1"),
    false: Iterable[str] = ("false", "f", "no", "n", "0"),
) -> pl.LazyFrame:
    """Boolean from words, in any case, spaces around them aside.

    Any other text becomes null and is refused under the rule "boolean". Null stays null.

    Raises:
        DefinitionError: a column does not exist or is not text, or one word means both.
    """
    yes, no = ({word.lower() for word in words} for words in (true, false))
    if yes & no:
        raise DefinitionError(f"cleaning.to_boolean: {', '.join(sorted(yes & no))} means both true and false", "take it out of one")

    def convert(text: pl.Expr) -> pl.Expr:
        word = text.str.to_lowercase()
        return pl.when(word.is_in(sorted(yes))).then(pl.lit(True)).when(word.is_in(sorted(no))).then(pl.lit(False))

    return _convert(frame, "to_boolean", "boolean", columns, convert)


def _integer(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_INTEGER).cast(pl.Int64, strict=False)


def _float(text: pl.Expr) -> pl.Expr:
    number = pl.when(text.str.contains(_FLOAT)).then(text).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _convert(
    frame: pl.LazyFrame, step: str, rule: str, columns: tuple[str, ...], convert: Callable[[pl.Expr], pl.Expr]
) -> pl.LazyFrame:
    schema = frame.collect_schema()
    need_text(schema, step, columns)
    changes = []
    for name in columns:
        converted = convert(pl.col(name).str.strip_chars())
        changes += [converted.alias(name), refusal(schema, rule, name, pl.col(name).is_not_null() & converted.is_null())]
    return frame.with_columns(changes)

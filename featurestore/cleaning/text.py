"""Steps on text: spaces, letters' form and case, and words that mean nothing is known."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from featurestore.cleaning.frames import need_text
from featurestore.core.errors import DefinitionError


def strip_text(frame: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """One form for text that looks the same: Unicode NFC, no space at either end, one space for each run of white space inside.

    White space is Unicode's (no-break spaces, tabs and newlines too). Text of nothing but spaces becomes empty text, not null: say
    `null_if(column, "")` for that.

    Raises:
        DefinitionError: a column does not exist or is not text.
    """
    need_text(frame.collect_schema(), "strip_text", columns)
    return frame.with_columns(pl.col(columns).str.normalize("NFC").str.replace_all(r"\s+", " ").str.strip_chars())


def uppercase(frame: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """Text in capitals, by Unicode's rules.

    Raises:
        DefinitionError: a column does not exist or is not text.
    """
    need_text(frame.collect_schema(), "uppercase", columns)
    return frame.with_columns(pl.col(columns).str.to_uppercase())


def null_if(frame: pl.LazyFrame, column: str, tokens: str | Iterable[str]) -> pl.LazyFrame:
    """Null where the text is exactly one of `tokens`, such as "?", "N/A" or "".

    Raises:
        DefinitionError: the column does not exist or is not text, or there is no token.
    """
    need_text(frame.collect_schema(), "null_if", [column])
    known = [tokens] if isinstance(tokens, str) else list(tokens)
    if not known:
        raise DefinitionError("cleaning.null_if is given no token", "name the texts that mean null")
    return frame.with_columns(pl.when(~pl.col(column).is_in(known)).then(pl.col(column)).alias(column))

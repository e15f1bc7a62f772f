"""Steps on a frame's columns as a whole: new names, and a choice that keeps the rows' origin."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from featurestore.cleaning.frames import need, need_new, visible
from featurestore.core.errors import DefinitionError, nearest
from featurestore.core.fates import is_hidden


def rename(frame: pl.LazyFrame, mapping: Mapping[str, str]) -> pl.LazyFrame:
    """Give columns new names: old name -> new name. What was refused before stays noted under the old name.

    Raises:
        DefinitionError: an old name does not exist, or a new one does (unless it is renamed too) or begins with `__`.
    """
    schema = frame.collect_schema()
    need(schema, "rename", mapping)
    hidden = [name for name in mapping if is_hidden(name)]
    if hidden:
        raise DefinitionError(f"cleaning.rename: {', '.join(hidden)} belongs to the store", "leave it out")
    twice = sorted({new for new in mapping.values() if list(mapping.values()).count(new) > 1})
    if twice:
        raise DefinitionError(f"cleaning.rename: more than one column would be called {', '.join(twice)}", "choose other names")
    staying = pl.Schema({name: dtype for name, dtype in schema.items() if name not in mapping})
    for new in mapping.values():
        need_new(staying, "rename", new)
    return frame.rename(mapping)


def select(frame: pl.LazyFrame, *columns: str | pl.Expr, **named: pl.Expr) -> pl.LazyFrame:
    """Like `LazyFrame.select`, but the rows keep their origin and what was noted of them (the columns that begin with `__`).

    Raises:
        DefinitionError: a column does not exist, or an output begins with `__`.
    """
    schema = frame.collect_schema()
    chosen = frame.select(*columns, **named)
    try:
        outputs = chosen.collect_schema()
    except pl.exceptions.ColumnNotFoundError as error:
        roots = [name for item in (*columns, *named.values()) for name in _roots(item)]
        missing = [name for name in roots if name not in schema]
        likely = ", ".join(near for name in missing for near in nearest(name, visible(schema), 1))
        raise DefinitionError(
            f"cleaning.select: there is no column {', '.join(map(repr, missing)) or error} at this step", f"did you mean {likely}?"
        ) from error
    except pl.exceptions.PolarsError as error:
        raise DefinitionError(f"cleaning.select cannot be computed ({error})", "mend the expressions") from error
    taken = [name for name in outputs if is_hidden(name)]
    if taken:
        raise DefinitionError(f"cleaning.select: {', '.join(taken)} begins with __", "leave it out: such columns are kept anyway")
    return frame.select(*columns, *(pl.col(name) for name in schema if is_hidden(name)), **named)


def _roots(item: str | pl.Expr) -> list[str]:
    return [item] if isinstance(item, str) else item.meta.root_names()

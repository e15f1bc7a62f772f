"""Pandera models to contracts: each check becomes a Polars expression that judges one row, and what cannot become one is refused.

Pandera validates a frame as a whole, collecting it once for every check, and on a LazyFrame looks at the schema alone. Its checks
are functions that select an expression from a frame, though: called with a frame that remembers what was selected, they give the
very expression that pandera would compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandera.backends.polars.builtin_checks  # noqa: F401  (it makes the built-in checks known for Polars)
import pandera.polars as pa
import polars as pl
from pandera.api.function_dispatch import Dispatcher
from pandera.errors import SchemaDefinitionError, SchemaInitError

from featurestore.core.errors import DefinitionError
from featurestore.core.fates import is_hidden
from featurestore.validation.contract import Contract, ContractColumn, Rule
from featurestore.validation.dtypes import value_type

_HOW = "write it as data.lazyframe.select(expression), with an expression that judges each row by itself"


def compile_contract(model: type) -> Contract:
    """The contract that a `pandera.polars.DataFrameModel` states.

    Every check of a column or of the frame is kept, or refused here: nothing that pandera would check is left out in silence.

    Raises:
        DefinitionError: not such a model; a column type that no feature type holds; a check that is no expression over one row;
            an option that would change data instead of judging it (coerce, default, parsers ...).
    """
    if not (isinstance(model, type) and issubclass(model, pa.DataFrameModel)):
        raise DefinitionError(f"{model!r} is no contract", "give a class derived from pandera.polars.DataFrameModel")
    try:
        schema = model.to_schema()
    except (SchemaInitError, SchemaDefinitionError, TypeError, ValueError, AttributeError) as error:
        raise DefinitionError(f"contract {model.__name__} is malformed ({error})", "mend the class") from error
    name = model.__name__
    _refuse_options(name, schema)
    if not schema.columns:
        raise DefinitionError(f"contract {name} has no column", "declare its columns as annotated fields")

    dtypes = {column: _dtype(f"contract {name}: column {column}", schema, part) for column, part in schema.columns.items()}
    sample = pl.LazyFrame({column: [None] for column in dtypes}, schema=dtypes)
    columns = tuple(_column(name, column, part, dtypes[column], sample) for column, part in schema.columns.items())
    checks = tuple(_rule(f"contract {name}", check, None, sample) for check in schema.checks)
    return Contract(name, columns, _unique_sets(name, schema.unique, dtypes), checks)


def _refuse_options(name: str, schema: Any) -> None:
    changing = {
        "coerce": schema.coerce,
        "strict='filter'": schema.strict == "filter",
        "ordered": schema.ordered,
        "add_missing_columns": schema.add_missing_columns,
        "drop_invalid_rows": schema.drop_invalid_rows,
        "a parser": schema.parsers,
    }
    _refuse_set(f"contract {name}", changing)


def _refuse_set(where: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise DefinitionError(
                f"{where} asks for {option}, but a contract here judges rows and changes nothing",
                "take the option out, and do in the table's function what it would do",
            )


def _dtype(where: str, schema: Any, part: Any) -> pl.DataType:
    declared = schema.dtype or part.dtype
    if declared is None:
        raise DefinitionError(f"{where} has no type", "annotate it with one")
    dtype = declared.type
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _column(contract: str, name: str, part: Any, dtype: pl.DataType, sample: pl.LazyFrame) -> ContractColumn:
    where = f"contract {contract}: column {name}"
    if is_hidden(name):
        raise DefinitionError(f"{where} begins with __, as the store's own columns do", "choose another name")
    _refuse_set(
        where,
        {
            "coerce": part.coerce,
            "a default": part.default is not None,
            "regex": part.regex,
            "drop_invalid_rows": part.drop_invalid_rows,
            "a parser": part.parsers,
        },
    )
    if not part.required:
        raise DefinitionError(f"{where} is optional, but a table always has the same columns", "use Field(nullable=True) instead")
    checks = tuple(_rule(where, check, name, sample) for check in part.checks)
    return ContractColumn(name, dtype, value_type(dtype, where), bool(part.nullable), bool(part.unique), checks)


def _unique_sets(name: str, declared: Any, dtypes: dict[str, pl.DataType]) -> tuple[tuple[str, ...], ...]:
    if not declared:
        return ()
    names = [declared] if isinstance(declared, str) else list(declared)
    sets = [tuple(names)] if all(isinstance(item, str) for item in names) else [tuple(item) for item in names]
    unknown = sorted({column for columns in sets for column in columns if column not in dtypes})
    if unknown:
        raise DefinitionError(f"contract {name}: unique names {', '.join(unknown)}, which is no column of it", "mend its Config")
    return tuple(sets)


def _rule(where: str, check: Any, column: str | None, sample: pl.LazyFrame) -> Rule:
    """The check as a rule. `column` is None for a check of the whole frame, whose reasons show every column it looks at."""
    name = str(check.name)
    if not name or "|" in name or name == "<lambda>":
        raise DefinitionError(f"{where}: a check is called {name!r}", "give it a name of its own, without |")
    where = f"{where}: check {name}"
    if check.raise_warning:
        raise DefinitionError(f"{where} only warns, and a row is either kept or refused", "take raise_warning out, or the check")
    if check.element_wise or check.groupby:
        raise DefinitionError(f"{where} is {'element-wise' if check.element_wise else 'grouped'}, so it is no expression", _HOW)

    passes = _selected(where, check, column, sample)
    _need_row_separable(where, passes)
    kind = _result(where, sample, passes)
    if kind != [pl.Boolean]:
        raise DefinitionError(f"{where} gives {', '.join(map(str, kind))}, not true or false", _HOW)
    columns = (column,) if column is not None else tuple(dict.fromkeys(passes.meta.root_names()))
    # A null verdict passes, unless the check says that nulls are to be looked at.
    return Rule(name, columns, passes.not_() if check.ignore_na else passes.fill_null(False).not_())


class _Remembering(pl.LazyFrame):
    """A frame of the contract's columns that gives back what is selected from it. Any other step leads to an ordinary frame."""

    def __init__(self, sample: pl.LazyFrame) -> None:
        super().__init__(schema=sample.collect_schema())
        self._is_original = True

    def select(self, *exprs: Any, **named: Any) -> Any:
        # Polars makes the frames that its methods return with this class too, without calling __init__.
        if getattr(self, "_is_original", False):
            return _Selected((*exprs, *named.values()))
        return super().select(*exprs, **named)


class _Selected:
    """What a check selected."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.expressions = [pl.col(item) if isinstance(item, str) else item for item in _flat(items)]


def _flat(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Iterable) and not isinstance(item, str):
            yield from _flat(item)
        else:
            yield item


def _selected(where: str, check: Any, column: str | None, sample: pl.LazyFrame) -> pl.Expr:
    function = check._check_fn
    if isinstance(function, Dispatcher):
        # A model made before the built-in checks were known for Polars holds a dispatcher that does not know them.
        function = check.get_builtin_check_fn(function.__name__)
    # Pandera keeps the values of isin in a frozenset, whose order differs from process to process.
    options = {k: sorted(v, key=repr) if isinstance(v, (set, frozenset)) else v for k, v in check._check_kwargs.items()}
    try:
        found = function(pa.PolarsData(_Remembering(sample), column or "*"), **options)
    except Exception as error:  # the contract's author wrote this code: whatever it raises is theirs to mend
        raise DefinitionError(f"{where} raised {type(error).__name__} ({error})", _HOW) from error
    if (
        not isinstance(found, _Selected)
        or not all(isinstance(item, pl.Expr) for item in found.expressions)
        or not found.expressions
    ):
        raise DefinitionError(f"{where} is not one selected expression, so it cannot judge rows", _HOW)
    return found.expressions[0] if len(found.expressions) == 1 else pl.all_horizontal(found.expressions)


def _need_row_separable(where: str, expression: pl.Expr) -> None:
    try:
        separable = all(part.meta.is_row_separable() for part in _parts(expression)) and bool(expression.meta.root_names())
    except pl.exceptions.PolarsError as error:
        raise DefinitionError(f"{where} cannot be taken apart ({error}): a function of Python's, or a selector?", _HOW) from error
    if not separable:
        raise DefinitionError(
            f"{where} depends on other rows or on none, so a row's verdict would change with the files it is prepared with", _HOW
        )


def _parts(expression: pl.Expr) -> Iterator[pl.Expr]:
    yield expression
    for part in expression.meta.pop():
        yield from _parts(part)


def _result(where: str, sample: pl.LazyFrame, expression: pl.Expr) -> list[pl.DataType]:
    """The types the expression gives, found by computing it on one row of nulls: a wrong type or pattern shows there."""
    try:
        return list(sample.select(expression).collect().dtypes)
    except pl.exceptions.PolarsError as error:
        raise DefinitionError(f"{where} cannot be computed on this contract's columns ({error})", "mend the check") from error

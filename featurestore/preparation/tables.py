"""Prepared tables as a project defines them: a function with a contract, whose parameters name its inputs."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from featurestore import registry
from featurestore.core import catalog
from featurestore.core.errors import DefinitionError, nearest
from featurestore.core.types import ValueType
from featurestore.preparation.places import table_path
from featurestore.validation import Contract, compile_contract

Kind = Literal["polars", "sql"]


@dataclass(frozen=True, eq=False)
class Table:
    """One prepared table. Made by the decorators `table` and `sql_table`, found by its function's name.

    `function` gives a LazyFrame ("polars") or the text of a query ("sql") from `inputs`, which are its parameters' names.
    `max_quarantined` is the greatest share of a run's rows that may be refused, 0 to 1. `code_hash` is a SHA-256 over the
    function's import path and source, the contract, key and timestamp; `ProjectTables.code_hash` adds what the function uses.
    """

    name: str
    kind: Kind
    function: Callable[..., Any]
    contract: Contract
    key: tuple[str, ...]
    timestamp_field: str
    created_timestamp_column: str | None
    max_quarantined: float
    inputs: tuple[str, ...]
    code_hash: str = field(repr=False)

    def __post_init__(self) -> None:
        what = f"table {self.name}"
        if not self.key:
            raise DefinitionError(f"{what} has no key", "give the columns that make a row unique, such as key=['order_id']")
        if not 0 <= self.max_quarantined <= 1:
            raise DefinitionError(f"{what}: max_quarantined is {self.max_quarantined}", "give a share from 0 to 1, such as 0.05")
        columns = {column.name: column for column in self.contract.columns}
        created = [self.created_timestamp_column] if self.created_timestamp_column else []
        roles = (
            [("key", k) for k in self.key]
            + [("timestamp_field", self.timestamp_field)]
            + [("created timestamp", c) for c in created]
        )
        for role, name in roles:
            if name not in columns:
                offer = f"did you mean {', '.join(nearest(name, columns))}?"
                raise DefinitionError(f"{what}: the {role} column {name} is not in contract {self.contract.name}", offer)
            if columns[name].nullable:
                raise DefinitionError(
                    f"{what}: the {role} column {name} may be null in contract {self.contract.name}", "make it nullable=False there"
                )
        types = {f.name: f.dtype for f in self.contract.fields}
        lists = [name for name in self.key if types[name].name.endswith("_LIST")]
        if lists:
            raise DefinitionError(f"{what}: the key column {lists[0]} is a list", "name columns of plain values")
        for name in (self.timestamp_field, *created):
            if types[name] is not ValueType.UNIX_TIMESTAMP:
                raise DefinitionError(
                    f"{what}: {name} is {types[name].name} in contract {self.contract.name}",
                    "make it a UTC datetime in microseconds",
                )
        if not self.inputs:
            raise DefinitionError(
                f"{what}: {place(self.function)} has no parameter", "name its inputs, a CsvSource or tables, as parameters"
            )

    @property
    def path(self) -> str:
        """The table's Delta folder, relative to the project's root."""
        return table_path(self.name)

    @cached_property
    def source(self) -> Any:
        """A Feast FileSource (Delta) over the published table, for any Feast object to stand on. The same object each time."""
        return registry.delta_source(self.name, self.path, self.timestamp_field, self.created_timestamp_column)


def table(
    *,
    contract: type,
    key: Sequence[str],
    timestamp_field: str,
    created_timestamp_column: str | None = None,
    max_quarantined: float = 0.05,
) -> Callable[[Callable[..., Any]], Table]:
    """Make a table of a function from LazyFrames to a LazyFrame. Its parameters name what it reads: a CsvSource or other tables.

    The result has the columns of `contract` (a pandera DataFrameModel), one row for each value of `key`, and says in
    `timestamp_field` when the row became true. Over raw files, rows are never filtered out but marked by cleaning steps.

    Raises:
        DefinitionError: key or timestamp are missing from the contract or may be null, or the function has no usable parameters.
    """

    def make(function: Callable[..., Any]) -> Table:
        return _make(function, "polars", contract, key, timestamp_field, created_timestamp_column, max_quarantined)

    return make


def sql_table(
    *,
    contract: type,
    key: Sequence[str],
    timestamp_field: str,
    created_timestamp_column: str | None = None,
    max_quarantined: float = 0.05,
) -> Callable[[Callable[..., Any]], Table]:
    """Make a table of a function that returns one DuckDB query. Its parameters name the tables that the query reads.

    Each parameter is given the table's name, so an f-string may use it. All else as `table`.
    """

    def make(function: Callable[..., Any]) -> Table:
        return _make(function, "sql", contract, key, timestamp_field, created_timestamp_column, max_quarantined)

    return make


def spec(table: Table) -> catalog.Table:
    """The table as the catalog keeps it."""
    return catalog.Table(
        name=table.name,
        path=table.path,
        key=table.key,
        timestamp_field=table.timestamp_field,
        columns=table.contract.fields,
        inputs=table.inputs,
        code_hash=table.code_hash,
    )


def place(function: Callable[..., Any]) -> str:
    """`module.function` (file:line), as messages name a user's function."""
    code = function.__code__
    return f"{function.__module__}.{function.__qualname__} ({PurePosixPath(code.co_filename).name}:{code.co_firstlineno})"


def _make(
    function: Callable[..., Any],
    kind: Kind,
    contract: type,
    key: Sequence[str],
    timestamp_field: str,
    created_timestamp_column: str | None,
    max_quarantined: float,
) -> Table:
    if not inspect.isfunction(function):
        raise DefinitionError(f"{function!r} cannot be a table", "decorate a plain function")
    if isinstance(key, str):
        raise DefinitionError(f"table {function.__name__}: the key is the text {key!r}", f"give a list, such as key=[{key!r}]")
    compiled = compile_contract(contract)
    return Table(
        name=function.__name__,
        kind=kind,
        function=function,
        contract=compiled,
        key=tuple(key),
        timestamp_field=timestamp_field,
        created_timestamp_column=created_timestamp_column,
        max_quarantined=max_quarantined,
        inputs=_inputs(function),
        code_hash=_code_hash(function, compiled, kind, *key, timestamp_field),
    )


def _inputs(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(f"{place(function)}: parameter {parameter} cannot name an input", "write plain parameter names")
        if parameter.default is not parameter.empty:
            raise DefinitionError(f"{place(function)}: parameter {parameter.name} has a default", "every parameter names an input")
    return tuple(parameter.name for parameter in parameters)


def _code_hash(function: Callable[..., Any], contract: Contract, *words: str) -> str:
    # Taken while the module is being imported: later its file may have been edited.
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        raise DefinitionError(
            f"the source of {function.__module__}.{function.__qualname__} cannot be read", "define it in a module of the project"
        ) from None
    name = f"{function.__module__}.{function.__qualname__}"
    return hashlib.sha256("\n".join([name, source, *words, *contract.lines()]).encode()).hexdigest()

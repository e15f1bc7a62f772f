"""A project's tables and raw sources, checked against each other and put in the order in which they are prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from featurestore.core.errors import DefinitionError, UnknownNameError, nearest
from featurestore.preparation.tables import Table, place
from featurestore.preparation.used_code import used_code
from featurestore.sources import CsvSource
from featurestore.validation import compile_contract


@dataclass(frozen=True)
class ProjectTables:
    """Tables and sources by name, whose inputs all exist and do not go round in a circle.

    Raises:
        DefinitionError: a name is used twice, an input does not exist, tables need each other, or a table reads raw files in a way
            that is not possible.
    """

    tables: tuple[Table, ...]
    sources: tuple[CsvSource, ...]

    def __post_init__(self) -> None:
        names = [*(source.name for source in self.sources), *(table.name for table in self.tables)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DefinitionError(f"more than one table or source is called {', '.join(twice)}", "give each a name of its own")
        for table in self.tables:
            for name in table.inputs:
                if name not in names:
                    raise DefinitionError(
                        f"{place(table.function)} reads {name}, which is neither a table nor a source",
                        f"did you mean {', '.join(nearest(name, set(names) - {table.name}) or ('a CsvSource of that name',))}?",
                    )
            raw = [name for name in table.inputs if name in self._sources]
            if raw and table.kind == "sql":
                raise DefinitionError(
                    f"the SQL table {table.name} reads raw files ({', '.join(raw)})", "put a @table with a contract between them"
                )
            if len(raw) > 1:
                raise DefinitionError(
                    f"table {table.name} reads {len(raw)} raw sources ({', '.join(raw)})", "make a table of each and join those"
                )
            if raw:
                _need_no_unique(table, self._sources[raw[0]])
        try:
            _ = self.order
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise DefinitionError(f"tables need each other: {circle}", "break the circle") from None

    @cached_property
    def _sources(self) -> Mapping[str, CsvSource]:
        return {source.name: source for source in self.sources}

    @cached_property
    def _tables(self) -> Mapping[str, Table]:
        return {table.name: table for table in self.tables}

    @cached_property
    def order(self) -> tuple[Table, ...]:
        """Every table after those it reads; otherwise in the order of definition."""
        sorter = TopologicalSorter({t.name: [n for n in t.inputs if n in self._tables] for t in self.tables})
        return tuple(self._tables[name] for name in sorter.static_order())

    def table(self, name: str) -> Table:
        """The table of that name, or UnknownNameError with the nearest."""
        try:
            return self._tables[name]
        except KeyError:
            raise UnknownNameError("table", name, self._tables) from None

    def raw_source(self, table: Table) -> CsvSource | None:
        """The raw source that a table reads; None for one that reads tables alone."""
        return next((self._sources[name] for name in table.inputs if name in self._sources), None)

    def table_inputs(self, table: Table) -> tuple[Table, ...]:
        """The tables that a table reads, in the order of its parameters."""
        return tuple(self._tables[name] for name in table.inputs if name in self._tables)

    def code_hash(self, table: Table) -> str:
        """A SHA-256 over all that decides what a table's rows are made of the same input: function, contract, key, the constants
        and functions of the project's own modules that the function uses, and the raw source with its contract."""
        source = self.raw_source(table)
        parts = [table.code_hash, *used_code(table.function)]
        if source is not None:
            parts += [source.path, source.separator, *compile_contract(source.contract).lines()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def needed(self, names: Iterable[str] | None) -> tuple[Table, ...]:
        """The tables of these names and all that they need, in order of preparation; every table where `names` is None."""
        if names is None:
            return self.order
        wanted: set[str] = set()
        waiting = [self.table(name) for name in names]
        while waiting:
            table = waiting.pop()
            if table.name not in wanted:
                wanted.add(table.name)
                waiting.extend(self.table_inputs(table))
        return tuple(table for table in self.order if table.name in wanted)


def _need_no_unique(table: Table, source: CsvSource) -> None:
    """Each run over raw files sees its own rows only, so `unique` there would hold for one run and not for the table."""
    for contract in (table.contract, compile_contract(source.contract)):
        unique = [column.name for column in contract.columns if column.unique] + [",".join(names) for names in contract.unique]
        if unique:
            raise DefinitionError(
                f"table {table.name} reads raw files, and contract {contract.name} declares {', '.join(unique)} unique, which cannot "
                "be judged file by file",
                "take `unique` out: the table's key is unique in any case; a table made from this one may declare more",
            )


def collect(objects: Sequence[tuple[str, Any]]) -> ProjectTables:
    """Pick the tables and raw sources out of what a project's modules define, each object once. DefinitionError as above."""
    found = {id(thing): thing for _, thing in objects}.values()
    return ProjectTables(
        tuple(thing for thing in found if isinstance(thing, Table)), tuple(thing for thing in found if isinstance(thing, CsvSource))
    )

"""A compiled contract: a table's columns, their types, and the rules that refuse a row."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from featurestore.core.catalog import Field
from featurestore.core.types import ValueType


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Refuses a row by that row alone.

    `refuse` is a Boolean expression, true where the row is refused and false or null where it is not. `columns` are those whose
    values are given as the reason.
    """

    name: str
    columns: tuple[str, ...]
    refuse: pl.Expr


@dataclass(frozen=True, slots=True, eq=False)
class ContractColumn:
    """A column. `checks` are its rules apart from `nullable` (for floats, NaN counts as null there, as in pandera) and `unique`."""

    name: str
    dtype: pl.DataType
    value_type: ValueType
    nullable: bool
    unique: bool
    checks: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Contract:
    """What every published row of a table keeps.

    `unique` are sets of columns whose values together occur once, `checks` the rules over more than one column.
    """

    name: str
    columns: tuple[ContractColumn, ...]
    unique: tuple[tuple[str, ...], ...]
    checks: tuple[Rule, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns by name and value type, in order."""
        return tuple(Field(column.name, column.value_type) for column in self.columns)

    def lines(self) -> list[str]:
        """All that the contract says, as text that is the same in each process."""
        rules = [rule for column in self.columns for rule in column.checks] + list(self.checks)
        return [
            *(f"{c.name} {c.dtype} nullable={c.nullable} unique={c.unique}" for c in self.columns),
            *(f"{rule.name} {','.join(rule.columns)} {rule.refuse.meta.serialize(format='json')}" for rule in rules),
            *(f"unique {','.join(names)}" for names in self.unique),
        ]

    @property
    def schema(self) -> pl.Schema:
        """The columns by name and Polars type, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

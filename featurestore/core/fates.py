"""The columns that carry a raw row's origin and fate through a preparation job, and what its counts must add up to.

A cleaning step never removes a row: it notes the row's fate in a column that starts with `__`, and the flow carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass

FILE = "__file"
"""String: the input file's path relative to the project."""
LINE = "__line"
"""Int64: the line in that file on which the record starts, counted from 1, the header included."""
ROW = "__row"
"""Int64: the row's number in this run, from 0, in the order of files and lines. Unique."""
DROPPED = "__dropped"
"""String: the name of the first rule that dropped the row; null for a row that stays."""
REFUSED = "__refused"
"""Prefix of `__refused|{rule}|{column}`, String: the value that the rule refused in the column; null where it did not."""
NULL_VALUE = "\x00"
"""What a refused column holds where the refused value is null, since null itself there means: not refused."""
ORIGIN = (FILE, LINE, ROW)
"""The columns that every frame of a raw table's job must keep."""


def refused_column(rule: str, column: str) -> str:
    """The name of the column in which a cleaning step notes the values that `rule` refused in `column`."""
    return f"{REFUSED}|{rule}|{column}"


def refused_parts(name: str) -> tuple[str, str] | None:
    """(rule, column) of a `refused_column` name; None for any other column."""
    prefix, _, rest = name.partition("|")
    if prefix != REFUSED or not rest:
        return None
    rule, _, column = rest.partition("|")
    return rule, column


def is_hidden(name: str) -> bool:
    """Whether a column is ours and no part of the user's data."""
    return name.startswith("__")


@dataclass(frozen=True, slots=True)
class Fates:
    """How many of a run's input rows met which fate. `rows_in` is always the sum of the other four."""

    rows_in: int
    accepted: int
    quarantined: int
    deduplicated: int
    dropped: int

    def __post_init__(self) -> None:
        total = self.accepted + self.quarantined + self.deduplicated + self.dropped
        if total != self.rows_in or min(self.accepted, self.quarantined, self.deduplicated, self.dropped) < 0:
            raise AssertionError(f"rows do not add up: {self}")

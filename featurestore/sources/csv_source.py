"""The definition of a CSV source: where its files are and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from featurestore.core.errors import DefinitionError

FinalNewline = Literal["required", "optional"]


@dataclass(frozen=True, slots=True)
class CsvSource:
    """Raw CSV files, all with the same columns, in UTF-8, quoted as RFC 4180 says.

    `path` is a glob relative to the project's root (`**` for any depth; names that start with a dot are left out). `contract` is
    the pandera DataFrameModel of the raw columns, all of them text: an unquoted empty field is null, a quoted one ("") is empty
    text.

    `final_newline="required"` takes a file whose last line does not end with a newline for one that was cut while it was copied.
    Say "optional" for a producer that writes none; a cut is then seen only where it leaves too few fields or an open quote.

    Raises:
        DefinitionError: a value that cannot be meant.
    """

    name: str
    path: str
    contract: type
    separator: str = ","
    final_newline: FinalNewline = "required"

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise DefinitionError(
                f"{self.name!r} cannot name a source", "use letters, digits and _: functions take it as a parameter"
            )
        if not self.path:
            raise DefinitionError(f"source {self.name} has no path", "give a glob such as data/raw/*.csv")
        if not isinstance(self.contract, type):
            raise DefinitionError(f"source {self.name}: the contract is {self.contract!r}", "give a pandera DataFrameModel class")
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '"\r\n\0':
            raise DefinitionError(
                f"source {self.name}: {self.separator!r} cannot separate fields", "give one ASCII character, such as , ; | or a tab"
            )
        if self.final_newline not in get_args(FinalNewline):
            raise DefinitionError(f"source {self.name}: final_newline is {self.final_newline!r}", "use 'required' or 'optional'")

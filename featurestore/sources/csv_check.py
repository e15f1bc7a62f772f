"""Whether a CSV file is whole and has the columns it should, found by looking at its separators, newlines and quotes alone.

Polars reads a short line as nulls and a cut file as a shorter one, so this is done before any row is read. Numpy finds every mark
in one pass over the bytes; quotes cost extra only in files that have them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from featurestore.core.errors import SourceError
from featurestore.sources.csv_source import CsvSource
from featurestore.sources.input_files import InputFile, digest, read_bytes

BOM = b"\xef\xbb\xbf"
_NEWLINE, _RETURN, _QUOTE = 0x0A, 0x0D, 0x22

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFile:
    """A file that was found whole, and how to get from its records to its lines.

    `rows` counts its records without the header. Record i (from 0) starts on line `first_line + i` plus the number of entries of
    `breaks` that are <= i: each entry is the number of the first record after one newline inside quotes.
    """

    file: InputFile
    rows: int
    first_line: int = 2
    breaks: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def check_files(files: Sequence[InputFile], columns: Sequence[str], source: CsvSource, root: Path) -> tuple[CheckedFile, ...]:
    """Read every file once and see that each is whole, UTF-8, and has exactly `columns` (in any order) on every line.

    Raises:
        SourceError: the first fault, with its file and line; or a file changed since it was listed.
    """
    return tuple(_check_file(file, columns, source, root) for file in files)


def _check_file(file: InputFile, columns: Sequence[str], source: CsvSource, root: Path) -> CheckedFile:
    data = read_bytes(root / file.path)
    if digest(data) != file.digest:
        raise SourceError(f"{file.path} changed while it was being read", "wait until it is written, then run again")
    _check_text(file.path, data)
    _check_returns(file.path, data)
    layout = _layout(file.path, data, source.separator)
    if not layout.is_ended and source.final_newline == "required":
        raise SourceError(
            f"{file.path} ends in the middle of line {layout.line(len(layout.ends) - 1)}: its last line has no newline",
            f"copy the file again; if its producer never writes one, declare final_newline='optional' in source {source.name}",
        )
    _check_header(file.path, _header(file.path, data[: layout.ends[0]], source.separator), columns)
    _check_records(file.path, layout, len(columns))
    return CheckedFile(file, len(layout.ends) - 1, *layout.lines_of_rows())


def _check_text(path: str, data: bytes) -> None:
    if not data.removeprefix(BOM):
        raise SourceError(f"{path} is empty, it has not even a header", "copy the file again, or remove it")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}, line {line}", "convert the file to UTF-8"
        ) from None
    if (offset := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, offset) + 1
        raise SourceError(
            f"{path} holds a zero byte at offset {offset}, line {line}: it is damaged or no text", "copy the file again"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where a file's records are. All positions are byte offsets.

    `starts` and `ends` (of the newline, or of the end of the file) have one entry a record, the header included; `fields` is the
    number of fields of each; `inner` are the newlines inside quotes.
    """

    starts: Positions
    ends: Positions
    fields: Positions
    inner: Positions
    is_ended: bool
    blank: NDArray[np.bool_]

    def line(self, record: int) -> int:
        """The line on which a record starts, from 1."""
        return record + 1 + int(np.searchsorted(self.inner, self.starts[record]))

    def lines_of_rows(self) -> tuple[int, Positions]:
        """`first_line` and `breaks` of a CheckedFile."""
        in_header = int(np.searchsorted(self.inner, self.ends[0]))
        # The record after the one that a newline is in: its number among the rows is that record's number with the header counted.
        return 2 + in_header, np.searchsorted(self.ends, self.inner[in_header:]).astype(np.int64)


def _layout(path: str, data: bytes, separator: str) -> _Layout:
    # A byte below 0x80 never occurs inside a multi-byte UTF-8 character, so bytes can be compared without decoding.
    octets = np.frombuffer(data, dtype=np.uint8)
    marks = np.flatnonzero((octets == ord(separator)) | (octets == _NEWLINE) | (octets == _QUOTE))
    kinds = octets[marks]
    is_quote = kinds == _QUOTE
    inner = np.zeros(0, dtype=np.int64)
    if is_quote.any():
        _check_quotes(path, data, octets, marks[is_quote], ord(separator))
        inside = np.logical_xor.accumulate(is_quote)
        inner = marks[inside & (kinds == _NEWLINE)]
        outside = ~inside & ~is_quote
        marks, kinds = marks[outside], kinds[outside]

    nth = np.flatnonzero(kinds == _NEWLINE)
    ends = marks[nth]
    is_ended = bool(len(ends)) and int(ends[-1]) == len(data) - 1
    if not is_ended:
        nth, ends = np.append(nth, len(marks)), np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    fields = np.diff(nth, prepend=-1)
    lengths = ends - starts
    blank = (lengths == 0) | ((lengths == 1) & (octets[np.minimum(starts, len(data) - 1)] == _RETURN))
    return _Layout(starts, ends, fields, inner, is_ended, blank)


def _check_quotes(path: str, data: bytes, octets: NDArray[np.uint8], quotes: Positions, separator: int) -> None:
    """Quotes open at a field's start and close at its end; inside they are doubled. Anything else Polars reads in its own way."""
    opening, closing = quotes[::2], quotes[1::2]
    before = octets[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == separator) | (before == _NEWLINE) | (before == _QUOTE)
    if data.startswith(BOM):
        opens |= opening == len(BOM)
    after = octets[np.minimum(closing + 1, len(data) - 1)]
    after_that = octets[np.minimum(closing + 2, len(data) - 1)]
    closes = (closing == len(data) - 1) | (after == separator) | (after == _NEWLINE) | (after == _QUOTE)
    closes |= (after == _RETURN) & (after_that == _NEWLINE) & (closing + 2 < len(data))

    wrong = np.concatenate([opening[~opens], closing[~closes]])
    if len(wrong):
        line = data.count(b"\n", 0, int(wrong.min())) + 1
        raise SourceError(
            f"{path}, line {line}: a quote stands inside a field, or one was never closed",
            'put the whole field in quotes and double those inside it ("12"" ruler"), or copy the file again',
        )
    if len(quotes) % 2:
        line = data.count(b"\n", 0, int(quotes[-1])) + 1
        raise SourceError(
            f"{path}, line {line}: the quote that opens there is never closed, so the file was cut", "copy the file again"
        )


def _header(path: str, record: bytes, separator: str) -> list[str]:
    text = record.removeprefix(BOM).decode("utf-8").removesuffix("\r")
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error as error:
        raise SourceError(f"{path}: the header cannot be read ({error})", "begin the file with the columns' names") from None


def _check_returns(path: str, data: bytes) -> None:
    """A carriage return outside quotes belongs to a newline; Polars takes a field of nothing but one for an empty field."""
    if b"\r" not in data:
        return
    octets = np.frombuffer(data, dtype=np.uint8)
    returns = np.flatnonzero(octets == _RETURN)
    lone = returns[(returns == len(data) - 1) | (octets[np.minimum(returns + 1, len(data) - 1)] != _NEWLINE)]
    inside = np.searchsorted(np.flatnonzero(octets == _QUOTE), lone) % 2 == 1
    wrong = lone[~inside]
    if len(wrong):
        line = data.count(b"\n", 0, int(wrong[0])) + 1
        raise SourceError(
            f"{path}, line {line}: a carriage return stands there without the newline it belongs to",
            "end lines with \\n or \\r\\n, and put a field that holds a carriage return in quotes",
        )


def _check_header(path: str, header: Sequence[str], columns: Sequence[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"{path}: the header names {', '.join(map(repr, twice))} more than once", "give each column its own name")
    missing = [name for name in columns if name not in header]
    extra = [name for name in header if name not in columns]
    if not (missing or extra):
        return
    faults = []
    for name in missing:
        like = get_close_matches(name, extra, n=1, cutoff=0.5)
        faults.append(f"column {name} is missing" + (f" (did you mean it by {like[0]!r}?)" if like else ""))
    if extra:
        faults.append(f"column {', '.join(map(repr, extra))} is not expected")
    raise SourceError(f"{path}: {'; '.join(faults)}", f"the contract has {', '.join(columns)}: mend the file or the contract")


def _check_records(path: str, layout: _Layout, width: int) -> None:
    wrong = np.flatnonzero((layout.fields[1:] != width) | layout.blank[1:])
    if not len(wrong):
        return
    record = int(wrong[0]) + 1
    _refuse_record(path, layout, record, width)


def _refuse_record(path: str, layout: _Layout, record: int, width: int) -> NoReturn:
    line, found = layout.line(record), int(layout.fields[record])
    if layout.blank[record]:
        raise SourceError(f"{path}, line {line} is empty", "remove the line, or copy the file again")
    if found < width and record == len(layout.ends) - 1:
        raise SourceError(
            f"{path} ends in the middle of line {line}: {found} fields where {width} are expected", "copy the file again"
        )
    raise SourceError(
        f"{path}, line {line} has {found} fields where {width} are expected",
        "mend the line: a field that holds a separator or a newline needs quotes",
    )

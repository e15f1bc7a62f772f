"""Reading CSV files, held to a slow reader written from the rules: one character at a time, one state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.core.errors import SourceError
from featurestore.sources import CsvSource, check_files, list_files, scan

SOURCE = CsvSource("raw", "raw/*.csv", object)
Row = tuple[str | None, ...]


def write(root: Path, *contents: bytes) -> None:
    folder = root / "raw"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, content in enumerate(contents):
        (folder / f"day[{number}].csv").write_bytes(content)


def read(root: Path, columns: Sequence[str], source: CsvSource = SOURCE) -> pl.DataFrame:
    return scan(list_files(source, root), columns, source, root).collect()


class NotCsvError(Exception):
    """What the slow reader finds wrong."""


def slow_records(text: str) -> Iterator[tuple[int, Row]]:
    """(first line, fields) of each record of a text in which every record ends with a newline."""
    line, position = 1, 0
    while position < len(text):
        first_line = line
        if text[position : position + 1] == "\n" or text[position : position + 2] == "\r\n":
            raise NotCsvError("blank line")
        fields: list[str | None] = []
        while True:
            if text[position : position + 1] == '"':
                value, position = "", position + 1
                while True:
                    if position >= len(text):
                        raise NotCsvError("quote never closed")
                    if text[position] == '"' and text[position + 1 : position + 2] == '"':
                        value, position = value + '"', position + 2
                    elif text[position] == '"':
                        position += 1
                        break
                    else:
                        line += text[position] == "\n"
                        value, position = value + text[position], position + 1
                fields.append(value)
                if text[position : position + 2] == "\r\n":
                    position += 1
                if text[position : position + 1] not in (",", "\n"):
                    raise NotCsvError("text after a closing quote")
            else:
                start = position
                while position < len(text) and text[position] not in ',\n"':
                    position += 1
                if position >= len(text) or text[position] == '"':
                    raise NotCsvError("cut, or a quote inside a field")
                value = text[start:position]
                if text[position] == "\n":
                    value = value.removesuffix("\r")
                if "\r" in value:
                    raise NotCsvError("a carriage return inside a field")
                fields.append(value or None)
            position += 1
            if text[position - 1] == "\n":
                line += 1
                break
        yield first_line, tuple(fields)


def encoded(value: str | None, quoted: bool) -> str:
    if value is None:
        return ""
    if quoted or not value or any(mark in value for mark in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value


COLUMNS = ("first", "second name", "third,")
CELLS = st.none() | st.text(st.sampled_from('ab ,"\n\ré€😀'), max_size=5)
FILES = st.lists(
    st.tuples(
        st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
        st.permutations(range(3)),
        st.sampled_from(["\n", "\r\n"]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(files=FILES)
def test_every_cell_comes_back_with_its_file_line_and_number(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[Row], list[int], str, bool, bool]]
) -> None:
    root = tmp_path_factory.mktemp("csv")
    contents: list[bytes] = []
    expected: list[tuple[object, ...]] = []
    for number, (rows, order, newline, bom, quoted) in enumerate(files):
        lines = [",".join(encoded(COLUMNS[i], quoted) for i in order)]
        line = 2
        for row in rows:
            text = ",".join(encoded(row[i], quoted) for i in order)
            expected.append((*row, f"raw/day[{number}].csv", line, len(expected)))
            line += 1 + text.count("\n")
            lines.append(text)
        contents.append((b"\xef\xbb\xbf" if bom else b"") + "".join(text + newline for text in lines).encode())
    write(root, *contents)

    frame = read(root, COLUMNS)

    assert frame.schema == {
        **dict.fromkeys(COLUMNS, pl.String),
        "__file": pl.String,
        "__line": pl.Int64,
        "__row": pl.Int64,
    }
    assert frame.rows() == expected


@settings(max_examples=400, deadline=None)
@given(body=st.text(st.sampled_from('ab,,\n\n\r"""'), max_size=14), ended=st.booleans())
def test_a_file_is_refused_exactly_when_the_slow_reader_refuses_it(
    tmp_path_factory: pytest.TempPathFactory, body: str, ended: bool
) -> None:
    root = tmp_path_factory.mktemp("csv")
    text = "x,y\n" + body + ("\n" if ended else "")
    write(root, text.encode())
    try:
        records = list(slow_records(text))
        if any(len(fields) != 2 for _, fields in records):
            raise NotCsvError("another number of fields")
    except NotCsvError:
        with pytest.raises(SourceError):
            read(root, ["x", "y"])
    else:
        found = read(root, ["x", "y"]).select("__line", "x", "y").rows()
        assert found == [(line, *fields) for line, fields in records[1:]]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_cut_at_any_byte_is_seen_unless_it_falls_between_lines(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("csv")
    records = [b"x,y\n", b'1,"a\nb"\n', "2,é\n".encode(), b'"",""\n', b'3,"say ""so"""\n', b",\n"]
    whole = b"".join(records)
    cut = data.draw(st.integers(0, len(whole)))
    boundaries = {sum(map(len, records[:n])): n - 1 for n in range(1, len(records) + 1)}
    write(root, whole[:cut])
    if cut in boundaries:
        assert read(root, ["x", "y"]).height == boundaries[cut]
    else:
        with pytest.raises(SourceError, match=r"raw/day\[0\]\.csv"):
            read(root, ["x", "y"])


def test_lines_are_right_where_a_large_file_is_read_in_parallel(tmp_path: Path) -> None:
    texts = [
        f'{n},"' + "one\ntwo\n" * (n % 3) + '"\n' if n % 7 == 0 else f"{n},plain text of some length {n}\n" for n in range(80_000)
    ]
    write(tmp_path, b"x,y\n", ("x,y\n" + "".join(texts)).encode(), b"x,y\n1,2\n")
    expected, line = [], 2
    for text in texts:
        expected.append(line)
        line += text.count("\n")
    engines: tuple[Literal["in-memory", "streaming"], ...] = ("in-memory", "streaming")
    for engine in engines:
        frame = scan(list_files(SOURCE, tmp_path), ["x", "y"], SOURCE, tmp_path).collect(engine=engine)
        assert frame["__line"].to_list() == [*expected, 2]
        assert frame["x"].to_list() == [*map(str, range(80_000)), "1"]
        assert frame["__file"].to_list() == ["raw/day[1].csv"] * 80_000 + ["raw/day[2].csv"]
        assert frame["__row"].to_list() == list(range(80_001))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, it has not even a header; copy the file again, or remove it"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"x,y\n1,2\n3,4", "ends in the middle of line 3: its last line has no newline; copy the file again"),
        (b'x,y\n"1\n2",2\n3,', "ends in the middle of line 4"),
        (b"x,", "ends in the middle of line 1"),
        (b"x,y\n1,2\n3\n", "ends in the middle of line 3: 1 fields where 2 are expected"),
        (b'x,y\n1,2\n3,"open\n4,5\n', "line 3: the quote that opens there is never closed, so the file was cut"),
        (b'x,y\n1,"open\n2,"y"\n', "line 3: a quote stands inside a field, or one was never closed"),
        (b'x,y\n1,2\n12" ruler,3\n', "line 3: a quote stands inside a field"),
        (b'x,y\n1,"2" \n', "line 2: a quote stands inside a field"),
        (b"x,y\n1\n3,4\n", "line 2 has 1 fields where 2 are expected"),
        (b'x,y\n"1\n\n",2\n3,4,5\n', "line 5 has 3 fields where 2 are expected"),
        (b"x,y\n1,2\n\n3,4\n", "line 3 is empty"),
        (b"x,y\r\n1,2\r\n\r\n", "line 3 is empty"),
        (b"x,y\n1,caf\xe9\n", "is not UTF-8: byte 0xe9 at offset 9, line 2; convert the file to UTF-8"),
        ("x,y\n1,2\n".encode("utf-16"), "is not UTF-8"),
        (b"x,y\n1,2\n\0\0\0\n", "holds a zero byte at offset 8, line 3"),
        (b"x\n1\n", r"column y is missing; the contract has x, y"),
        (b"x,y,z\n1,2,3\n", "column 'z' is not expected"),
        (b"x,ys\n1,2\n", r"column y is missing \(did you mean it by 'ys'\?\); column 'ys' is not expected"),
        (b"x, y\n1,2\n", "column ' y' is not expected"),
        (b"x,y,x\n1,2,3\n", "the header names 'x' more than once"),
        (b"x,y\r1,2\r\n", r"line 1: a carriage return stands there without the newline it belongs to; end lines with \\n"),
        (b"x,y\n1,2\n3,\r\r\n", "line 3: a carriage return stands there"),
        (b"x,y\n1,2\r", "line 2: a carriage return stands there"),
        (b"x" * 200_000 + b"\n", "the header cannot be read"),
    ],
)
def test_a_fault_is_one_line_with_file_and_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, b"x,y\n1,2\n", content)
    with pytest.raises(SourceError, match=rf"raw/day\[1\]\.csv.*{message}") as raised:
        read(tmp_path, ["x", "y"])
    assert "\n" not in str(raised.value)
    assert raised.value.remedy


def test_a_fault_in_the_last_file_stops_before_any_row(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n1,2\n", b"x,y\n1,2\n", b"x,y\n1\n")
    with pytest.raises(SourceError, match=r"day\[2\]"):
        check_files(list_files(SOURCE, tmp_path), ["x", "y"], SOURCE, tmp_path)


def test_a_file_that_changed_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n1,2\n")
    files = list_files(SOURCE, tmp_path)
    (tmp_path / "raw" / "day[0].csv").write_bytes(b"x,y\n1,3\n")
    with pytest.raises(SourceError, match="changed while it was being read"):
        check_files(files, ["x", "y"], SOURCE, tmp_path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n1,2\n")
    files = list_files(SOURCE, tmp_path)
    (tmp_path / "raw" / "day[0].csv").unlink()
    with pytest.raises(SourceError, match=r"cannot read .*day\[0\]\.csv: No such file"):
        check_files(files, ["x", "y"], SOURCE, tmp_path)


def test_a_last_line_without_newline_is_whole_where_the_source_says_so(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n1,2\n3,4", b"x,y", b'x,y\n5,"6"')
    lenient = CsvSource("raw", "raw/*.csv", object, final_newline="optional")
    assert read(tmp_path, ["x", "y"], lenient).select("x", "y").rows() == [("1", "2"), ("3", "4"), ("5", "6")]
    write(tmp_path, b"x,y\n1,2\n3")
    with pytest.raises(SourceError, match="ends in the middle of line 3"):
        read(tmp_path, ["x", "y"], lenient)


def test_rows_are_counted_for_each_file(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n", b'x,y\n"a\nb",2\n3,4\n')
    assert [file.rows for file in check_files(list_files(SOURCE, tmp_path), ["x", "y"], SOURCE, tmp_path)] == [0, 2]


def test_files_with_headers_alone_give_an_empty_frame(tmp_path: Path) -> None:
    write(tmp_path, b"x,y\n", b"y,x\n")
    frame = read(tmp_path, ["x", "y"])
    assert frame.height == 0
    assert frame.columns == ["x", "y", "__file", "__line", "__row"]


def test_another_separator_is_used_throughout(tmp_path: Path) -> None:
    write(tmp_path, b'x;y\n1,5;"a;b"\n')
    source = CsvSource("raw", "raw/*.csv", object, separator=";")
    assert read(tmp_path, ["x", "y"], source).select("x", "y").rows() == [("1,5", "a;b")]


def test_a_single_column_has_null_only_in_no_row(tmp_path: Path) -> None:
    write(tmp_path, b'x\n1\n""\n')
    assert read(tmp_path, ["x"]).select("x", "__line").rows() == [("1", 2), ("", 3)]
    write(tmp_path, b"x\n1\n\n2\n")
    with pytest.raises(SourceError, match="line 3 is empty"):
        read(tmp_path, ["x"])

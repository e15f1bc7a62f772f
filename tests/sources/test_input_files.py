"""The listing of a source's files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from featurestore.core.errors import DefinitionError, SourceError
from featurestore.sources import CsvSource, InputFile, list_files


def test_files_come_sorted_with_size_and_digest(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    for name in ("b.csv", "a.csv", "note.txt", ".partial.csv"):
        (folder / name).write_text(f"x\n{name}\n")
    (folder / "folder.csv").mkdir()

    found = list_files(CsvSource("raw", "data/raw/*.csv", object), tmp_path)

    content = b"x\na.csv\n"
    assert found[0] == InputFile("data/raw/a.csv", len(content), hashlib.sha256(content).hexdigest())
    assert [file.path for file in found] == ["data/raw/a.csv", "data/raw/b.csv"]


def test_two_stars_look_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "raw" / "2011" / "01").mkdir(parents=True)
    (tmp_path / "raw" / "2011" / "01" / "x.csv").write_text("a\n")
    (tmp_path / "raw" / "y.csv").write_text("a\n")
    assert [file.path for file in list_files(CsvSource("raw", "raw/**/*.csv", object), tmp_path)] == [
        "raw/2011/01/x.csv",
        "raw/y.csv",
    ]


def test_an_absolute_glob_gives_absolute_paths(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n")
    (file,) = list_files(CsvSource("raw", f"{tmp_path}/*.csv", object), tmp_path / "elsewhere")
    assert file.path == f"{tmp_path}/x.csv"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source raw: the folder .*/data/raw does not exist; make it"):
        list_files(CsvSource("raw", "data/raw/*/*.csv", object), tmp_path)


def test_a_glob_that_matches_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(SourceError, match=r"source raw: no file matches raw/\*\.csv in .*; put the raw files there"):
        list_files(CsvSource("raw", "raw/*.csv", object), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "raw orders"}, "cannot name a source"),
        ({"path": ""}, "has no path"),
        ({"contract": "RawOrder"}, "give a pandera DataFrameModel class"),
        ({"separator": ";;"}, "cannot separate fields"),
        ({"separator": '"'}, "cannot separate fields"),
        ({"separator": "\n"}, "cannot separate fields"),
        ({"separator": "§"}, "cannot separate fields"),
        ({"final_newline": "maybe"}, "use 'required' or 'optional'"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        CsvSource(**{"name": "raw", "path": "raw/*.csv", "contract": object, **wrong})

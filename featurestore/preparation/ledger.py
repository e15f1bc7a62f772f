"""The ledger: what each committed run did to a table, one JSON file a run, readable without any engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from featurestore.core.errors import CorruptDataError, StoreError
from featurestore.core.fates import Fates
from featurestore.files import write_whole

FORMAT = 2
"""The ledger file's format. A reader refuses any other."""

Mode = Literal["append", "overwrite"]

Origin = Literal["files", "tables"]
"""What a table is made of."""


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """One raw file that a run read: its path relative to the project, size in bytes, SHA-256, and its number of records."""

    path: str
    size: int
    digest: str
    rows: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many of a run's rows a rule refused for a column's value. A row refused by two rules counts under both."""

    rule: str
    column: str
    rows: int


@dataclass(frozen=True)
class Entry:
    """One run over one table. `number` counts a table's runs from 1 and is the one in the table's Delta commit.

    `mode` says whether the run added to the table or replaced it. `origin` is what the table was made of, and `key` its key then.
    `inputs` are the identities of the versions of the tables read (`delta.Published.identity`), `reasons` the
    refused rows by rule and column, `dropped_by_rule` the dropped ones by rule. `started_us` is in microseconds since the epoch.
    """

    number: int
    run_id: str
    table: str
    mode: Mode
    started_us: int
    code_hash: str
    files: tuple[LedgerFile, ...]
    origin: Origin
    key: tuple[str, ...]
    inputs: Mapping[str, str]
    fates: Fates
    reasons: tuple[Refusals, ...]
    dropped_by_rule: Mapping[str, int]


class Ledger:
    """The entries of every table under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, entry: Entry) -> None:
        """Keep an entry. It counts from the moment at which the table's Delta commit carries its number.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        body = asdict(entry)
        document = {"format": FORMAT, "digest": _digest(body), "entry": body}
        write_whole(self._path(entry.table, entry.number), json.dumps(document, indent=1, ensure_ascii=False).encode())

    def current(self, table: str, committed: int) -> tuple[Entry, ...]:
        """The entries that made the table what it is: from the last run that replaced it up to number `committed`.

        Files above `committed` are left by a run that was killed; the next run overwrites them.

        Raises:
            CorruptDataError: an entry is missing or damaged.
            StoreError: this user may not read it.
        """
        entries: list[Entry] = []
        for number in range(committed, 0, -1):
            entry = self._read(table, number)
            entries.append(entry)
            if entry.mode == "overwrite":
                break
        return tuple(reversed(entries))

    def tables(self) -> list[str]:
        """The names of the tables that have entries, sorted. StoreError if the folder cannot be read."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read {self._folder}: {error.strerror}", "give this user the right to read it") from error

    def _path(self, table: str, number: int) -> Path:
        return self._folder / table / f"{number:08d}.json"

    def _read(self, table: str, number: int) -> Entry:
        path = self._path(table, number)
        remedy = f"restore it, or run `featurestore prepare {table} --full-refresh`"
        try:
            document = json.loads(path.read_bytes())
            body = document["entry"]
            if document["format"] != FORMAT or document["digest"] != _digest(body):
                raise CorruptDataError(f"the ledger entry {path} does not fit its digest or format", remedy)
            return _entry(body)
        except FileNotFoundError:
            raise CorruptDataError(f"the ledger entry {path} is missing", remedy) from None
        except PermissionError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}", "give this user the right to read it") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptDataError(f"the ledger entry {path} cannot be read ({type(error).__name__})", remedy) from error


def processed(entries: Sequence[Entry]) -> dict[str, LedgerFile]:
    """The raw files that these runs read, by path."""
    return {file.path: file for entry in entries for file in entry.files}


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(body: Mapping[str, Any]) -> Entry:
    return Entry(
        **{
            **body,
            "key": tuple(body["key"]),
            "files": tuple(LedgerFile(**file) for file in body["files"]),
            "fates": Fates(**body["fates"]),
            "reasons": tuple(Refusals(**reason) for reason in body["reasons"]),
        }
    )

"""A DuckDB connection set up for joins, and its errors in this package's words."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from featurestore.core.errors import CorruptDataError, SourceError, StoreError

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched from a network
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # SQL sees files and registered tables, never a caller's variables
    "preserve_insertion_order": False,  # order is restored by row number where it matters
}


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory database for the block, for SQL that is not ours. What exceeds memory spills to the system's temporary folder."""
    connection = _opened()
    try:
        yield connection
    finally:
        connection.close()


def session() -> duckdb.DuckDBPyConnection:
    """A connection to the process's one in-memory database, with temporary tables of its own; its caller closes it.

    Opening and closing a whole database for each query took 0.05 s, a tenth of a join of 100,000 rows.
    """
    with _shared.lock:
        if _shared.database is None:
            _shared.database = _opened()
        connection = _shared.database.cursor()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class _Shared:
    """The process's database, opened when it is first needed. Its threads do not survive a fork, so a child opens its own."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.lock = threading.Lock()
        self.database: duckdb.DuckDBPyConnection | None = None


def _opened() -> duckdb.DuckDBPyConnection:
    spill = Path(tempfile.gettempdir()) / f"featurestore-{os.getuid()}-{os.getpid()}"  # made by DuckDB only when it spills
    connection = duckdb.connect(config={**_CONFIG, "temp_directory": str(spill)})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


_inherited: list[duckdb.DuckDBPyConnection | None] = []


def _after_fork() -> None:
    _inherited.append(_shared.database)  # closing it here would wait for threads that are not there
    _shared.begin()


_shared = _Shared()
os.register_at_fork(after_in_child=_after_fork)


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn DuckDB's word for Ctrl-C in the block into Python's, KeyboardInterrupt."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:  # what it raises while a result is fetched as Arrow
        if "interrupt" not in str(error).lower():
            raise
        raise KeyboardInterrupt from error


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Turn DuckDB's errors in the block, which reads `label`, into ours.

    Raises:
        StoreError: memory or disk space ran out, or a file could not be opened.
        CorruptDataError: the bytes are not what their format says.
        SourceError: a value does not fit the type that is needed, or the files differ in their columns.
    """
    try:
        with interruptible():
            yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise StoreError(f"not enough memory or disk space to read {label}: {_line(error)}", "free some, then run again") from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.BinderException, duckdb.TypeMismatchException) as error:
        raise SourceError(f"{label}: {_line(error)}", "make the data fit the declared types, or declare what it holds") from error
    except duckdb.IOException as error:
        raise StoreError(f"cannot read {label}: {_line(error)}", "check that the file is there and may be read") from error
    except (duckdb.InvalidInputException, duckdb.SerializationException, duckdb.DataError) as error:
        raise CorruptDataError(f"{label} is damaged: {_line(error)}", "write the file anew") from error
    except duckdb.Error as error:
        raise StoreError(f"reading {label} failed: {_line(error)}", "run again; a second failure is worth a report") from error


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0]

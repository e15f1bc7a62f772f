"""A DuckDB connection set up for joins, and its errors in this package's words."""

from __future__ import annotations

import os
import tempfile
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
    """A private in-memory database for the block. What exceeds memory spills to the system's temporary folder."""
    connection = connect()
    try:
        yield connection
    finally:
        connection.close()


def connect() -> duckdb.DuckDBPyConnection:
    """As `connected`, for a connection that outlives the function: its caller closes it."""
    spill = Path(tempfile.gettempdir()) / f"featurestore-{os.getuid()}-{os.getpid()}"  # made by DuckDB only when it spills
    connection = duckdb.connect(config={**_CONFIG, "temp_directory": str(spill)})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


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

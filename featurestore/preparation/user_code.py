"""Calls into the project's own table functions, and their faults in this package's words."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import polars as pl

from featurestore.core.errors import FeatureStoreError, TransformError
from featurestore.preparation.tables import Table, place


@contextmanager
def running(table: Table) -> Iterator[None]:
    """Turn whatever the table's function raises in the block into an error that names function, file and line.

    What it prints goes to stderr, since stdout is for results. A query is executed when it is collected, so that belongs inside the block too.

    Raises:
        TransformError: the function raised.
    """
    where = f"table {table.name}: {place(table.function)}"
    try:
        with redirect_stdout(sys.stderr):
            yield
    except FeatureStoreError as error:
        raise TransformError(f"{where}{_line(table.function, error)}: {error.cause}", error.remedy) from error
    # The one place besides the process's edge that catches everything: a user's function may raise anything at all, or exit.
    except (Exception, SystemExit, pl.exceptions.PanicException) as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise TransformError(
            f"{where} raised {type(error).__name__}{_line(table.function, error)}: {text}", "mend the function"
        ) from error


def call(table: Table, inputs: Mapping[str, Any]) -> Any:
    """The function's result. TransformError as `running`."""
    with running(table):
        return table.function(**inputs)


def _line(function: Callable[..., Any], error: BaseException) -> str:
    """` in line N`: the last line of the function's own file on the way to the error; empty where it came later."""
    file = function.__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == Path(file)]
    return f" in line {lines[-1]}" if lines else ""

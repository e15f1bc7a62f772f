"""What every command shares: its common options, where its words go, and how an error ends it."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from featurestore.core.errors import FeatureStoreError

Chdir = Annotated[
    Path, typer.Option("--chdir", "-c", help="The project's folder, where feature_store.yaml is.", show_default="this folder")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; words for people go to stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
"""For people: progress, tables and errors. It is stderr, so that stdout holds the answer alone; and it takes values as they are, for
data may hold what looks like markup."""


@contextmanager
def errors_as_lines(debug: bool) -> Iterator[None]:
    """End the process as the design says: an error of ours is one line and exit status 1, Ctrl-C is 130.

    An error that is not ours is a bug: its line says so, and `--debug` shows where.
    """
    try:
        yield
    except FeatureStoreError as error:
        if debug:
            traceback.print_exc()
        _fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        _fail("interrupted; what was published before is still there", 130)
    except BrokenPipeError:
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the process's outermost edge, where a panic of a compiled library ends too
        if debug:
            traceback.print_exc()
        text = " ".join(str(error).split())
        _fail(f"error: {type(error).__name__}: {text}; this is a bug in featurestore: run again with --debug and report it", 1)


def _fail(line: str, status: int) -> None:
    print(line, file=sys.stderr)
    raise typer.Exit(status) from None


def print_json(value: Any) -> None:
    """One JSON object on stdout. JSON has no NaN and no infinities: they are written as the strings "NaN", "Infinity", "-Infinity"."""
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=False, default=str, allow_nan=False) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value

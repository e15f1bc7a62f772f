"""Prepare runs in other processes, for tests that kill them or take their disk away."""

from __future__ import annotations

import multiprocessing
import os
import resource
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from featurestore.core.errors import StoreError
from featurestore.files.kill import VARIABLE
from tests.preparation.sales import buyer_days, prepared, project, sales

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["feast"])  # it takes seconds, so it is imported once; it starts no thread that a fork would lose


def start(root: Path, *, kill_at: str = "", file_limit: int | None = None) -> tuple[ForkServerProcess, Connection]:
    """A run over `root` that dies at a kill point, or cannot write files of more than `file_limit` bytes.

    The connection gives "ready" when it begins and, if it lives, what it ended with: an error's text, or "done".
    """
    here, there = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(root, kill_at, file_limit, there))
    process.start()
    there.close()
    return process, here


def _run(root: Path, kill_at: str, file_limit: int | None, parent: Connection) -> None:
    config = project(root)
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    os.environ[VARIABLE] = kill_at
    parent.send("ready")
    try:
        prepared(config, sales, buyer_days)
    except StoreError as error:
        parent.send(str(error))
    else:
        parent.send("done")

"""One process at a time: an advisory lock on a file, freed by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestore.core.errors import BusyError, StoreError


@contextmanager
def exclusive(path: Path, job: str) -> Iterator[None]:
    """Hold the lock file `path` for the block. `job` names the work in the message.

    Raises:
        BusyError: another process (or another holder in this one) has it.
        StoreError: the lock file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror or error}", "give this user the right to write there") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another {job} is at work in {path.parent}", "wait until it has finished, then run again") from None
        yield
    finally:
        os.close(descriptor)

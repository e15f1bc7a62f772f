"""Whole or not at all: a file is written beside its place, flushed to the disk, and moved there in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from featurestore.core.errors import StoreError


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader, or a crash at any moment, finds the old content or the new, never a mixture.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; the old content is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}", "free space or rights there, then run again") from error


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

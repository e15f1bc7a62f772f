"""The files of a source as they are on the disk now: path, size and digest."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from featurestore.core.errors import SourceError
from featurestore.sources.csv_source import CsvSource


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source.

    `path` is relative to the project's root, with forward slashes (absolute where the source's glob is). `size` is in bytes,
    `digest` the SHA-256 of the content in hexadecimal.
    """

    path: str
    size: int
    digest: str


def list_files(source: CsvSource, root: Path) -> tuple[InputFile, ...]:
    """Every file that the source's glob matches under `root`, sorted by path. Reads each once, for its digest.

    Raises:
        SourceError: the folder is missing or cannot be read, nothing matches, a file cannot be read, is a link to nothing, or has a
            name that is not UTF-8.
    """
    folder = root / _fixed_folder(source.path)
    try:
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        raise SourceError(
            f"source {source.name}: the folder {folder} does not exist", "make it and put the raw files there"
        ) from None
    except NotADirectoryError:
        raise SourceError(f"source {source.name}: {folder} is no folder", "make it one and put the raw files there") from None
    except OSError as error:
        raise SourceError(
            f"source {source.name}: cannot read the folder {folder}: {error.strerror}", "give this user the right to read it"
        ) from error
    paths = []
    for found in sorted(Path(found).as_posix() for found in glob.glob(source.path, root_dir=root, recursive=True)):
        path = root / found
        if not found.isprintable() and any("\udc80" <= character <= "\udcff" for character in found):
            name = os.fsencode(found).decode("utf-8", "backslashreplace")
            raise SourceError(f"source {source.name}: the file name {name} is not UTF-8", "rename the file")
        if path.is_symlink() and not path.exists():
            raise SourceError(f"source {source.name}: {found} is a link to nothing", "restore what it points to, or remove it")
        if path.is_file():
            paths.append(found)
    if not paths:
        raise SourceError(
            f"source {source.name}: no file matches {source.path} in {root}", "put the raw files there, or mend the path"
        )
    return tuple(_input_file(path, read_bytes(root / path)) for path in paths)


def read_bytes(path: Path) -> bytes:
    """A file's whole content.

    Raises:
        SourceError: it is gone, or may not or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror or error}", "restore it, or give this user the right to read it"
        ) from error


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _input_file(path: str, data: bytes) -> InputFile:
    return InputFile(path, len(data), digest(data))


def _fixed_folder(pattern: str) -> Path:
    """The part of a glob before its first wildcard, without the file's name."""
    fixed = Path()
    for part in Path(pattern).parent.parts:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed

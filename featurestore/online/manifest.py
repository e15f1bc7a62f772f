"""CURRENT: the small file that says which generation an embedded store is at and which file holds each view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featurestore.core.errors import CorruptDataError, StoreError
from featurestore.files import write_whole

NAME = "CURRENT"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A view's file (its path relative to the store's root), and what it held when it was published.

    `size` in bytes is a lower bound from then on: rows written in place make a file grow. `watermark_us` and `written_us` are
    microseconds since the epoch, UTC. `origin` is that of the view whose rows these are, and `ttl` the one (microseconds, None for
    no limit) up to which back from the watermark nothing is missing.
    """

    file: str
    generation: int
    size: int
    keys: int
    fingerprint: int
    origin: str
    ttl: int | None
    watermark_us: int | None
    written_us: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation: the files of all views."""

    generation: int = 0
    views: Mapping[str, FileRecord] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The content of CURRENT."""
        body = {"generation": self.generation, "views": {name: asdict(record) for name, record in sorted(self.views.items())}}
        return json.dumps({"format": FORMAT, "checksum": _checksum(body), **body}, indent=1, ensure_ascii=False).encode()

    @staticmethod
    def from_bytes(data: bytes, path: Path) -> Manifest:
        """Read back what `to_bytes` made; `path` is for the message.

        Raises:
            CorruptDataError: it is not such a file, or its checksum does not fit.
        """
        remedy = f"delete the folder {path.parent} and materialize again"
        try:
            document = json.loads(data)
            if document.pop("format") != FORMAT:
                raise CorruptDataError(f"{path} has a format this version cannot read", remedy)
            if document.pop("checksum") != _checksum(document):
                raise CorruptDataError(f"{path} does not fit its checksum", remedy)
            views = {name: FileRecord(**record) for name, record in document["views"].items()}
            return Manifest(document["generation"], views)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptDataError(f"{path} cannot be read ({type(error).__name__}: {error})", remedy) from error

    def save(self, root: Path) -> None:
        """Publish this generation in one step."""
        write_whole(root / NAME, self.to_bytes())


def load_manifest(root: Path) -> Manifest:
    """The generation published under `root`; generation 0 where there is none.

    Raises:
        CorruptDataError: CURRENT is damaged.
        StoreError: it cannot be read.
    """
    path = root / NAME
    try:
        return Manifest.from_bytes(path.read_bytes(), path)
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}", "give this user the right to read it") from error


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""The catalog on the disk: read by the server and every job, replaced whole by `apply`."""

from __future__ import annotations

from pathlib import Path

from featurestore.core.catalog import Catalog
from featurestore.core.errors import CorruptDataError, NotMaterializedError, StoreError
from featurestore.files import write_whole


def load(path: Path) -> Catalog:
    """Read the catalog file.

    Raises:
        NotMaterializedError: there is none yet.
        CorruptDataError: it is not a catalog, or its digest does not fit.
        StoreError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotMaterializedError(f"there is no catalog at {path}", "run `featurestore apply`") from None
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"the catalog at {path} is not UTF-8", "run `featurestore apply` to write it anew") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}", "give this user the right to read it") from error
    return Catalog.from_json(text)


def save(path: Path, catalog: Catalog) -> None:
    """Publish `catalog` at `path` in one step; a reader finds the old one or the new one.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; the old catalog is still there.
    """
    write_whole(path, catalog.to_json().encode("utf-8"))

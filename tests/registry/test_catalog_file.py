"""The catalog's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.core.catalog import Catalog, Entity
from featurestore.core.errors import CorruptDataError, NotMaterializedError, StoreError
from featurestore.core.types import ValueType
from featurestore.registry import load_catalog, save_catalog

CATALOG = Catalog("shop", entities=(Entity("customer", "customer_id", ValueType.INT64),))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_catalog(tmp_path / "data" / "catalog.json", CATALOG)
    assert load_catalog(tmp_path / "data" / "catalog.json") == CATALOG


def test_a_missing_catalog_asks_for_apply(tmp_path: Path) -> None:
    with pytest.raises(NotMaterializedError, match="featurestore apply"):
        load_catalog(tmp_path / "catalog.json")


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{}", b"[1]", b'{"format": 99}'])
def test_what_is_no_catalog_is_corrupt(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "catalog.json"
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match="featurestore apply"):
        load_catalog(path)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    save_catalog(path, CATALOG)
    path.write_text(path.read_text().replace("customer_id", "customer_ix"))
    with pytest.raises(CorruptDataError, match="digest"):
        load_catalog(path)


def test_a_folder_that_cannot_be_written_leaves_the_old_catalog(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        save_catalog(tmp_path / "file" / "catalog.json", CATALOG)

"""A reference project, prepared once for the tests that only look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from featurestore.offline import delta
from featurestore.preparation import RunReport, collect, prepare
from featurestore.reference import copy_project, generate_raw
from featurestore.registry import load_config
from featurestore.registry.definitions import load_definitions

REAL = Path(__file__).parents[3] / "shared" / "data" / "online_retail"
"""The real files, which are no part of the repository: tests over them are skipped where they are absent."""


@dataclass(frozen=True)
class Prepared:
    """A project's folder and what the last run over it said."""

    root: Path
    report: RunReport

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    def rows(self, table: str) -> pl.DataFrame:
        published = delta.opened(self.root / "data" / "offline" / table)
        assert published is not None
        return published.scan().collect()


def prepared(root: Path, names: Sequence[str] | None = None, *, full_refresh: bool = False) -> Prepared:
    """Prepare a project's tables."""
    config = load_config(root)
    project = collect(load_definitions(config).objects)
    return Prepared(root, prepare(config, project.tables, project.sources, names, full_refresh=full_refresh))


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The reference project over 12,000 generated rows."""
    root = copy_project(tmp_path_factory.mktemp("generated") / "retail")
    generate_raw(root / "data" / "raw", 12_000, seed=8)
    return prepared(root)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The reference project over the 541,909 real rows."""
    if not REAL.is_dir():
        pytest.skip(f"the real files are not at {REAL}")
    root = copy_project(tmp_path_factory.mktemp("real") / "retail")
    for file in REAL.glob("*.csv"):
        (root / "data" / "raw" / file.name).symlink_to(file)
    return prepared(root)

"""Where preparation keeps its tables."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from featurestore.core.config import ProjectConfig

TABLES = PurePosixPath("data/offline")
"""The folder of published tables, one Delta table each, relative to the project's root. Definitions name it before any
configuration is read, so it does not move with the registry."""


def table_path(name: str) -> str:
    """A table's Delta folder relative to the project's root."""
    return str(TABLES / name)


def table_folder(config: ProjectConfig, name: str) -> Path:
    """A table's Delta folder."""
    return config.root / TABLES / name

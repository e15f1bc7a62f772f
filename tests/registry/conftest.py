"""Small projects on the disk, and their definitions loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.core.catalog import Catalog, Table
from featurestore.core.config import ProjectConfig
from featurestore.registry import load_config
from featurestore.registry.compile import compile_project
from featurestore.registry.definitions import Definitions, load_definitions
from tests.shop import CONFIGURATION as YAML

HEAD = """
from datetime import timedelta
from feast import *
from feast import ValueType
from feast.types import *
spend_source = FileSource(name="spend_source", path="data/spend.parquet", timestamp_field="at", created_timestamp_column="made")
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
"""

Writer = Callable[..., ProjectConfig]


def write_project(root: Path, modules: dict[str, str], yaml: str = YAML) -> ProjectConfig:
    """A project at `root` of these modules ({path: text}); what is there stays."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "feature_store.yaml").write_text(yaml)
    for name, text in modules.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_config(root)


def write_spend(root: Path) -> None:
    """data/spend.parquet: customer_id int64, at, made, total double, orders int32, name string."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    moment = pa.array([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "customer_id": pa.array([1], pa.int64()),
            "at": moment,
            "made": moment,
            "total": pa.array([1.5], pa.float64()),
            "orders": pa.array([2], pa.int32()),
            "name": pa.array(["a"], pa.string()),
        }
    )
    pq.write_table(table, root / "data" / "spend.parquet")


def compiled(config: ProjectConfig, tables: Sequence[Table] = ()) -> tuple[Definitions, Catalog]:
    """Load and compile, as `apply` does."""
    definitions = load_definitions(config)
    return definitions, compile_project(config, definitions.contents, tables)


@pytest.fixture
def shop(tmp_path: Path) -> Callable[[str], ProjectConfig]:
    """Writes features.py (after HEAD) into a project with data/spend.parquet, again and again if need be."""
    write_spend(tmp_path)
    return lambda text: write_project(tmp_path, {"features.py": HEAD + text})

"""The small project of `project` as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.project import SERVED, Served, Shop, start_server


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with the catalog applied and the rows of SERVED published."""
    made = Shop(tmp_path)
    made.apply()
    made.publish(SERVED)
    return made


@pytest.fixture
def served(shop: Shop) -> Iterator[Served]:
    """A server of `shop` in a process of its own, killed at the end if it still runs."""
    child = start_server(shop)
    with child.process as process:
        yield child
        process.kill()

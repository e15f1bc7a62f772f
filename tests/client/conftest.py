"""A server of the serving tests' small project, in this process, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.client import Client
from featurestore.core.clock import fixed_clock
from featurestore.serving import Server
from tests.serving.project import NOW, SERVED, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with its catalog applied and rows published."""
    made = Shop(tmp_path)
    made.apply()
    made.publish(SERVED)
    return made


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    """A client of a server of `shop`."""
    server = Server(shop.config, port=0, clock=fixed_clock(NOW))
    with Client(server.start()) as made:
        yield made
    server.stop(0)

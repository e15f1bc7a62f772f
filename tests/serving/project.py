"""A small project of core values over a real LMDB store, and a server of it in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.core.catalog import Catalog, Entity, Field, OnDemandView, Projection, Service, Source, View
from featurestore.core.clock import system_clock
from featurestore.core.config import ProjectConfig
from featurestore.core.types import ValueType
from featurestore.online.keys import encode_keys
from featurestore.online.lmdb import LmdbStore
from featurestore.online.rows import RowCodec
from featurestore.registry import save_catalog
from featurestore.wire.values import column_from_python

NOW = 1_700_000_000_000_000
DAY = 86_400_000_000

Row = tuple[tuple[Any, ...], int, Mapping[str, Any]]
"""A row to store: its key's values, its event time in microseconds, its features' values (None or left out is null)."""


def view(name: str, keys: Sequence[Field], features: Sequence[Field], ttl: int | None) -> View:
    entities = tuple(key.name.removesuffix("_id") for key in keys)
    return View(name, entities, tuple(keys), tuple(features), ttl, Source(name, "parquet", f"{name}.parquet", "ts"))


CUSTOMER = Field("customer_id", ValueType.INT64)
PRODUCT = Field("stock_code", ValueType.STRING)
SPEND = view(
    "spend", [CUSTOMER], [Field("total", ValueType.DOUBLE), Field("orders", ValueType.INT32), Field("city", ValueType.STRING)], DAY
)
STOCK = view("stock", [PRODUCT], [Field("price", ValueType.FLOAT), Field("listed", ValueType.BOOL)], None)
PAIR = view("pair", [CUSTOMER, PRODUCT], [Field("bought", ValueType.INT64)], None)
SHOP = view("shop", [], [Field("open", ValueType.BOOL)], DAY)
CATALOG = Catalog(
    "shop",
    entities=(Entity("customer", "customer_id", ValueType.INT64), Entity("product", "stock_code", ValueType.STRING)),
    views=(SPEND, STOCK, PAIR, SHOP),
    on_demand_views=(OnDemandView("ratio", (Field("r", ValueType.DOUBLE),)),),
    services=(
        Service("scoring", (Projection("spend", ("total", "city")), Projection("stock", ("price",)))),
        Service("friend", (Projection("spend", ("total",), "friend", (("customer_id", "friend_id"),)),)),
    ),
)


@dataclass
class Shop:
    """A project's folder with ways to publish into it."""

    root: Path
    config: ProjectConfig = field(init=False)

    def __post_init__(self) -> None:
        self.config = ProjectConfig(self.root, "shop", self.root / "data" / "registry.db", self.root / "data" / "online")

    def publish(self, rows: Mapping[str, Sequence[Row]], catalog: Catalog = CATALOG) -> None:
        """Publish one generation that holds these rows of the views named."""
        with LmdbStore(self.config.online, system_clock).publication() as publication:
            for name, stored in rows.items():
                publication.write(catalog.view(name), [packed(catalog.view(name), stored)], NOW)
            publication.commit()

    def apply(self, catalog: Catalog = CATALOG) -> None:
        save_catalog(self.config.catalog, catalog)


def packed(of: View, rows: Sequence[Row]) -> tuple[list[bytes], list[bytes]]:
    """The rows' keys and stored forms."""
    keys = [column_from_python([key[i] for key, _, _ in rows], of.join_keys[i].dtype, "key") for i in range(len(of.join_keys))]
    columns = [column_from_python([values.get(f.name) for _, _, values in rows], f.dtype, f.name) for f in of.features]
    event_us = np.array([event for _, event, _ in rows], dtype=np.int64)
    stored = encode_keys(keys)
    return stored, RowCodec(of).encode(stored, columns, event_us, None)


SERVED: dict[str, list[Row]] = {
    "spend": [
        ((1,), NOW - 5, {"total": 2.5, "orders": 3, "city": "Köln"}),
        ((2,), NOW - 2 * DAY, {"total": 9.0, "orders": 1, "city": "Bonn"}),
        ((3,), NOW, {"total": None, "orders": 0, "city": ""}),
        ((4,), NOW + 1, {"total": 1.0, "orders": 1, "city": "Ulm"}),
    ],
    "stock": [(("A",), NOW - 400 * DAY, {"price": 0.5, "listed": False})],
    "pair": [((1, "A"), NOW, {"bought": -(2**63)})],
    "shop": [((), NOW - 1, {"open": True})],
}


SERVE = """
import signal
import sys
import threading
from pathlib import Path
from featurestore.core.clock import fixed_clock
from featurestore.core.config import ProjectConfig
from featurestore.serving import serve

root = Path(sys.argv[1])
config = ProjectConfig(root, "shop", root / "data" / "registry.db", root / "data" / "online")
now = fixed_clock(int(sys.argv[2]))


def clock():
    if (root / "hold").exists():  # the test holds this lookup in flight until it writes a line
        print("held", flush=True)
        sys.stdin.readline()
    if (root / "stray").exists():  # the signal comes to a thread that is not the main one
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    return now()


def announce(address):
    print(address, flush=True)


serve(config, "127.0.0.1", int(sys.argv[3]), clock=clock, announce=announce)
print(*sorted(sys.modules), flush=True)
"""


@dataclass
class Served:
    """A server in a child process."""

    process: subprocess.Popen[str]
    address: str

    def line(self) -> str:
        """The next line that the child prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


def start_server(shop: Shop, port: int = 0, now: int = NOW) -> Served:
    """Start a child that serves the project, and wait for its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(shop.root), str(now), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Served(process, "")
    served.address = served.line()
    return served

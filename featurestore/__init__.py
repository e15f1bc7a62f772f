"""featurestore: the value a model trains on is the value it is served, and the store can prove it.

The public names load when they are first used, so that `import featurestore` stays light for servers and clients.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore import cleaning
    from featurestore.client import Client
    from featurestore.core.errors import FeatureStoreError
    from featurestore.preparation.tables import sql_table, table
    from featurestore.serving import serve
    from featurestore.sources import CsvSource
    from featurestore.store import FeatureStore

__version__ = "0.1.0"

_HOMES = {
    "Client": "featurestore.client",
    "CsvSource": "featurestore.sources",
    "FeatureStore": "featurestore.store",
    "FeatureStoreError": "featurestore.core.errors",
    "serve": "featurestore.serving",
    "sql_table": "featurestore.preparation.tables",
    "table": "featurestore.preparation.tables",
}

__all__ = ["Client", "CsvSource", "FeatureStore", "FeatureStoreError", "cleaning", "serve", "sql_table", "table"]


def __getattr__(name: str) -> Any:
    if name == "cleaning":
        return import_module("featurestore.cleaning")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

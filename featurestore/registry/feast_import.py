"""Feast's import without the larger part of what typeguard makes it cost.

Feast has typeguard rewrite its classes while they are imported: some three of five seconds (measured on 0.67), half of them for
OnDemandFeatureView alone. The classes that a project here is written with keep their checks; those below go without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typeguard

_UNCHECKED = frozenset(
    {
        "feast.on_demand_feature_view",
        # Sources that this package refuses by name anyway.
        "feast.infra.offline_stores.bigquery_source",
        "feast.infra.offline_stores.redshift_source",
        "feast.infra.offline_stores.snowflake_source",
    }
)


def import_feast() -> None:
    """Import Feast, unless something has done so already."""
    if "feast" in sys.modules:
        return
    checked: Callable[..., Any] = typeguard.typechecked

    def selectively(target: Any = None, **options: Any) -> Any:
        if target is not None and target.__module__ in _UNCHECKED:
            return target
        return checked(target, **options)

    typeguard.typechecked = selectively
    try:
        import_module("feast")
    finally:
        typeguard.typechecked = checked

"""From a project's definitions to the catalog; what needs Feast loads when it is first used, for its import takes seconds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from featurestore.registry.catalog_file import load as load_catalog
from featurestore.registry.catalog_file import save as save_catalog
from featurestore.registry.feast_import import import_feast
from featurestore.registry.project_file import load_config

if TYPE_CHECKING:
    from featurestore.registry.apply import apply_changes, plan_changes
    from featurestore.registry.compile import compile_project
    from featurestore.registry.definitions import Definitions, load_definitions
    from featurestore.registry.feast_sources import delta_source

__all__ = [
    "Definitions",
    "apply_changes",
    "compile_project",
    "delta_source",
    "load_catalog",
    "load_config",
    "load_definitions",
    "plan_changes",
    "save_catalog",
]

_NEED_FEAST = {
    "Definitions": "definitions",
    "apply_changes": "apply",
    "compile_project": "compile",
    "delta_source": "feast_sources",
    "load_definitions": "definitions",
    "plan_changes": "apply",
}


def __getattr__(name: str) -> Any:
    if name in _NEED_FEAST:
        import_feast()
        return getattr(import_module(f"{__name__}.{_NEED_FEAST[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

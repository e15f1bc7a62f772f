"""The reference project (online retail), its generator of raw files, and the demo that takes them all the way to gRPC lookups.

The public names load when they are first used: the command line knows the demo without paying for Feast and scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore.reference.demo import run_demo
    from featurestore.reference.generate import generate_raw
    from featurestore.reference.project import copy_project

DEMO_ROWS = 60_000
"""Rows that the demo generates where it is given no raw files."""

_HOMES = {
    "copy_project": "featurestore.reference.project",
    "generate_raw": "featurestore.reference.generate",
    "run_demo": "featurestore.reference.demo",
}

__all__ = ["DEMO_ROWS", "copy_project", "generate_raw", "run_demo"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value

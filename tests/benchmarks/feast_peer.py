"""Stock Feast over the same data, as its users run it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from functools import cache
from typing import Any

import feast

from tests.benchmarks import data


@cache
def feast_store(bench: data.Bench) -> Any:
    """A stock feast.FeatureStore with the bench's definitions applied."""
    spec = importlib.util.spec_from_file_location("bench_feast_features", bench.feast / "features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    store = feast.FeatureStore(repo_path=str(bench.feast))
    with contextlib.redirect_stdout(io.StringIO()):
        store.apply([module.driver, module.source, module.stats])
    return store

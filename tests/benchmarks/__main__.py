"""Run every benchmark and print its figures; the exit status is 1 if a goal is missed or a result differs from the peer's."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import warnings
from pathlib import Path

from tests.benchmarks import data, join, lookup, materialize, start
from tests.benchmarks.measure import Figure, show


def main() -> int:
    warnings.simplefilter("ignore")  # Feast's own; ours are errors in the tests
    print(
        f"python {platform.python_version()}, {os.cpu_count()} cores; {data.ROWS:,} rows x {data.FEATURES} features, {data.KEYS:,} keys,"
        f" {data.ENTITY_ROWS:,} entity rows; peer: Feast 0.67 unless said",
        flush=True,
    )
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="featurestore-bench-") as folder:
        bench = data.make(Path(folder))
        for run in (materialize.run, join.run, lookup.run, start.run):
            for figure in run(bench):
                show(figure)
                figures.append(figure)
    missed = [figure.work for figure in figures if not figure.reached]
    if missed:
        print("missed: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

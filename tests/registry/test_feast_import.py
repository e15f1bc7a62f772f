"""Feast as this package imports it: the checks that users meet are there, and typeguard is left as it was."""

from __future__ import annotations

import subprocess
import sys

CHECKS = """
import typeguard
before = typeguard.typechecked
from featurestore import registry
registry.load_definitions
assert typeguard.typechecked is before
import feast
for wrong in (
    lambda: feast.Entity(name=5),
    lambda: feast.FeatureView(name="v", source=feast.FileSource(path="p", timestamp_field="t"), ttl=90),
    lambda: feast.FeatureService(name="s", features=5),
    lambda: feast.Field(name=1, dtype=feast.types.Int64),
):
    try:
        wrong()
    except typeguard.TypeCheckError as error:
        print(str(error).split(" is not")[0].split(" did not")[0])
"""


def test_types_of_definitions_are_checked() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CHECKS], capture_output=True, text=True, check=True, timeout=60)
    refused = ['argument "name" (int)', 'argument "ttl" (int)', 'argument "features" (int)', 'argument "name" (int)']
    assert done.stdout.splitlines() == refused

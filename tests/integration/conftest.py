"""The reference project, once on generated and once on real raw files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featurestore.reference.child import serving
from tests.integration.retail import END, REAL, Retail, make_retail


@pytest.fixture(scope="session", params=["generated", "real"])
def retail(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Retail:
    real = request.param == "real"
    if real and not REAL.is_dir():
        pytest.skip("the real online retail files are not beside the checkout")
    return make_retail(tmp_path_factory.mktemp(request.param) / "retail", real=real)


@pytest.fixture(scope="session")
def address(retail: Retail) -> Iterator[str]:
    """A server of the project in a process of its own, its clock fixed at END."""
    with serving(retail.root, END) as address:
        yield address

"""kill -9 at named points and at random moments: the old state is served, and a rerun ends as one clean run does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import featurestore
from featurestore.files.kill import VARIABLE
from tests.shop import FEATURES, HEADER, write_shop

AS_OF = datetime(2026, 1, 4, tzinfo=UTC)
DAY_THREE = HEADER + "9,ann,16,2026-01-03 10:00:00\n10,dan,5,2026-01-03 11:00:00\n11,dan,-2,2026-01-03 12:00:00\n"
PREPARE = ["prepare"]
APPLY = ["apply"]
MATERIALIZE = ["materialize-incremental", "2026-01-04"]


def command(arguments: list[str], project: Path, point: str | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"} | ({VARIABLE: point} if point else {})
    return subprocess.Popen(
        [sys.executable, "-m", "featurestore", *arguments, "-c", str(project)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(arguments: list[str], project: Path) -> None:
    process = command(arguments, project)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 0, words


def state(project: Path) -> dict[str, Any]:
    """What the project's users see: tables, quarantine, services, and the served values of every buyer."""
    store = featurestore.FeatureStore(repo_path=project, as_of=AS_OF)
    tables = {
        name: pl.read_delta(str(project / "data" / "offline" / name)).sort(pl.all()).to_dicts() for name in ("sales", "buyer_days")
    }
    refused = sorted((row["file"], row["line"]) for row in store.quarantine.show("sales", limit=100))
    rows = [{"buyer": name} for name in ("ann", "bob", "cid", "dan")]
    served = store.get_online_features(features=["buyer_day:spend", "buyer_day:sales"], entity_rows=rows).to_dict()
    services = sorted(service.name for service in store.catalog.services)
    return {"tables": tables, "refused": refused, "served": served, "services": services}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with two days done, and a third day and a changed definition waiting."""
    project = write_shop(tmp_path_factory.mktemp("kill") / "shop")
    store = featurestore.FeatureStore(repo_path=project)
    store.apply()
    store.prepare()
    store.materialize(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    (project / "data" / "raw" / "2026-01-03.csv").write_text(DAY_THREE)
    (project / "features.py").write_text(
        FEATURES + "\nsecond = FeatureService(name='second_v1', features=[buyer_day[['spend']]])\n"
    )
    return project


@pytest.fixture(scope="module")
def clean(before: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one undisturbed run of everything ends in."""
    project = Path(shutil.copytree(before, tmp_path_factory.mktemp("clean") / "shop"))
    store = featurestore.FeatureStore(repo_path=project)
    store.apply()
    store.prepare()
    store.materialize_incremental(AS_OF)
    return state(project)


@pytest.fixture
def shop(before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(before, tmp_path / "shop"))


def complete(project: Path) -> dict[str, Any]:
    store = featurestore.FeatureStore(repo_path=project)
    store.apply()
    store.prepare()
    store.materialize_incremental(AS_OF)
    return state(project)


POINTS = [
    (PREPARE, "prepare.quarantine_written", "old"),
    (PREPARE, "prepare.ledger_written", "old"),
    (PREPARE, "prepare.before_commit", "old"),
    (PREPARE, "prepare.committed", "sales"),
    (APPLY, "apply.registry_written", "old"),
    (APPLY, "apply.before_catalog", "old"),
    (MATERIALIZE, "materialize.file_written", "old"),
    (MATERIALIZE, "materialize.published", "any"),
]


@pytest.mark.parametrize(("arguments", "point", "seen"), POINTS, ids=[point for _, point, _ in POINTS])
def test_killed_at_a_named_point(arguments: list[str], point: str, seen: str, shop: Path, clean: dict[str, Any]) -> None:
    old = state(shop)
    process = command(arguments, shop, point)
    _, words = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, words
    now = state(shop)
    if seen == "old":
        assert now == old
    elif seen == "sales":
        assert now["tables"]["sales"] == clean["tables"]["sales"]
        assert now["tables"]["buyer_days"] == old["tables"]["buyer_days"]
        assert now["served"] == old["served"]
    assert complete(shop) == clean


def kill_at_work(arguments: list[str], project: Path, lock: Path, delay: float) -> None:
    """Start a command, and kill it `delay` seconds after it took its lock, if it still runs then."""
    lock.unlink(missing_ok=True)
    process = command(arguments, project)
    deadline = time.monotonic() + 60
    while not lock.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=60)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_a_random_moment(seed: int, shop: Path, clean: dict[str, Any]) -> None:
    """Kill each job at a random moment of its work; whatever is visible is whole, and a rerun completes."""
    chance = random.Random(seed)
    old = state(shop)
    for arguments, lock, longest in (
        (APPLY, "data/.apply.lock", 0.1),
        (PREPARE, "data/.prepare.lock", 0.3),
        (MATERIALIZE, "data/online/.lock", 0.1),
    ):
        kill_at_work(arguments, shop, shop / lock, chance.uniform(0, longest))
        now = state(shop)
        for name, rows in now["tables"].items():
            assert rows in (old["tables"][name], clean["tables"][name])
        assert now["served"]["spend"] in (old["served"]["spend"], clean["served"]["spend"])
    assert complete(shop) == clean

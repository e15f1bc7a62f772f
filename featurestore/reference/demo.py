"""The main job in one run: raw files, tables, online store, server, and the proof that training and serving see the same values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from featurestore.client import Client
from featurestore.core.catalog import View
from featurestore.core.errors import NotMaterializedError, SourceError, StoreError
from featurestore.materialization import MaterializeReport
from featurestore.offline import delta
from featurestore.preparation import RunReport
from featurestore.reference import DEMO_ROWS, model
from featurestore.reference.child import serving
from featurestore.reference.dirt import Dirt, count_dirt
from featurestore.reference.generate import generate_raw
from featurestore.reference.project import copy_project
from featurestore.store import FeatureStore

SEED = 20_101_201
SAMPLES = 100
"""Entities of each kind that are looked up, one unknown to the store among them."""
HEAD = 5
"""Rows of the training set that a report carries."""

Progress = Callable[[str, str, int, int | None], None]
"""progress(stage, name, done, total), as the jobs report it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished part of the demo and how long it took."""

    name: str
    seconds: float
    result: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One entity's features from the offline tables and from the server, both as of the end of the data."""

    entity: Mapping[str, Any]
    historical: Mapping[str, Any]
    online: Mapping[str, Any]

    @property
    def equal(self) -> bool:
        """Whether every value is the same in value and type; NaN is the same as NaN."""
        names = self.historical.keys()
        return names == self.online.keys() and all(_same(self.historical[name], self.online[name]) for name in names)


@dataclass(frozen=True, slots=True)
class Score:
    """One customer's probability to buy again within 30 days, from the features online and from those in the tables."""

    customer_id: int
    online: float
    historical: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """All that a demo found. `model` and `score` are None where the data are too few to learn from."""

    as_of: datetime
    dirt: tuple[Dirt, ...]
    prepare: RunReport
    materialize: MaterializeReport
    training_rows: int
    training_head: pl.DataFrame
    model: model.Model | None
    score: Score | None
    lookups: tuple[Comparison, ...]
    stages: tuple[Stage, ...]

    def to_json_object(self) -> dict[str, Any]:
        """Plain objects for JSON; times are ISO 8601."""
        return {
            "as_of": self.as_of.isoformat(),
            "dirt": [{"kind": d.kind, "rows": d.rows, "treatment": d.treatment} for d in self.dirt],
            "prepare": self.prepare.to_json_object(),
            "materialize": self.materialize.to_json_object(),
            "training_set": {"rows": self.training_rows, "columns": self.training_head.columns},
            "auc": None if self.model is None else self.model.auc,
            "score": None
            if self.score is None
            else {"customer_id": self.score.customer_id, "online": self.score.online, "historical": self.score.historical},
            "lookups": [
                {
                    "entity": _plain(dict(pair.entity)),
                    "historical": _plain(dict(pair.historical)),
                    "online": _plain(dict(pair.online)),
                    "equal": pair.equal,
                }
                for pair in self.lookups
            ],
            "stages": [{"stage": s.name, "seconds": round(s.seconds, 3)} for s in self.stages],
        }


class _Stages:
    """Times the parts of a run and tells of each when it is over."""

    def __init__(self, progress: Progress, finished: Callable[[Stage], None]) -> None:
        self.done: list[Stage] = []
        self._progress, self._finished = progress, finished

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time the block; what it puts into the list is told with the stage."""
        self._progress(name, "", 0, None)
        results: list[str] = []
        began = time.perf_counter()
        yield results
        self._progress(name, "", 1, 1)
        self.done.append(Stage(name, time.perf_counter() - began, ", ".join(results)))
        self._finished(self.done[-1])


def _ignore_progress(stage: str, name: str, done: int, total: int | None) -> None:
    pass


def _ignore_stage(stage: Stage) -> None:
    pass


def run_demo(
    raw: Path | None,
    folder: Path,
    *,
    rows: int = DEMO_ROWS,
    progress: Progress = _ignore_progress,
    finished: Callable[[Stage], None] = _ignore_stage,
) -> DemoReport:
    """Make a project in the empty `folder` and take raw files all the way to gRPC lookups on a server of its own.

    The files are those in folder `raw`, or `rows` generated rows where it is None. Uses no network but loopback.

    Raises:
        SourceError: `raw` is missing or holds no CSV file.
        FeatureStoreError: as each of the jobs.
    """
    stages = _Stages(progress, finished)
    with stages.stage("raw files") as result:
        root = copy_project(folder)
        files = generate_raw(root / "data" / "raw", rows, SEED) if raw is None else _link(raw, root / "data" / "raw")
        result.append(f"{files} CSV files {'generated' if raw is None else 'given'}")
    store = FeatureStore(root)

    with stages.stage("apply") as result:
        changes = store.apply()
        result.append(f"{len(changes)} objects registered")
    with stages.stage("prepare") as result:
        prepared = store.prepare(progress=progress)
        result += [f"{table.table} {table.fates.accepted:,} rows" for table in prepared.tables]
    with stages.stage("count the dirt") as result:  # after the files have been found whole
        dirt = count_dirt(root / "data" / "raw")
        result.append(f"{sum(kind.rows > 0 for kind in dirt)} kinds of dirt in them")
    with stages.stage("materialize") as result:
        start, end = _interval(root, store.catalog.views)
        materialized = store.materialize(start, end, progress=progress)
        result += [f"{view.view} {view.keys_written:,} keys" for view in materialized.views]

    with stages.stage("training set") as result:
        asked = model.questions(_table(root / store.catalog.table("order_lines").path).scan(), end)
        training_set = store.get_historical_features(entity_df=asked, features=model.SERVICE).to_polars()
        result.append(f"{training_set.height:,} rows x {training_set.width} columns")
    with stages.stage("model") as result:
        trained = model.train(training_set)
        result.append("too few data for one" if trained is None else f"AUC {trained.auc:.3f} on {trained.test_rows:,} later rows")

    with ExitStack() as running:
        with stages.stage("serve") as result:
            address = running.enter_context(serving(root, end))
            client = running.enter_context(Client(address, timeout_seconds=30.0))
            result.append(f"on {address}")
        with stages.stage("look up") as result:
            lookups = [pair for views in _by_keys(store.catalog.views) for pair in _compare(store, client, root, views, end)]
            score = None if trained is None else _score(store, client, trained, training_set, end)
            result.append(f"{sum(pair.equal for pair in lookups)} of {len(lookups)} entities equal online and offline")
    return DemoReport(
        as_of=end,
        dirt=dirt,
        prepare=prepared,
        materialize=materialized,
        training_rows=training_set.height,
        training_head=training_set.head(HEAD),
        model=trained,
        score=score,
        lookups=tuple(lookups),
        stages=tuple(stages.done),
    )


def _link(raw: Path, into: Path) -> int:
    """Give the project the raw files without copying them; returns how many."""
    if not raw.is_dir():
        raise SourceError(f"there is no folder {raw}", "name the folder that holds the raw CSV files")
    files = sorted(raw.glob("*.csv"))
    if not files:
        raise SourceError(f"{raw} holds no CSV file", "name the folder that holds the raw CSV files")
    try:
        for file in files:
            (into / file.name).symlink_to(file.resolve())
    except OSError as error:
        raise StoreError(
            f"cannot link into {into}: {error.strerror or error}", "give this user the right to write there"
        ) from error
    return len(files)


def _table(path: Path) -> delta.Published:
    table = delta.opened(path)
    if table is None:
        raise NotMaterializedError(f"there is no table in {path}", "run `featurestore prepare`")
    return table


def _interval(root: Path, views: Sequence[View]) -> tuple[datetime, datetime]:
    """The first and the last event time in the views' tables. The last is the end of the last day: the demo's present."""
    ends = [
        _table(root / view.source.path)
        .scan()
        .select(first=pl.col(view.source.timestamp_field).min(), last=pl.col(view.source.timestamp_field).max())
        .collect()
        .row(0)
        for view in views
    ]
    return min(first for first, _ in ends), max(last for _, last in ends)


def _by_keys(views: Sequence[View]) -> list[list[View]]:
    """The views in groups with the same join keys."""
    groups: dict[tuple[str, ...], list[View]] = {}
    for view in views:
        groups.setdefault(tuple(key.name for key in view.join_keys), []).append(view)
    return list(groups.values())


def _compare(store: FeatureStore, client: Client, root: Path, views: Sequence[View], end: datetime) -> list[Comparison]:
    """Every feature of these views for sampled entities: as of `end` from the tables, and now from the server."""
    keys = [key.name for key in views[0].join_keys]
    references = [f"{view.name}:{feature.name}" for view in views for feature in view.features]
    known = _table(root / views[0].source.path).scan().select(keys).unique().sort(keys).collect()
    sample = known.gather_every(max(math.ceil(known.height / (SAMPLES - 1)), 1))
    unknown = known.tail(1).select(pl.col(name) + 1 if known.schema[name].is_integer() else pl.col(name) + "?" for name in keys)
    entities = pl.concat([sample, unknown])
    asked = entities.with_columns(event_timestamp=pl.lit(end).cast(pl.Datetime("us", "UTC")))
    historical = store.get_historical_features(entity_df=asked, features=references, full_feature_names=True).to_polars()
    rows = {name: entities[name].to_list() for name in keys}
    online = client.get_online_features(references, rows, full_feature_names=True).to_dict()
    features = [f"{view.name}__{feature.name}" for view in views for feature in view.features]
    return [
        Comparison(
            {name: rows[name][place] for name in keys},
            historical.select(features).row(place, named=True),
            {name: online[name][place] for name in features},
        )
        for place in range(entities.height)  # a hundred entities, for people to read
    ]


def _score(store: FeatureStore, client: Client, trained: model.Model, training_set: pl.DataFrame, end: datetime) -> Score:
    """Score the customer asked about last, as a caller of the server would, and from the tables beside it."""
    customer = int(training_set["customer_id"][-1])
    online = client.get_online_features(model.SERVICE, {"customer_id": [customer]}).to_dict()
    asked = pl.DataFrame({"customer_id": [customer], "event_timestamp": [end]})
    historical = store.get_historical_features(entity_df=asked, features=model.SERVICE).to_polars()
    return Score(customer, trained.score(online, end)[0], trained.score(historical.to_dict(as_series=False), end)[0])


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value

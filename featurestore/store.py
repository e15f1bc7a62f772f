"""`FeatureStore`: Feast's interface over our rooms. Each method is a few lines; the work is in the room it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from featurestore import registry
from featurestore.client import OnlineFeatures
from featurestore.client.entities import EntityRows, entity_lists
from featurestore.core.catalog import Catalog
from featurestore.core.clock import Clock, fixed_clock, system_clock, to_microseconds
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import InvalidInputError
from featurestore.core.status import FieldStatus
from featurestore.materialization import MaterializeReport, materialize, materialize_incremental
from featurestore.online.lmdb import LmdbStore
from featurestore.preparation import Quarantine, RunReport, collect, prepare, spec
from featurestore.registry.changes import Change
from featurestore.serving.state import Project, ServingState
from featurestore.training import HistoricalJob, get_historical_features
from featurestore.wire.values import column_from_python

Progress = Callable[[str, str, int, int | None], None]
"""progress(stage, name, done, total): `total` is None where it is not known."""


def _silent(stage: str, name: str, done: int, total: int | None) -> None:
    """No progress is shown."""


class FeatureStore:
    """A project: its definitions, its tables, its online store.

    Every method may raise a FeatureStoreError whose text is the cause and the remedy; nothing is half done then.

    Args:
        repo_path: the folder that holds feature_store.yaml.
        as_of: fixes the clock by which the age of online values is judged; the present if absent.
    """

    def __init__(self, repo_path: str | Path = ".", *, as_of: datetime | None = None) -> None:
        self.config: ProjectConfig = registry.load_config(Path(repo_path))
        self._clock: Clock = system_clock if as_of is None else fixed_clock(to_microseconds(as_of))

    @property
    def project(self) -> str:
        """The project's name."""
        return self.config.project

    @property
    def catalog(self) -> Catalog:
        """The definitions that the last `apply` published."""
        return registry.load_catalog(self.config.catalog)

    @property
    def quarantine(self) -> Quarantine:
        """The rows that preparation refused: `list()` counts them, `show(table)` tells file, line, rule, column and value."""
        return Quarantine(self.config)

    def plan(self) -> tuple[Change, ...]:
        """What `apply` would change, changing nothing."""
        definitions, catalog = self._compiled()
        return registry.plan_changes(self.config, definitions.contents, catalog)

    def apply(self) -> tuple[Change, ...]:
        """Register the project's definitions with Feast's registry and publish the catalog compiled from them.

        The online rows of views that are no longer defined are deleted.
        """
        definitions, catalog = self._compiled()
        changes = registry.apply_changes(self.config, definitions.contents, catalog)
        gone = self._online.views() - {view.name for view in catalog.views}
        if gone:
            self._online.delete_views(gone)
        return changes

    def prepare(
        self, tables: Sequence[str] | None = None, *, full_refresh: bool = False, progress: Progress = _silent
    ) -> RunReport:
        """Clean, validate and publish tables (all of them for None) from input that is new since the last run.

        `full_refresh` reads all input again and replaces the tables.
        """
        project = collect(registry.load_definitions(self.config).objects)
        return prepare(self.config, project.tables, project.sources, tables, full_refresh=full_refresh, progress=progress)

    def materialize(
        self, start_date: datetime, end_date: datetime, feature_views: Sequence[str] | None = None, *, progress: Progress = _silent
    ) -> MaterializeReport:
        """Write each key's latest row with an event time in [start_date, end_date] to the online store; newer wins.

        Naive times are UTC. All views become visible together.
        """
        start, end = to_microseconds(start_date), to_microseconds(end_date)
        return materialize(self.config, self.catalog, feature_views, start, end, store=self._online, progress=progress)

    def materialize_incremental(
        self, end_date: datetime, feature_views: Sequence[str] | None = None, *, progress: Progress = _silent
    ) -> MaterializeReport:
        """As `materialize`, for each view from where its last materialization ended."""
        end = to_microseconds(end_date)
        return materialize_incremental(self.config, self.catalog, feature_views, end, store=self._online, progress=progress)

    def get_historical_features(
        self,
        entity_df: Any,
        features: Sequence[str] | str | Any,
        full_feature_names: bool = False,
        *,
        filter_by_created_timestamp: bool = False,
    ) -> HistoricalJob:
        """Join features to entity rows, each as of the row's own time.

        Args:
            entity_df: the join keys and an `event_timestamp`: pandas, Polars, Arrow, or SQL that DuckDB runs in the project.
            features: references `view:feature`, a feature service's name, or a Feast FeatureService of the project.
            full_feature_names: name the features `view__feature`.
            filter_by_created_timestamp: leave out values created after the row's time.
        """
        return get_historical_features(
            self.config.root,
            self.catalog,
            self._wanted(features),
            entity_df,
            full_feature_names=full_feature_names,
            filter_by_created_timestamp=filter_by_created_timestamp,
        )

    def get_online_features(
        self, features: Sequence[str] | str | Any, entity_rows: EntityRows, full_feature_names: bool = False
    ) -> OnlineFeatures:
        """Read features from the online store in this process, as the server would answer.

        `features` as in `get_historical_features`; `entity_rows` is rows [{"customer_id": 1}, ...] or columns {"customer_id": [1, ...]}.
        """
        wanted, lists = self._wanted(features), entity_lists(entity_rows)

        def read(project: Project) -> OnlineFeatures:
            plan = project.plans.plan(wanted, full_feature_names)
            keys = {field.name: column_from_python(lists[given], field.dtype, given) for given, field in plan.join_keys(lists)}
            answer = project.lookup.read(plan.selection, keys)
            count = len(next(iter(keys.values()), ()))
            present, no_time = np.full(count, FieldStatus.PRESENT, dtype=np.uint8), np.zeros(count, dtype=np.int64)
            return OnlineFeatures(
                names=(*keys, *answer.names),
                columns=(*keys.values(), *answer.columns),
                status_codes=(*[present] * len(keys), *answer.statuses),
                event_us=(*[no_time] * len(keys), *answer.event_us),
                key_count=len(keys),
            )

        found = self._serving.answer(read)
        return found if lists or not isinstance(entity_rows, Sequence) else found.repeated(len(entity_rows))

    @cached_property
    def _online(self) -> LmdbStore:
        return LmdbStore(self.config.online)

    @cached_property
    def _serving(self) -> ServingState:
        return ServingState(self.config, self._clock)

    def _compiled(self) -> tuple[registry.Definitions, Catalog]:
        definitions = registry.load_definitions(self.config)
        tables = [spec(table) for table in collect(definitions.objects).tables]
        return definitions, registry.compile_project(self.config, definitions.contents, tables)

    def _wanted(self, features: Any) -> tuple[str, ...] | str:
        """References, or a service's name. A Feast FeatureService stands for its name, if it is the one that was applied."""
        if isinstance(features, str):
            return features
        if isinstance(features, Sequence) and all(isinstance(reference, str) for reference in features):
            return tuple(features)
        projections = getattr(features, "feature_view_projections", None)
        if projections is None:
            raise InvalidInputError(
                f"features is {type(features).__name__}",
                'give ["view:feature", ...], the name of a feature service, or the service',
            )
        service = self.catalog.service(features.name)
        applied = {(p.view, p.alias): set(p.features) for p in service.projections}
        asked = {(p.name, p.name_alias): {f.name for f in p.features} for p in projections if p.name not in service.on_demand}
        # A view that was not applied in this process may not know its features yet: it has none then.
        if asked.keys() != applied.keys() or any(names and names != applied[view] for view, names in asked.items()):
            raise InvalidInputError(f"feature service {features.name} differs from the applied one", "run `featurestore apply`")
        return str(features.name)

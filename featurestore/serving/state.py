"""What a server knows of its project: the catalog, followed as `apply` publishes new ones, and the online store."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from featurestore.core.clock import Clock
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import FeatureStoreError, NotMaterializedError
from featurestore.online.lmdb import LmdbStore
from featurestore.online.store import OnlineStore
from featurestore.registry.catalog_file import load
from featurestore.serving.lookup import Lookup
from featurestore.serving.plan import Plans

_log = logging.getLogger("featurestore.serving")

T = TypeVar("T")

Mark = tuple[int, int, int] | None
"""What tells one catalog file from the next: mtime in nanoseconds, size, inode; None where there is none."""


@dataclass(frozen=True, slots=True)
class Project:
    """One published catalog, ready to answer from."""

    plans: Plans
    lookup: Lookup


class ServingState:
    """A project being served. `current()` is the newest catalog that could be read. Safe for many threads.

    Raises:
        NotMaterializedError: the project has no catalog yet.
        CorruptDataError: the first catalog cannot be read. A later one that cannot be read is logged and left aside.
    """

    def __init__(self, config: ProjectConfig, clock: Clock) -> None:
        self._path = config.catalog
        self._clock = clock
        self._store: OnlineStore = LmdbStore(config.online, clock)
        self._reloading = threading.Lock()
        self._seen = _mark(self._path)
        self._project = self._load()

    def current(self) -> Project:
        """The project as of its newest readable catalog. Costs one `stat` while nothing changes.

        While one thread loads a new catalog the others wait for it: the old one may not fit the generation online any more.
        """
        if _mark(self._path) != self._seen:
            with self._reloading:
                if _mark(self._path) != self._seen:
                    self._follow()
        return self._project

    def answer(self, work: Callable[[Project], T]) -> T:
        """What `work` gives for the newest catalog; asked once more if the catalog and the store were replaced meanwhile.

        Raises: what `work` raises.
        """
        project = self.current()
        try:
            return work(project)
        except NotMaterializedError:
            newer = self.current()
            if newer is project:
                raise
            return work(newer)

    def _follow(self) -> None:
        # The mark is taken before the file is read, so a file replaced meanwhile is seen as new at the next request.
        mark = _mark(self._path)
        try:
            self._project = self._load()
            _log.info("serving the new catalog %s", self._path)
        except FeatureStoreError as error:
            _log.error("the new catalog is not served, the one before goes on: %s", error)
        self._seen = mark

    def _load(self) -> Project:
        catalog = load(self._path)
        return Project(Plans(catalog), Lookup(catalog, self._store, self._clock))


def _mark(path: Path) -> Mark:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

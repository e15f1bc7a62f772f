"""The embedded online store: one memory-mapped LMDB file a view and generation, safe against kill -9, read by many processes.

root/CURRENT                        which generation, which files (featurestore.online.manifest)
root/.lock                          held by the one process that publishes
root/views/<view>/<generation>.lmdb
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb

from featurestore.core.catalog import View
from featurestore.core.clock import Clock, system_clock
from featurestore.core.errors import CorruptDataError, FeatureStoreError, InvalidInputError, NotMaterializedError, StoreError
from featurestore.files import exclusive
from featurestore.online.environments import POOL, OpenFile, translated
from featurestore.online.manifest import NAME, Manifest, load_manifest
from featurestore.online.publication import LmdbPublication, prune, put_newer
from featurestore.online.store import ViewState

LOCK = ".lock"
_Stamp = tuple[int, int, int, int] | None
_JOB = "write to the online store"


class LmdbSnapshot:
    """See featurestore.online.store.Snapshot. Its files are open from the start, so their removal does not touch it."""

    __slots__ = ("__weakref__", "_broken", "_files", "_records", "generation", "refused")

    def __init__(self, manifest: Manifest, files: Mapping[str, OpenFile], broken: Mapping[str, FeatureStoreError]) -> None:
        self.generation = manifest.generation
        self._records, self._files, self._broken = manifest.views, files, broken
        self.refused = any(isinstance(error, StoreError) for error in broken.values())
        weakref.finalize(self, _release, list(files.values())).atexit = False

    def get(self, view: View, keys: Sequence[bytes]) -> list[bytes | None]:
        """See featurestore.online.store.Snapshot."""
        file = self._files.get(view.name)
        if file is None:
            broken = self._broken.get(view.name)
            if broken is not None:
                raise type(broken)(broken.cause, broken.remedy)
            return [None] * len(keys)
        if self._records[view.name].fingerprint != view.fingerprint:
            raise NotMaterializedError(
                f"view {view.name} has been changed since it was materialized", "run `featurestore materialize` for it again"
            )
        try:
            with file.env.begin() as txn:
                return list(map(txn.get, keys))
        except lmdb.Error as error:
            raise translated(error, file.path) from error

    def file(self, view: View) -> OpenFile | None:
        """The readable file of this view's rows, if there is one for this definition of it."""
        file = self._files.get(view.name)
        return file if file is not None and self._records[view.name].fingerprint == view.fingerprint else None

    def state(self, view_name: str) -> ViewState | None:
        """See featurestore.online.store.Snapshot. A view whose file is damaged or gone counts as not held."""
        file = self._files.get(view_name)
        if file is None:
            return None
        record = self._records[view_name]
        try:
            keys, size = file.env.stat()["entries"], max(record.size, (file.env.info()["last_pgno"] + 1) * file.env.stat()["psize"])
        except lmdb.Error as error:
            raise translated(error, file.path) from error
        return ViewState(
            record.generation, record.fingerprint, keys, record.watermark_us, record.written_us, size, record.origin, record.ttl
        )


def _release(files: list[OpenFile]) -> None:
    for file in files:
        POOL.release(file)


class LmdbStore:
    """See featurestore.online.store.OnlineStore. Any number of these, in threads and processes, may share one root."""

    def __init__(self, root: Path, clock: Clock = system_clock) -> None:
        self.root = root
        self._clock = clock
        self._current = str(root / NAME)
        self._latest: tuple[int, _Stamp, LmdbSnapshot] | None = None

    def snapshot(self) -> LmdbSnapshot:
        """See featurestore.online.store.OnlineStore. Costs one look at CURRENT unless it has been replaced.

        Raises:
            CorruptDataError: CURRENT is damaged.
            StoreError: the store cannot be read, or CURRENT is gone that this object has seen.
        """
        latest = self._latest
        # The pool is part of the stamp: a forked child begins with an empty one and has to open its own. What the system refused
        # to open (no rights, no descriptors) is tried again, for that may have passed.
        if latest is not None and latest[0] == POOL.epoch and not latest[2].refused and latest[1] == self._stamp():
            return latest[2]
        with POOL.lock:
            while True:
                stamp = self._stamp()
                snapshot = self._load()
                if stamp == self._stamp():  # else it was replaced, and its files perhaps removed, while they were opened
                    self._latest = (POOL.epoch, stamp, snapshot)
                    return snapshot

    def upsert(self, view: View, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """See featurestore.online.store.OnlineStore.

        Raises:
            InvalidInputError: not as many rows as keys.
            BusyError: the view has no file yet, and a publication is under way.
            CorruptDataError: the view's file is damaged.
            StoreError: the disk is full or refuses; nothing of the batch was written.
        """
        if len(keys) != len(rows):
            raise InvalidInputError(f"{len(keys)} keys but {len(rows)} rows", "give a row for each key")
        while True:
            snapshot = self.snapshot()
            file = snapshot.file(view)
            if file is None:
                with self.publication() as publication:
                    publication.write(view, [], None)
                    publication.commit()
                continue
            try:
                with file.env.begin(write=True) as txn:
                    # A publication may have replaced the file while this waited for its turn to write.
                    if self.snapshot().file(view) is file:
                        return put_newer(txn, (keys, rows))
            except lmdb.Error as error:
                raise translated(error, file.path) from error

    @contextmanager
    def publication(self) -> Iterator[LmdbPublication]:
        """See featurestore.online.store.OnlineStore."""
        with exclusive(self.root / LOCK, _JOB):
            current = load_manifest(self.root)
            prune(self.root, current)
            publication = LmdbPublication(self.root, current, self._clock)
            try:
                yield publication
            finally:
                publication.close()

    def delete_views(self, names: Iterable[str]) -> None:
        """See featurestore.online.store.OnlineStore. Snapshots taken before still read them."""
        with exclusive(self.root / LOCK, _JOB):
            current = load_manifest(self.root)
            gone = set(names)
            kept = {name: record for name, record in current.views.items() if name not in gone}
            if len(kept) < len(current.views):
                current = Manifest(current.generation + 1, kept)
                current.save(self.root)
            prune(self.root, current)

    def views(self) -> frozenset[str]:
        """See featurestore.online.store.OnlineStore.

        Raises:
            CorruptDataError: CURRENT is damaged.
            StoreError: it cannot be read.
        """
        return frozenset(load_manifest(self.root).views)

    def _load(self) -> LmdbSnapshot:
        manifest = load_manifest(self.root)
        if manifest.generation == 0 and self._latest is not None and self._latest[2].generation > 0:
            raise StoreError(
                f"the online store at {self.root} is gone", "put it back, or run `featurestore materialize` to write it anew"
            )
        files: dict[str, OpenFile] = {}
        broken: dict[str, FeatureStoreError] = {}
        try:
            for name, record in manifest.views.items():
                try:
                    files[name] = POOL.acquire(self.root / record.file, record.size)
                except FileNotFoundError:
                    broken[name] = CorruptDataError(f"{self.root / record.file} is missing", "materialize the view again")
                except FeatureStoreError as error:
                    broken[name] = error  # one view's trouble; the others are read
        except BaseException:
            _release(list(files.values()))
            raise
        return LmdbSnapshot(manifest, files, broken)

    def _stamp(self) -> _Stamp:
        """What changes whenever CURRENT is replaced; None where there is none."""
        try:
            status = os.stat(self._current)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"cannot read {self._current}: {error.strerror or error}", "give this user the right to read it"
            ) from error
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

"""The next generation of an LMDB store: new files written beside the old, made visible together by one small file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import cast
from urllib.parse import quote

import lmdb

from featurestore.core.catalog import View
from featurestore.core.clock import Clock
from featurestore.core.errors import InvalidInputError, StoreError
from featurestore.files import kill_point, sync_folder
from featurestore.online.environments import MAP_BYTES, POOL, OpenFile, translated
from featurestore.online.manifest import NAME, FileRecord, Manifest, load_manifest
from featurestore.online.merge import accepted
from featurestore.online.store import Batch

VIEWS = "views"
_SUFFIX = ".lmdb"
_CARRIED_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class _Base:
    """A view's published file, and a read transaction that keeps the moment at which it was copied."""

    record: FileRecord
    file: OpenFile
    moment: lmdb.Transaction


@dataclass(frozen=True, slots=True)
class _Built:
    """A new file, and what it began as a copy of."""

    record: FileRecord
    base: _Base | None


class LmdbPublication:
    """The one writer of a store's next generation; made by LmdbStore.publication, which holds the lock and calls `close`."""

    def __init__(self, root: Path, current: Manifest, clock: Clock) -> None:
        self._root, self._current, self._clock = root, current, clock
        self._generation = current.generation + 1
        self._built: dict[str, _Built] = {}
        self._begun: list[Path] = []
        self._uses = ExitStack()

    def watermark(self, view: View) -> int | None:
        """See featurestore.online.store.Publication."""
        record = self._record(view)
        return None if record is None or not (self._root / record.file).exists() else record.watermark_us

    def write(self, view: View, batches: Iterable[Batch], watermark_us: int | None, *, reaches_back: bool = False) -> int:
        """See featurestore.online.store.Publication.

        Raises:
            InvalidInputError: the view has been written in this publication already.
            CorruptDataError: the view's present file is damaged.
            StoreError: the disk is full or refuses.
        """
        if view.name in self._built:
            raise InvalidInputError(f"view {view.name} is named twice", "name it once")
        path = self._root / VIEWS / _folder_name(view.name) / f"{self._generation:012d}{_SUFFIX}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begun.append(path)
            _remove(path)  # a lock file that outlived its data would tie the new file to the old one's readers
            base = self._base(view)
            if base is not None:
                base.file.env.copy(str(path), compact=True, txn=base.moment)
            with _building(path) as env:
                written = sum(_merge(env, batch) for batch in batches)
                env.sync(True)
                keys = env.stat()["entries"]
            for folder in (path.parent, path.parent.parent, self._root):
                sync_folder(folder)
            size = path.stat().st_size
        except lmdb.Error as error:
            raise translated(error, path) from error
        except OSError as error:
            raise StoreError(
                f"cannot write {path}: {error.strerror or error}", "free space or rights there, then run again"
            ) from error
        marks = [mark for mark in (watermark_us, base.record.watermark_us if base else None) if mark is not None]
        record = FileRecord(
            file=str(path.relative_to(self._root)),
            generation=self._generation,
            size=size,
            keys=keys,
            fingerprint=view.fingerprint,
            origin=view.origin,
            ttl=view.ttl if base is None or reaches_back else base.record.ttl,
            watermark_us=max(marks, default=None),
            written_us=self._clock(),
        )
        self._built[view.name] = _Built(record, base)
        return written

    def commit(self) -> None:
        """See featurestore.online.store.Publication. Rows upserted in the meantime are carried over."""
        if not self._built:
            return
        with ExitStack() as locks:
            # Holding the write transactions of the files about to be replaced keeps `upsert` out, here and in other processes,
            # until CURRENT no longer names them; it looks at CURRENT again once it has its turn.
            records = {name: self._hold_and_carry(built, locks) for name, built in sorted(self._built.items())}
            kill_point("materialize.file_written")
            published = Manifest(self._generation, {**self._current.views, **records})
            published.save(self._root)
        self._begun.clear()
        self._built.clear()
        kill_point("materialize.published")
        prune(self._root, published)

    def close(self) -> None:
        """Give up what has not been committed."""
        self._uses.close()
        # CURRENT decides: `commit` may have been interrupted just after it had replaced it.
        if self._begun and load_manifest(self._root).generation < self._generation:
            for path in self._begun:
                _remove(path)

    def _record(self, view: View) -> FileRecord | None:
        record = self._current.views.get(view.name)
        same = record is not None and (record.fingerprint, record.origin) == (view.fingerprint, view.origin)
        return record if same else None

    def _base(self, view: View) -> _Base | None:
        """The view's present file, if it is of the same definition and origin and still there."""
        record = self._record(view)
        if record is None:
            return None
        try:
            file = POOL.acquire(self._root / record.file, record.size)
        except FileNotFoundError:
            return None  # deleted by its owner, as the remedy for a damaged file says
        self._uses.callback(POOL.release, file)
        moment = file.env.begin()
        self._uses.callback(moment.abort)
        return _Base(record, file, moment)

    def _hold_and_carry(self, built: _Built, locks: ExitStack) -> FileRecord:
        """Keep writers out of the base, and take over what they have written since it was copied."""
        if built.base is None:
            return built.record
        path = self._root / built.record.file
        try:
            held = built.base.file.env.begin(write=True)
            locks.callback(held.abort)
            if held.id() == built.base.moment.id() + 1:
                return built.record
            with _building(path) as env:
                rows = iter(held.cursor().iternext())
                while batch := list(islice(rows, _CARRIED_ROWS)):
                    # What has not changed must not compete: at equal times it would undo a correction in the new file.
                    before = map(built.base.moment.get, map(itemgetter(0), batch))
                    changed = [pair for pair, old in zip(batch, before, strict=True) if pair[1] != old]
                    _merge(env, ([key for key, _ in changed], [row for _, row in changed]))
                env.sync(True)
                return replace(built.record, keys=env.stat()["entries"])
        except lmdb.Error as error:
            raise translated(error, path) from error


@contextmanager
def _building(path: Path) -> Iterator[lmdb.Environment]:
    """A file that nobody else sees yet: without locks, and flushed when its writer says so."""
    env = lmdb.open(str(path), subdir=False, map_size=MAP_BYTES, sync=False, metasync=False, lock=False, mode=0o644)
    try:
        yield env
    finally:
        env.close()


def _merge(env: lmdb.Environment, batch: Batch) -> int:
    with env.begin(write=True) as txn:
        return put_newer(txn, batch)


def put_newer(txn: lmdb.Transaction, batch: Batch) -> int:
    """Write what is newer of a batch; returns how many rows that is."""
    keys, rows = batch
    pairs = accepted(keys, rows, cast(Callable[[bytes], bytes | None], txn.get))
    if pairs:
        # Keys come sorted, so into an empty file they can be appended without a search.
        txn.cursor().putmulti(pairs, append=txn.stat()["entries"] == 0)
    return len(pairs)


def prune(root: Path, current: Manifest) -> None:
    """Remove what no reader can still want: all but each view's published file and the one before it.

    Files of later generations than the published one are what killed runs have left. To be called under the store's lock.

    Raises:
        StoreError: a file cannot be removed.
    """
    records = {_folder_name(name): record for name, record in current.views.items()}
    try:
        for folder in (root / VIEWS).glob("*/"):
            if folder.name in records:
                _prune_folder(folder, records[folder.name])
            else:
                shutil.rmtree(folder)
        for leftover in root.glob(f".{NAME}.*"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot tidy {root}: {error.strerror or error}", "give this user the right to write there") from error


def _prune_folder(folder: Path, record: FileRecord) -> None:
    generations = sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())
    keep = {record.generation, *[g for g in generations if g < record.generation][-1:]}
    for generation in generations:
        if generation not in keep:
            _remove(folder / f"{generation:012d}{_SUFFIX}")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    Path(f"{path}-lock").unlink(missing_ok=True)


def _folder_name(view: str) -> str:
    """A view's name as one path component that cannot lead elsewhere."""
    return quote(view, safe="").replace(".", "%2E")

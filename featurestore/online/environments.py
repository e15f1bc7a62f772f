"""The process's open LMDB files: each opened once, shared by all stores and threads, closed after its last user."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import lmdb

from featurestore.core.errors import CorruptDataError, FeatureStoreError, StoreError

MAP_BYTES = 1 << 36
"""The most a view's file can grow to, 64 GiB. Only address space is reserved: a file is as long as its pages."""

MAX_READERS = 1022
"""Read transactions open at one moment in all processes, for one file."""

_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
    lmdb.BadChecksumError,
)


def translated(error: lmdb.Error, path: Path) -> FeatureStoreError:
    """Our error for one of LMDB's."""
    if isinstance(error, _DAMAGE):
        return CorruptDataError(f"{path} is damaged ({error})", damage_remedy(path))
    if isinstance(error, lmdb.MapFullError):
        return StoreError(f"{path} would grow beyond {MAP_BYTES >> 30} GiB", "split the view in two")
    if isinstance(error, lmdb.DiskError):
        return StoreError(f"the disk of {path} is full ({error})", "free space there, then run again")
    if os.strerror(errno.EIO) in str(error):  # what LMDB makes of a write cut short by a full disk
        return StoreError(f"the disk of {path} is full or fails ({error})", "free space there, then run again")
    return StoreError(f"{path}: {error}", "free space or rights there, then run again")


def damage_remedy(path: Path) -> str:
    """What to do about a damaged file: nothing of it can be trusted, so its removal is left to the owner."""
    return f"delete {path} and materialize the view again"


@dataclass(slots=True, eq=False)
class OpenFile:
    """An open file. `env` may be used by any thread as long as the use that `acquire` counted lasts."""

    path: Path
    identity: tuple[int, int]
    env: lmdb.Environment
    uses: int = 1


class Environments:
    """The pool. LMDB allows a file to be open once in a process, whoever asks, so there is one pool: `POOL`.

    `epoch` counts the forks that led to this process: what was acquired in another epoch is closed.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._begin()

    def _begin(self) -> None:
        # Re-entrant, for a release may run inside the garbage collector while this thread acquires.
        self.lock = threading.RLock()
        self._files: dict[tuple[int, int], OpenFile] = {}

    def after_fork(self) -> None:
        """In a forked child, let go of what the parent had open: LMDB's locks are not inherited. Users open anew."""
        inherited = list(self._files.values())
        self.epoch += 1
        self._begin()
        for file in inherited:
            file.env.close()

    def acquire(self, path: Path, least_bytes: int) -> OpenFile:
        """Open a file, or share it. Every call is to be met by one `release`.

        Raises:
            FileNotFoundError: there is none.
            CorruptDataError: it is shorter than `least_bytes` or than the pages it says it has (reading behind the end of a mapped
                file would kill the process), or not an LMDB file.
            StoreError: it cannot be opened, or not be locked against writers.
        """
        try:
            status = path.stat()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"cannot open {path}: {error.strerror or error}", "give this user the right to read it") from error
        if status.st_size < least_bytes:
            raise CorruptDataError(f"{path} has {status.st_size} bytes where {least_bytes} were written", damage_remedy(path))
        identity = (status.st_dev, status.st_ino)
        with self.lock:
            known = self._files.get(identity)
            if known is not None:
                known.uses += 1
                return known
            self._files[identity] = opened = OpenFile(path, identity, _open(path))
            return opened

    def release(self, file: OpenFile) -> None:
        """End one use; the last one closes the file."""
        with self.lock:
            file.uses -= 1
            if file.uses == 0 and self._files.get(file.identity) is file:
                del self._files[file.identity]
                file.env.close()


def _open(path: Path) -> lmdb.Environment:
    writable = os.access(path, os.W_OK)
    locked = _can_lock(path)
    if not locked and not os.statvfs(path).f_flag & os.ST_RDONLY:
        # Without a lock, pages are reused under a reader's eyes, and LMDB aborts the process.
        raise StoreError(
            f"cannot lock {path}, which others may write", f"give this user the right to write {path}-lock and {path.parent}"
        )
    try:
        env = lmdb.open(
            str(path),
            subdir=False,
            create=False,
            map_size=MAP_BYTES,
            max_readers=MAX_READERS,
            max_spare_txns=8,
            readahead=False,
            readonly=not writable,
            lock=locked,
            mode=0o644,
        )
    except lmdb.Error as error:
        raise translated(error, path) from error
    try:
        if writable:
            env.reader_check()  # frees the slots of readers that were killed
        needed, there = (env.info()["last_pgno"] + 1) * env.stat()["psize"], path.stat().st_size
        if there < needed:
            raise CorruptDataError(f"{path} has {there} bytes where its pages take {needed}", damage_remedy(path))
    except lmdb.Error as error:
        env.close()
        raise translated(error, path) from error
    except BaseException:
        env.close()
        raise
    return env


def _can_lock(path: Path) -> bool:
    """Whether LMDB's lock file can be written, or made."""
    lock = Path(f"{path}-lock")
    return os.access(lock if lock.exists() else path.parent, os.W_OK)


POOL = Environments()
os.register_at_fork(after_in_child=POOL.after_fork)

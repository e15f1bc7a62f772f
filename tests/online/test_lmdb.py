"""The embedded store on a real disk: crashes, damage, a full disk, other processes and threads."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from featurestore.core.errors import CorruptDataError, StoreError
from featurestore.files.kill import VARIABLE
from featurestore.online import LmdbStore
from featurestore.online.environments import translated
from tests.online.samples import SPEND, SPEND_CHANGED, STOCK, Stored, publish, read, spend_batch, spend_keys, upsert

ROOT = Path(__file__).parents[2]


def row(event: int, note: bytes = b"") -> Stored:
    return event, None, float(event), note


def child(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Run Python code in another process, with this file's names at hand."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfrom tests.online.test_lmdb import *\n{code}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.lmdb"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "online"


def only_file(root: Path) -> Path:
    """The file that CURRENT names for the one view."""
    (record,) = json.loads((root / "CURRENT").read_text())["views"].values()
    return root / str(record["file"])


def test_a_view_keeps_its_file_and_the_one_before_it(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(1)}, STOCK)
    for event in range(1, 6):
        publish(store, {1: row(event)})
    assert files(root) == [f"views/{name}.lmdb" for name in ("spend/000000000005", "spend/000000000006", "stock/000000000001")]
    store.delete_views(["spend"])
    assert files(root) == ["views/stock/000000000001.lmdb"]


def test_a_newcomer_in_the_same_process_shares_the_open_files(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)})
    stores = [LmdbStore(root) for _ in range(3)]
    snapshots = [store.snapshot() for store in stores]
    upsert(stores[0], {1: row(2)})
    assert [read(snapshot, [1]) for snapshot in snapshots] == [[row(2)]] * 3


@pytest.mark.parametrize("point", ["materialize.file_written", "materialize.published"])
def test_killed_at_a_point_of_a_publication_the_store_is_whole_and_a_rerun_completes(root: Path, point: str) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(1), 2: row(1)}, watermark_us=1)
    code = "publish(LmdbStore(Path(sys.argv[1])), {1: row(7), 3: row(7)}, watermark_us=7)"
    assert finish(child(code, root, **{VARIABLE: point}))[0] == -signal.SIGKILL
    state = store.snapshot().state("spend")
    assert state is not None
    if point == "materialize.published":
        assert read(store, [1, 2, 3]) == [row(7), row(1), row(7)]
        assert state.watermark_us == 7
    else:
        assert read(store, [1, 2, 3]) == [row(1), row(1), None]
        assert state.watermark_us == 1
    assert finish(child(code, root)) == (0, "")
    assert read(store, [1, 2, 3]) == [row(7), row(1), row(7)]


def test_what_a_killed_publication_left_is_removed_by_the_next(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)})
    code = """
with LmdbStore(Path(sys.argv[1])).publication() as publication:
    publication.write(STOCK, [spend_batch([1], [row(1)], STOCK)], None)
    print("written", flush=True)
    sys.stdin.read()
"""
    process = child(code, root)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.kill()
    finish(process)
    (root / ".CURRENT.abandoned").write_bytes(b"half")
    assert files(root) == ["views/spend/000000000001.lmdb", "views/stock/000000000002.lmdb"]
    publish(LmdbStore(root), {2: row(1)})
    assert files(root) == ["views/spend/000000000001.lmdb", "views/spend/000000000002.lmdb"]
    assert not (root / "views/stock").exists()
    assert not (root / ".CURRENT.abandoned").exists()
    assert read(LmdbStore(root), [1], STOCK) == [None]


def test_rows_acknowledged_before_a_kill_are_there(root: Path) -> None:
    publish(LmdbStore(root), {0: row(1)})
    code = """
store = LmdbStore(Path(sys.argv[1]))
for n in range(1, 10_000):
    upsert(store, {n: row(n), -n: row(n)})
    print(n, flush=True)
"""
    process = child(code, root)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.kill()
    lines += finish(process)[1].splitlines(keepends=True)
    last = max(int(line) for line in lines if line.endswith("\n"))
    ids = list(range(1, last + 1))
    store = LmdbStore(root)
    assert read(store, ids) == [row(n) for n in ids]
    assert read(store, [-n for n in ids]) == [row(n) for n in ids]
    upsert(store, {1: row(10**6)})
    assert read(store, [1]) == [row(10**6)]


def test_another_process_reads_only_whole_generations(root: Path) -> None:
    def both(event: int) -> None:
        with store.publication() as publication:
            publication.write(SPEND, [spend_batch(range(200), [row(event)] * 200)], None)
            publication.write(STOCK, [spend_batch(range(200), [row(event)] * 200, STOCK)], None)
            publication.commit()

    store = LmdbStore(root)
    both(0)
    code = """
store = LmdbStore(Path(sys.argv[1]))
seen = []
while not seen or seen[-1] < 12:
    snapshot = store.snapshot()
    events = {stored[0] for of in (SPEND, STOCK) for stored in read(snapshot, range(200), of)}
    assert len(events) == 1, events
    seen.extend(events)
    print(*events, flush=True)
assert seen == sorted(seen)
"""
    process = child(code, root)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    for event in range(1, 13):
        both(event)
    code_out, words = finish(process)
    assert code_out == 0, words


def test_threads_that_write_in_place_while_generations_are_published_lose_nothing(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {-1: row(1)})

    def push(base: int) -> None:
        for n in range(8):
            upsert(store, {base + n: row(n + 1)})

    threads = [threading.Thread(target=push, args=(base,)) for base in (100, 200, 300)]
    for thread in threads:
        thread.start()
    published = 0
    while any(thread.is_alive() for thread in threads):
        published += 1
        publish(store, {1: row(published)})
    for thread in threads:
        thread.join()
    ids = [base + n for base in (100, 200, 300) for n in range(8)]
    assert read(store, ids) == [row(n + 1) for _ in range(3) for n in range(8)]
    assert read(store, [1]) == [row(published)]


def test_a_forked_child_reads_and_writes_beside_its_parent(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(1)})
    code = """
import os
store = LmdbStore(Path(sys.argv[1]))
kept = store.snapshot()
pid = os.fork()
if pid == 0:
    assert read(store, [1]) == [row(1)]
    upsert(store, {2: row(2)})
    publish(store, {3: row(3)})
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert read(store, [1, 2, 3]) == [row(1), row(2), row(3)]
assert read(kept, [1, 2, 3]) == [row(1), row(2), None]
upsert(store, {1: row(4)})
"""
    assert finish(child(code, root)) == (0, "")
    assert read(store, [1, 2, 3]) == [row(4), row(2), row(3)]


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, -4096])
def test_a_truncated_file_is_reported_and_the_views_beside_it_are_read(root: Path, size: int) -> None:
    publish(LmdbStore(root), {n: row(n) for n in range(500)})
    path = only_file(root)
    publish(LmdbStore(root), {1: row(1)}, STOCK)
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    store = LmdbStore(root)
    with pytest.raises(CorruptDataError, match=f"delete {path} and materialize the view again"):
        store.snapshot().get(SPEND, spend_keys([1]))
    with pytest.raises(CorruptDataError):
        upsert(store, {1: row(2)})
    with pytest.raises(CorruptDataError):
        publish(store, {1: row(2)})
    assert read(store, [1], STOCK) == [row(1)]
    path.unlink()
    assert store.snapshot().state("spend") is None
    publish(store, {1: row(2)})
    assert read(store, [1, 2]) == [row(2), None]


def test_a_file_that_is_no_store_is_reported(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)})
    path = only_file(root)
    path.write_bytes(b"something else" * 10_000)
    with pytest.raises(CorruptDataError, match="is damaged"):
        LmdbStore(root).snapshot().get(SPEND, spend_keys([1]))


def test_a_missing_file_is_reported_until_the_view_is_written_again(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(1)}, watermark_us=9)
    only_file(root).unlink()
    store = LmdbStore(root)
    with pytest.raises(CorruptDataError, match="is missing; materialize the view again"):
        store.snapshot().get(SPEND, spend_keys([1]))
    upsert(store, {2: row(2)})
    assert read(store, [1, 2]) == [None, row(2)]
    state = store.snapshot().state("spend")
    assert state is not None
    assert state.watermark_us is None


@pytest.mark.parametrize("damage", [b"", b"not json", b"{}", b"[]", b'{"format": 1}'])
def test_a_damaged_current_is_reported(root: Path, damage: bytes) -> None:
    publish(LmdbStore(root), {1: row(1)})
    (root / "CURRENT").write_bytes(damage)
    with pytest.raises(CorruptDataError, match=r"delete the folder .* and materialize again"):
        LmdbStore(root).snapshot()
    with pytest.raises(CorruptDataError):
        publish(LmdbStore(root), {1: row(2)})


def test_a_changed_letter_in_current_is_detected(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)}, watermark_us=1234)
    path = root / "CURRENT"
    path.write_bytes(path.read_bytes().replace(b"1234", b"1235"))
    with pytest.raises(CorruptDataError, match="does not fit its checksum"):
        LmdbStore(root).snapshot()


def test_a_damaged_row_gives_way_to_any_row(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(99), 2: row(99)})
    file = store.snapshot().file(SPEND)
    assert file is not None
    with file.env.begin(write=True) as txn:
        (key,) = spend_keys([1])
        good = bytes(txn.get(key) or b"")
        txn.put(key, good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(CorruptDataError, match="entity 0 fails its checksum"):
        read(store, [1])
    assert upsert(store, {1: row(5), 2: row(5)}) == 1
    assert read(store, [1, 2]) == [row(5), row(99)]


def test_a_row_found_under_another_key_is_refused(root: Path) -> None:
    publish(LmdbStore(root), {2: row(1), 3: row(1)})
    path = only_file(root)
    (there,), (elsewhere,) = spend_keys([2]), spend_keys([2 + 1024])
    data = path.read_bytes()
    assert data.count(there) == 1
    path.write_bytes(data.replace(there, elsewhere))
    store = LmdbStore(root)
    with pytest.raises(CorruptDataError, match="view spend: the stored row of entity 1 fails its checksum"):
        read(store, [3, 2 + 1024])
    assert upsert(store, {2 + 1024: row(0)}) == 1
    assert read(store, [2 + 1024]) == [row(0)]


FULL = """
import resource
from featurestore.core.errors import FeatureStoreError
store = LmdbStore(Path(sys.argv[1]))
store.snapshot()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
many = {n: row(9, b"x" * 200) for n in range(5000)}
try:
    {"publish": publish, "upsert": upsert}[sys.argv[2]](store, many)
except FeatureStoreError as error:
    print(type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert read(store, [1, 4000]) == [row(1), None], read(store, [1, 4000])
"""


@pytest.mark.parametrize(("write", "limit"), [("publish", 100_000), ("publish", 10), ("upsert", 100_000)])
def test_a_full_disk_is_reported_and_leaves_the_store_as_it_was(root: Path, write: str, limit: int) -> None:
    publish(LmdbStore(root), {1: row(1)})
    code, words = finish(child(FULL, root, write, limit))
    assert code == 0, words
    assert words.startswith("StoreError")
    assert "; free space " in words
    store = LmdbStore(root)
    assert read(store, [1, 4000]) == [row(1), None]
    assert files(root) == ["views/spend/000000000001.lmdb"]
    publish(store, {4000: row(2)})
    assert read(store, [1, 4000]) == [row(1), row(2)]


def test_a_store_removed_and_made_anew_is_followed(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(9)})
    assert read(store, [1]) == [row(9)]
    shutil.rmtree(root)
    for _ in range(2):
        with pytest.raises(StoreError, match=f"the online store at {root} is gone; put it back, or run `featurestore materialize`"):
            store.snapshot()
    publish(LmdbStore(root), {1: row(3)})
    assert read(store, [1]) == [row(3)]


def test_a_file_that_grew_in_place_and_was_truncated_is_reported(root: Path) -> None:
    store = LmdbStore(root)
    publish(store, {1: row(1)})
    path = only_file(root)
    published = path.stat().st_size
    upsert(store, {n: row(n, b"x" * 100) for n in range(1000)})
    del store
    os.truncate(path, published + 4096)
    with pytest.raises(CorruptDataError, match=r"where its pages take \d+; delete .* and materialize the view again"):
        LmdbStore(root).snapshot().get(SPEND, spend_keys([1]))


def test_a_file_that_the_system_refuses_takes_no_other_view_down_and_is_tried_again(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)})
    path = only_file(root)
    publish(LmdbStore(root), {1: row(2)}, STOCK)
    aside = path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.name)  # to itself: not to be opened by anyone, root included
    store = LmdbStore(root)
    with pytest.raises(StoreError, match=r"cannot open .*symbolic links"):
        read(store, [1])
    assert read(store, [1], STOCK) == [row(2)]
    assert upsert(store, {1: row(3)}, STOCK) == 1
    assert store.snapshot().state("spend") is None
    assert store.views() == {"spend", "stock"}
    path.unlink()
    aside.rename(path)
    assert read(store, [1]) == [row(1)]
    assert store.snapshot() is store.snapshot()


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    told = translated(lmdb.DiskError("mdb_txn_commit", errno.ENOSPC), tmp_path / "f.lmdb")
    assert isinstance(told, StoreError)
    assert str(told).startswith(f"the disk of {tmp_path}/f.lmdb is full (")


UNPRIVILEGED = """
store = LmdbStore(Path(sys.argv[1]))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    print(read(store, [1]))
except StoreError as error:
    print("StoreError", error)
"""


@pytest.fixture
def public(root: Path) -> Iterator[Path]:
    """A store whose folders another user can reach: pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "online"
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_reader_without_rights_to_lock_is_refused_for_writers_would_crash_it(public: Path) -> None:
    publish(LmdbStore(public), {1: row(1)})
    assert finish(child("read(LmdbStore(Path(sys.argv[1])), [1])", public)) == (0, "")  # the first reader makes the lock file
    path = only_file(public)
    lock = path.with_name(path.name + "-lock")
    for found, mode in ((path, 0o444), (lock, 0o444), (path.parent, 0o555)):
        found.chmod(mode)
    code, words = finish(child(UNPRIVILEGED, public))
    assert code == 0, words
    assert words.startswith(f"StoreError cannot lock {path}, which others may write; give this user the right to write {lock}")
    lock.chmod(0o666)
    assert finish(child(UNPRIVILEGED, public)) == (0, f"{[row(1)]}\n")


def test_a_changed_view_does_not_read_what_was_written_for_the_old_one_after_a_crash(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)}, watermark_us=5)
    code = "publish(LmdbStore(Path(sys.argv[1])), {1: row(7)}, SPEND_CHANGED, 7)"
    assert finish(child(code, root, **{VARIABLE: "materialize.file_written"}))[0] == -signal.SIGKILL
    assert read(LmdbStore(root), [1]) == [row(1)]
    publish(LmdbStore(root), {2: row(7)}, SPEND_CHANGED, 7)
    assert read(LmdbStore(root), [1, 2], SPEND_CHANGED) == [None, row(7)]


def test_old_files_are_closed_once_no_snapshot_needs_them(root: Path) -> None:
    def open_files() -> set[str]:
        links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        return {link.removesuffix(" (deleted)") for link in links if str(root) in link and "lock" not in link}

    store = LmdbStore(root)
    publish(store, {1: row(1)})
    pinned = store.snapshot()
    for event in range(2, 6):
        publish(store, {1: row(event)})
        store.snapshot()
    assert len(open_files()) == 2
    assert read(pinned, [1]) == [row(1)]
    del pinned
    assert len(open_files()) == 1
    del store
    assert not open_files()


def test_the_store_does_not_open_a_file_behind_the_pools_back(root: Path) -> None:
    publish(LmdbStore(root), {1: row(1)})
    snapshot = LmdbStore(root).snapshot()
    with pytest.raises(lmdb.Error, match="already open"):
        lmdb.open(str(only_file(root)), subdir=False)
    assert read(snapshot, [1]) == [row(1)]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "online").write_bytes(b"a file where the folder should be")
    with pytest.raises(StoreError, match="online"):
        publish(LmdbStore(tmp_path / "online"), {1: row(1)})
    with pytest.raises(StoreError, match="online"):
        LmdbStore(tmp_path / "online").snapshot()


def test_reading_loads_no_heavy_library() -> None:
    code = "import sys, featurestore.online; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pyarrow", "polars", "pandas", "feast", "duckdb", "pandera", "google.protobuf"}
    assert not heavy & set(done.stdout.split())

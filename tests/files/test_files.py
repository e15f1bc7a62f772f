"""Whole-file replacement, locks between processes, and the kill points."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.core.errors import BusyError, StoreError
from featurestore.files import exclusive, write_whole


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


LIMITED = """
import resource, sys
from pathlib import Path
from featurestore.core.errors import StoreError
from featurestore.files import write_whole
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path(sys.argv[1]), b"x" * 5000)
except StoreError as error:
    print(error)
    sys.exit(7)
"""


def test_a_write_that_does_not_fit_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "cannot write" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        write_whole(tmp_path / "file" / "below", b"")
    with pytest.raises(StoreError, match="cannot lock"), exclusive(tmp_path / "file" / "lock", "job"):
        pass


def test_a_lock_is_held_by_one_and_freed_at_the_end(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", "job"), pytest.raises(BusyError, match="another job"), exclusive(tmp_path / "lock", "job"):
        pass
    with exclusive(tmp_path / "lock", "job"):
        pass


def test_a_kill_point_kills_where_it_is_named_and_nowhere_else() -> None:
    code = (
        "from featurestore.files import kill_point; kill_point('a'); print('between', flush=True); kill_point('b'); print('after')"
    )
    environment = {**os.environ, "FEATURESTORE_KILL_AT": "b"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "between\n"

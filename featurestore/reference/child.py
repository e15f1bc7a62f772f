"""A real server beside the demo: `featurestore serve` in a process of its own, on a free loopback port."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from featurestore.core.errors import StoreError

DRAIN_SECONDS = 15
"""How long a server may take to end after it was asked to."""


@contextmanager
def serving(root: Path, as_of: datetime) -> Iterator[str]:
    """Run a server of the project in `root`, its clock fixed at `as_of`; gives its address, and ends it after the block.

    Raises:
        StoreError: the server did not start; the message has its last line.
    """
    command = [
        sys.executable,
        "-m",
        "featurestore",
        "serve",
        "--chdir",
        str(root),
        "--port",
        "0",
        "--as-of",
        as_of.isoformat(),
        "--json",
    ]
    with tempfile.TemporaryFile() as words, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words) as server:
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()  # one line when it is ready, or the end of the output when it failed
            if not ready:
                words.seek(0)
                said = words.read().decode(errors="replace").strip().splitlines()
                raise StoreError(
                    f"the server did not start: {said[-1] if said else 'no reason given'}", "start it by hand to see more"
                )
            yield json.loads(ready)["address"]
        finally:
            server.terminate()
            try:
                server.wait(DRAIN_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()

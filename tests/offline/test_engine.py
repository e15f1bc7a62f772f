"""Connections to the process's one database: tables of their own, from any thread, and after a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from featurestore.offline.engine import session


def number(value: int) -> int:
    with closing(session()) as connection:
        connection.execute(f"CREATE TEMP TABLE picks AS SELECT {value} AS n")
        (found,) = connection.execute("SELECT sum(n) FROM picks, range(1000)").fetchall()[0]
        return int(found)


def test_sessions_do_not_see_each_others_tables() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(number, range(40))) == [1000 * value for value in range(40)]


def test_a_forked_child_opens_its_own_database() -> None:
    assert number(1) == 1000
    child = os.fork()
    if child == 0:
        os._exit(0 if number(2) == 2000 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

"""Bulk load on several threads, and interrupted by a signal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import colonnade

INSERT = "INSERT INTO t VALUES(?, ?)"


def test_two_threads_load_two_databases_at_once(tmp_path: Path) -> None:
    def load(name: str) -> list[tuple[Any, ...]]:
        connection = colonnade.connect(tmp_path / name, bulk_load=True)
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE)")
        connection.executemany(INSERT, ((n, f"{name} {n}") for n in range(30_000)))
        connection.commit()
        rows: list[tuple[Any, ...]] = connection.execute("SELECT count(*), min(b), max(a) FROM t").fetchall()
        connection.close()
        return rows

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(load, ["a.db", "b.db"]))
    assert found == [[(30_000, f"{name} 0", 29_999)] for name in ("a.db", "b.db")]


@pytest.mark.parametrize("at", [5, 20_000])
def test_ctrl_c_leaves_a_transaction_that_can_be_rolled_back_or_go_on(tmp_path: Path, at: int) -> None:
    connection = colonnade.connect(tmp_path / "a.db", bulk_load=True)
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE)")

    def rows() -> Iterator[tuple[int, str]]:
        for n in range(30_000):
            if n == at:
                signal.raise_signal(signal.SIGINT)
            yield n, str(n)

    for end in (connection.rollback, connection.commit):
        with pytest.raises(KeyboardInterrupt):
            connection.executemany(INSERT, rows())
        connection.execute(INSERT, (99_999, "later"))
        end()
    assert connection.execute("SELECT count(*) FROM t WHERE a > 90000").fetchone() == (1,)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()

"""Rows given one by one, and a few at a time, are refused at the statement that brings them, as in sqlite3."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import KEYED, Make, parents

CHECKED = """
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT NOT NULL CHECK(length(b) < 5), c REAL DEFAULT 1.5 CHECK(c <> 3),
        d CONSTRAINT "odd ""name" CHECK(d LIKE 'x%' OR d IS NULL), CHECK(a < 1000 AND a <> c));
    CREATE TABLE s(a INTEGER NOT NULL, b TEXT, c ANY, d REAL) STRICT;
    CREATE TABLE n(a NOT NULL, b, c DATE DEFAULT (1 + 1) NOT NULL CHECK(c > 0));
"""
ROWS: list[tuple[str, tuple[Any, ...]]] = [
    ("t", (1, "b", 2, None)),
    ("t", (None, "b", 2, "x")),
    ("t", ("7", "b", "2", "x1")),
    ("t", (2.0, "b", 2.5, "X")),
    ("t", (2.5, "b", 2.5, "X")),
    ("t", ("z", "b", 2.5, "X")),
    ("t", (b"1", "b", 2.5, "X")),
    ("t", (3, None, 2.5, "X")),
    ("t", (3, "12345", 2.5, "X")),
    ("t", (3, "1", "3", "X")),
    ("t", (3, "1", "3.0", "y")),
    ("t", (4, "1", 1, "y")),
    ("t", (5, "1", 5, None)),
    ("t", (2000, "1", 5, None)),
    ("t", (None, 12345, 5, None)),
    ("t", (6, float("nan"), 5, None)),
    ("t", (float("nan"), "b", 5, None)),
    ("t", (8, "b", float("nan"), None)),
    ("t", (True, "b", False, None)),
    ("t", (2**63, "b", 1, None)),
    ("t", (9, "\udc80", 1, None)),
    ("t", (9, "b", Decimal(1), None)),
    ("t", (9, bytearray(b"abcdef"), 1, None)),
    ("s", (1, "x", b"", 1)),
    ("s", (1.0, 5, 1, "2")),
    ("s", ("x", "x", 1, 2)),
    ("s", (1, b"x", 1, 2)),
    ("s", (1, "x", 1, "two")),
    ("s", (None, "x", 1, 2)),
    ("n", (float("nan"), 1, 1)),
    ("n", (None, 1, 1)),
    ("n", ("\ud800", 1, 1)),
    ("n", (1, 1, None)),
    ("n", (1, 1, -1)),
    ("n", (1, 1, 2**70)),
    ("n", (1, 1, datetime.time(1))),
]


@pytest.mark.parametrize(("table", "row"), ROWS)
@pytest.mark.parametrize("many", [False, True])
def test_a_row_gets_the_answer_of_sqlite3(make: Make, table: str, row: tuple[Any, ...], many: bool) -> None:
    twins = make(CHECKED)
    sql = f"INSERT INTO {table} VALUES({', '.join('?' * len(row))})"
    twins.execute("INSERT INTO t VALUES(?, ?, ?, ?)", (900, "b", 2, None))
    if many:
        good = {"t": (None, "ok", 2, "x"), "s": (1, "x", 1, 2), "n": (1, 1, 1)}[table]
        twins.many(sql, [good, row, good])
    else:
        twins.execute(sql, row)
        twins.query(f"SELECT *, rowid + 0 FROM {table}")


def test_columns_left_out_take_their_defaults(make: Make) -> None:
    twins = make(CHECKED)
    for row in [(1,), (None,), (2,)]:
        twins.execute("INSERT INTO n(a) VALUES(?)", row)
    twins.many("INSERT INTO n(a, b) VALUES(?, ?)", [(n, n) for n in range(5)])
    twins.many("INSERT INTO n(a, b) VALUES(?, ?)", [(n, n) for n in range(200)])
    twins.execute("INSERT INTO n(b, a) VALUES(:x, :y)", {"x": 1, "y": 2})
    twins.execute("INSERT INTO t(b) VALUES(?)", ("b",))
    twins.execute("INSERT INTO t(c) VALUES(?)", (2,))
    twins.done()


def test_a_default_is_computed_when_its_row_comes() -> None:
    connection = colonnade.connect(":memory:", bulk_load=True)
    connection.execute(
        "CREATE TABLE t(a, b DEFAULT (random()) CHECK(b IS NOT random()), c DEFAULT CURRENT_TIMESTAMP)"
    )
    first = connection.execute("SELECT CURRENT_TIMESTAMP").fetchone()
    connection.execute("INSERT INTO t(a) VALUES(1)")
    connection.execute("INSERT INTO t(a) VALUES(?)", (1,))
    time.sleep(1.1)
    connection.execute("INSERT INTO t(a) VALUES(?)", (2,))
    rows = connection.execute("SELECT c FROM t").fetchall()
    assert rows[0] in (first, rows[1])
    assert rows[1] < rows[2]
    assert connection.execute("SELECT count(DISTINCT b) FROM t").fetchone() == (3,)
    connection.close()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_rows_that_share_an_integer_primary_key_wait_for_commit() -> None:
    connection = colonnade.connect(":memory:", bulk_load=True)
    connection.executescript(CHECKED)
    for _ in range(3):
        connection.execute("INSERT INTO t VALUES(?, ?, ?, ?)", (1, "b", 2, None))
    connection.executemany("INSERT INTO t VALUES(?, ?, ?, ?)", [(1, "b", 2, None)] * 3)
    with pytest.raises(colonnade.IntegrityError, match="UNIQUE constraint failed: t.a"):
        connection.commit()
    connection.close()


def test_a_check_may_be_switched_off(make: Make) -> None:
    twins = make(CHECKED)
    for state in ("on", "off"):
        twins.execute(f"PRAGMA ignore_check_constraints = {state}")
        twins.execute("INSERT INTO n VALUES(?, ?, ?)", (1, 2, -1))
    twins.commit()


@pytest.mark.parametrize("at", [0, 3, 63, 64, 65, 150, 199])
@pytest.mark.parametrize("transaction", ["", None])
def test_rows_before_a_rollback_by_their_own_iterator_are_gone(
    make: Make, at: int, transaction: str | None
) -> None:
    twins = make(KEYED, isolation_level=transaction)

    def rows(connection: Any) -> Iterator[tuple[Any, ...]]:
        for n, row in enumerate(parents(200)):
            if n == at:
                connection.rollback()
            yield row

    twins.execute("BEGIN") if transaction is None else None
    twins.many("INSERT INTO p VALUES(?, ?, ?)", rows)
    twins.query("SELECT count(*), min(id) FROM p")
    twins.check()
    twins.commit() if transaction is None else None
    twins.close()


@pytest.mark.parametrize("count", [5, 200])
def test_rows_before_a_rollback_to_an_older_savepoint_are_gone(make: Make, count: int) -> None:
    twins = make(KEYED)

    def rows(connection: Any) -> Iterator[tuple[Any, ...]]:
        for n, row in enumerate(parents(count)):
            if n == count - 2:
                connection.execute("ROLLBACK TO outer")
            yield row

    twins.execute("BEGIN")
    twins.execute("SAVEPOINT outer")
    twins.many("INSERT INTO p VALUES(?, ?, ?)", rows)
    twins.query("SELECT id FROM p")
    twins.done()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_an_executemany_in_autocommit_that_breaks_a_key_is_undone_whole() -> None:
    connection = colonnade.connect(":memory:", isolation_level=None, bulk_load=True)
    connection.executescript(KEYED)
    connection.executemany("INSERT INTO p VALUES(?, ?, ?)", parents(5))
    with pytest.raises(colonnade.IntegrityError, match=r"UNIQUE constraint failed: p\.id") as caught:
        connection.executemany("INSERT INTO p VALUES(?, ?, ?)", [*parents(3, 10), (1, "one", 1)])
    assert [v.rowid for v in caught.value.violations] == [1]
    assert connection.execute("SELECT count(*) FROM p").fetchone() == (5,)
    connection.close()


def test_a_row_with_a_check_costs_no_more_than_some_microseconds() -> None:
    connection = colonnade.connect(":memory:", bulk_load=True)
    connection.executescript(CHECKED)
    rows = [(n, "b", 0.5, "x") for n in range(990)]
    best = 1.0
    for _ in range(3):
        start = time.process_time()
        for row in rows:
            connection.execute("INSERT INTO t VALUES(?, ?, ?, ?)", row)
        best = min(best, (time.process_time() - start) / len(rows))
        connection.rollback()
    assert best < 0.000_15  # 15 µs on a quiet machine; a batch of one row takes 600
    connection.close()

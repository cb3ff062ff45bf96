"""Rows that go in by bulk load are the rows, with every visible effect, that sqlite3 would have put in."""

from __future__ import annotations

import array
import datetime
import enum
import sqlite3
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import KEYED, Make, class_of, parents

# --- the ways to insert ------------------------------------------------------------------------------------


def test_executemany(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(10))
    twins.many("INSERT INTO c(a, b, p) VALUES(?, ?, ?)", [(str(n), n, n % 10 + 1) for n in range(25)])
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", lambda _: ((n, str(n), n) for n in range(7)))
    twins.check()
    twins.done()


def test_execute_row_by_row(make: Make) -> None:
    twins = make(KEYED)
    for row in parents(9):
        twins.execute("INSERT INTO p VALUES(?, ?, ?)", row)
    for n in range(9):
        twins.execute("INSERT INTO plain(c, a) VALUES(:c, :a)", {"a": n, "c": n * 2})
        twins.execute("INSERT INTO c(a, b, p) VALUES('x', ?, ?)", (n, n + 1))
    twins.done()


def test_tables_in_turn(make: Make) -> None:
    twins = make(KEYED)
    for n in range(1, 12):
        twins.execute("INSERT INTO c VALUES(?, ?, ?, ?)", (n, n, n, n))
        twins.execute("INSERT INTO p VALUES(?, ?, ?)", (n, n, n))
        twins.execute("INSERT INTO p(name) VALUES(?)", (f"x{n}",)) if n > 10 else None
    twins.done()


def test_insert_select(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(20))
    twins.execute("INSERT INTO plain SELECT name, id, price FROM p ORDER BY id DESC")
    twins.query("SELECT last_insert_rowid()")
    twins.execute("INSERT INTO plain(a) SELECT a FROM plain WHERE b > ?", (15,))
    twins.execute("INSERT INTO plain SELECT * FROM plain")
    twins.execute("INSERT INTO plain SELECT 1, 2, 3 WHERE 0")
    twins.execute(
        "WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9) INSERT INTO c(a, b) SELECT x, x FROM n"
    )
    twins.execute("INSERT INTO c(a, b) WITH n(x) AS (VALUES(50), (51)) SELECT x, x FROM n -- why not")
    twins.done()


def test_multi_row_values(make: Make) -> None:
    twins = make(KEYED)
    twins.execute("INSERT INTO p VALUES(1, 'a', 1), (2, 'b', 2.5), (3, 'c', '2.0')")
    twins.execute("INSERT INTO plain(b, a) VALUES(?, ?), (?, ?)", (1, 2, 3, 4))
    twins.execute(
        "INSERT INTO plain VALUES((SELECT count(*) FROM plain), 1, 1), (?, random() IS NULL, lower('X'))",
        (9,),
    )
    twins.execute("INSERT INTO plain VALUES(last_insert_rowid(), 1, 1)")
    twins.done()


def test_executescript(make: Make) -> None:
    twins = make(KEYED)
    twins.script("""
        INSERT INTO p VALUES(1, 'a; b', 1);
        BEGIN;
        PRAGMA defer_foreign_keys = on;
        INSERT INTO c(a, b, p) VALUES('x', 1, 2); -- its parent comes later
        INSERT INTO p(id, name) VALUES(2, 'b');
        COMMIT;
        INSERT INTO plain SELECT * FROM plain;
    """)
    twins.done()


def test_an_insert_without_rows_changes_nothing(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", [])
    twins.execute("INSERT INTO plain SELECT * FROM plain")
    twins.done()


def test_wide_range_of_values(make: Make) -> None:
    twins = make("CREATE TABLE v(i INTEGER, t TEXT, r REAL, n NUMERIC, b BLOB, x)")
    values = [
        None, 0, -1, 2**63 - 1, -(2**63), 1.0, 1.5, -0.0, 1e300, float("inf"), float("-inf"), float("nan"), 2.0**40,
        "", "1", " 12 ", "1.50", "1e2", "0x10", "abc", "a\0b", "é", "1" * 30, "9223372036854775808", b"",
        b"\0\xff", b"12", True, False,
    ]  # fmt: skip
    twins.many("INSERT INTO v VALUES(?, ?, ?, ?, ?, ?)", [(value,) * 6 for value in values])
    for value in values:
        twins.execute("INSERT INTO v VALUES(?, ?, ?, ?, ?, ?)", (value,) * 6)
    twins.done()


class Colour(enum.IntEnum):
    RED = 3


class Text(str):
    pass


class Whole(int):
    pass


class Conforming:
    def __conform__(self, protocol: type) -> str:
        return "conformed"


def test_values_that_need_an_adapter(make: Make) -> None:
    twins = make("CREATE TABLE v(a, b TEXT)")
    values = [
        bytearray(b"ab"), memoryview(b"cd"), array.array("b", b"ef"), Colour.RED, Text("t"), Whole(5), Conforming(),
        datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3),
    ]  # fmt: skip
    twins.many("INSERT INTO v VALUES(?, ?)", [(1, 2), *((value, "x") for value in values)])
    for value in values:
        twins.execute("INSERT INTO v VALUES(?, ?)", (value, value))
    twins.done()


@pytest.mark.parametrize("row", [[1, 2, 3], "abc", (1, 2, 3), range(3), b"abc"], ids=repr)
def test_kinds_of_rows(make: Make, row: Any) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", [row, row])
    twins.execute("INSERT INTO plain VALUES(?, ?, ?)", row)
    twins.done()


@pytest.mark.parametrize(
    "marks", [":a, :b, :c", "@a, @b, @c", "$a, $b, $c", ":c, :a, :a", "?2, ?1, ?2", ":a, ?, :b"]
)
def test_kinds_of_parameters(make: Make, marks: str) -> None:
    twins = make(KEYED)
    sql = f"INSERT INTO plain VALUES({marks})"
    for row in ({"a": 1, "b": 2, "c": 3}, {"a": 1}, (1, 2, 3), (1, 2), (), {"a": 1, "b": 2, "c": 3, "d": 4}):
        twins.both(lambda cursor, row=row: class_of(lambda: cursor.executemany(sql, [row])))
        twins.both(lambda cursor, row=row: class_of(lambda: cursor.execute(sql, row)))
    twins.done()


# --- reading one's own writes ------------------------------------------------------------------------------


def test_reads_see_every_row_at_once(make: Make) -> None:
    twins = make(KEYED)
    for n in range(1, 8):
        twins.execute("INSERT INTO p VALUES(?, ?, ?)", (n, f"n{n}", n))
        twins.query("SELECT * FROM p WHERE id = ?", (n,))
        twins.query("SELECT count(*), max(rowid), last_insert_rowid() FROM p")
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(5, 100))
    twins.query("SELECT * FROM p WHERE name = 'NAME 103'")
    twins.query("SELECT last_insert_rowid()")
    twins.done()


def test_last_insert_rowid_is_that_of_the_last_statement_whatever_table_is_written_last(make: Make) -> None:
    twins = make("CREATE TABLE a(id INTEGER PRIMARY KEY, x); CREATE TABLE b(id INTEGER PRIMARY KEY, x);")
    twins.execute("INSERT INTO a VALUES(5, 1)")
    twins.execute("INSERT INTO b VALUES(100, 1)")
    twins.execute("INSERT INTO a(x) VALUES(2)")
    twins.query("SELECT last_insert_rowid()")
    twins.execute("INSERT INTO b(x) VALUES(last_insert_rowid())")
    twins.query("SELECT last_insert_rowid()")
    twins.many("INSERT INTO a(x) VALUES(?)", [(n,) for n in range(5)])
    twins.query("SELECT last_insert_rowid()")
    twins.commit()
    twins.query("SELECT last_insert_rowid()")
    twins.done()


def test_update_and_delete_between_inserts(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(12))
    twins.execute("UPDATE p SET price = price + 1 WHERE id % 3 = 0")
    twins.execute("DELETE FROM p WHERE id > 10")
    twins.execute("INSERT INTO p(name) VALUES('next')")
    twins.execute("INSERT INTO p VALUES(12, 'again', 1)")
    twins.many("INSERT INTO c(a, b, p) VALUES(?, ?, ?)", [(n, n, n) for n in range(1, 8)])
    twins.query("DELETE FROM c WHERE p < 4 RETURNING a, p")
    twins.query("SELECT * FROM c")
    twins.execute("UPDATE c SET q = p WHERE p = 5")
    twins.many("UPDATE c SET q = ? WHERE p = ?", [(n * 10, n) for n in range(4, 7)])
    twins.many("DELETE FROM p WHERE id = ?", [(1,), (2,), (99,)])
    twins.done()


def test_other_kinds_of_insert_in_between(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(8))
    twins.execute("INSERT OR IGNORE INTO p VALUES(1, 'other', 1)")
    twins.execute("INSERT OR REPLACE INTO p VALUES(1, 'uno', 1)")
    twins.execute("INSERT INTO p VALUES(2, 'dos', 2) ON CONFLICT DO UPDATE SET name = excluded.name")
    twins.query("INSERT INTO p(name) VALUES('r') RETURNING id, name")
    twins.execute("INSERT INTO p DEFAULT VALUES")
    twins.execute("INSERT INTO p(rowid, name) VALUES(77, 'by rowid')")
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(8, 200))
    twins.done()


# --- transactions ------------------------------------------------------------------------------------------


def test_rollback_forgets_all(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(5))
    twins.commit()
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(5, 10))
    twins.execute("INSERT INTO c(a, b, p) VALUES('x', 1, 999)")
    twins.rollback()
    twins.execute("INSERT INTO p(name) VALUES('after')")
    twins.done()


def test_savepoints(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(3))
    twins.execute("SAVEPOINT one")
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(5, 10))
    twins.execute("INSERT INTO c(a, b, p) VALUES('x', 1, 12)")
    twins.execute("SAVEPOINT two")
    twins.execute("INSERT INTO c(a, b, p) VALUES('x', 2, 12)")
    twins.execute("INSERT INTO p(name) VALUES('two')")
    twins.execute("ROLLBACK TO two")
    twins.check()
    twins.execute("INSERT INTO p(name) VALUES('two again')")
    twins.execute("RELEASE two")
    twins.check()
    twins.execute("ROLLBACK TO one")
    twins.check()
    twins.execute("INSERT INTO p(name) VALUES('after one')")
    twins.execute("RELEASE one")
    twins.done()


def test_rolling_back_to_a_savepoint_forgets_violations(make: Make) -> None:
    twins = make(KEYED)
    twins.execute("INSERT INTO p VALUES(1, 'a', 1)")
    twins.ours_alone("SAVEPOINT s")
    twins.ours_alone("INSERT INTO p VALUES(1, 'b', 1)")
    twins.ours_alone("INSERT INTO c(a, b, p) VALUES('x', 1, 12)")
    twins.ours_alone("ROLLBACK TO s")
    twins.done()


def test_autocommit(make: Make) -> None:
    twins = make(KEYED, isolation_level=None)
    twins.execute("INSERT INTO p VALUES(1, 'a', 1)")
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(5, 10))
    twins.execute("INSERT INTO plain SELECT * FROM p ORDER BY id")
    twins.check()
    twins.execute("INSERT INTO c(a, b, p) VALUES('x', 1, NULL)")
    twins.execute("BEGIN")
    twins.execute("INSERT INTO c(a, b, p) VALUES('x', 2, 20)")
    twins.execute("INSERT INTO p(id) VALUES(20)")
    twins.execute("COMMIT")
    twins.execute("SAVEPOINT s")
    twins.execute("INSERT INTO p(id) VALUES(21)")
    twins.execute("RELEASE s")
    twins.check()
    twins.done()


def test_autocommit_statements_that_break_a_key_are_undone(make: Make) -> None:
    twins = make(KEYED, isolation_level=None)
    twins.execute("INSERT INTO p VALUES(1, 'a', 1)")
    for sql in (
        "INSERT INTO p VALUES(1, 'b', 1)",
        "INSERT INTO p(name) VALUES('A')",
        "INSERT INTO p(name) VALUES('x'), ('X')",
        "INSERT INTO c(a, b, p) VALUES(1, 1, 99)",
        "INSERT INTO c(a, b, p) SELECT 1, 1, 99 UNION ALL SELECT 1, 2, 1",
    ):
        messages = []
        for connection in (twins.theirs, twins.ours):
            with pytest.raises(Exception, match="constraint failed") as caught:
                connection.execute(sql)
            assert isinstance(caught.value, (sqlite3.IntegrityError, colonnade.IntegrityError))
            messages.append(str(caught.value))
            assert not connection.in_transaction
        assert messages[1].startswith(messages[0])
        twins.check()


def test_the_context_manager_commits_and_rolls_back(make: Make) -> None:
    twins = make(KEYED)
    for connection in (twins.theirs, twins.ours):
        with connection:
            connection.executemany("INSERT INTO p VALUES(?, ?, ?)", parents(5))
        with pytest.raises(ZeroDivisionError), connection:
            connection.executemany(
                "INSERT INTO p VALUES(?, ?, ?)", ((n, n, 1 / (15 - n)) for n in range(10, 20))
            )
    twins.check()
    with pytest.raises(colonnade.IntegrityError), twins.ours:
        twins.ours.executemany("INSERT INTO p VALUES(?, ?, ?)", parents(5))
    assert not twins.ours.in_transaction
    twins.check()

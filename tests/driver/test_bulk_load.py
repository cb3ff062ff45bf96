"""Rows that go in by bulk load are the rows, with every visible effect, that sqlite3 would have put in."""

from __future__ import annotations

import array
import datetime
import enum
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import Lockstep

Make = Callable[..., Lockstep]


@pytest.fixture(params=["auto", "auto-2", "column", "column-3"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes a Lockstep, with few and with many row groups, and with rows left in row format."""
    storage_format, _, batch_size = request.param.partition("-")
    made: list[Lockstep] = []

    def start(script: str, **options: Any) -> Lockstep:
        made.append(
            Lockstep(script, storage_format=storage_format, batch_size=int(batch_size or 0), **options)
        )
        return made[-1]

    yield start
    for twins in made:
        twins.close()


KEYED = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, price DECIMAL(10, 2));
    CREATE TABLE c(a TEXT, b REAL, p REFERENCES p, q INTEGER DEFAULT 7, PRIMARY KEY(a, b));
    CREATE TABLE plain(a, b INTEGER, c TEXT);
"""


def parents(count: int, start: int = 1) -> list[tuple[Any, ...]]:
    return [(n, f"name {n}", f"{n}.50" if n % 2 else n) for n in range(start, start + count)]


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
        twins.both(lambda cursor, row=row: _class_of(lambda: cursor.executemany(sql, [row])))
        twins.both(lambda cursor, row=row: _class_of(lambda: cursor.execute(sql, row)))
    twins.done()


def _class_of(call: Callable[[], Any]) -> str:
    """Only the class of an error: the messages of mixed styles differ between versions of Python."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "fine"


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


# --- columns, defaults, rowids -----------------------------------------------------------------------------


def test_subsets_and_other_orders_of_columns(make: Make) -> None:
    twins = make(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT DEFAULT 'it''s', c, d REAL DEFAULT 1, e DEFAULT (1 + 1))"
    )
    twins.many("INSERT INTO t(c, a) VALUES(?, ?)", [(n, n * 2) for n in range(5)])
    twins.many("INSERT INTO t(e, d, c) VALUES(?, ?, ?)", [(n, n, n) for n in range(5)])
    twins.execute("INSERT INTO t(C, B) VALUES(1, 2)")
    twins.execute("INSERT INTO t(c) SELECT c FROM t")
    twins.execute("INSERT INTO t(c, c) VALUES(1, 2)")
    twins.execute("INSERT INTO t(absent) VALUES(1)")
    twins.execute("INSERT INTO t(a, b) VALUES(1)")
    twins.execute("INSERT INTO t VALUES(1)")
    twins.execute("INSERT INTO t SELECT 1")
    twins.many("INSERT INTO t VALUES(?)", [(1,)])
    twins.done()


DEFAULTS = """
    CREATE TABLE t(
        x, i INTEGER DEFAULT 5, m DEFAULT -5, p DEFAULT +5, r REAL DEFAULT 2, t TEXT DEFAULT 12,
        n NUMERIC DEFAULT '1.50', s DEFAULT 'a' COLLATE NOCASE, b DEFAULT x'00ff',
        nul DEFAULT NULL, yes DEFAULT TRUE, bare DEFAULT word,
        dq DEFAULT "quoted", e DEFAULT 1e3, big DEFAULT 9223372036854775807, huge DEFAULT 9223372036854775808,
        hex DEFAULT 0x10, low DEFAULT -9223372036854775808, c DEFAULT (1 + 2), f DEFAULT (lower('ABC')),
        glued DEFAULT ('a' || abs(-3) || 'b'), nn INTEGER NOT NULL DEFAULT 3)
"""


def test_defaults_are_those_of_sqlite(make: Make) -> None:
    twins = make(DEFAULTS)
    twins.many("INSERT INTO t(x) VALUES(?)", [(n,) for n in range(7)])
    twins.execute("INSERT INTO t(x) VALUES(1)")
    twins.execute("INSERT INTO t(x) SELECT x FROM t")
    twins.done()


def test_computed_defaults_are_computed_for_every_row(make: Make) -> None:
    twins = make(
        "CREATE TABLE t(x, r DEFAULT (random()), g DEFAULT ('a' || random() || 'b'), w DEFAULT CURRENT_TIMESTAMP)"
    )
    twins.ours.executemany("INSERT INTO t(x) VALUES(?)", [(n,) for n in range(20)])
    twins.ours.execute("INSERT INTO t(x) VALUES(1)")
    found = twins.ours.execute(
        "SELECT count(DISTINCT r), count(DISTINCT g), min(length(w)) FROM t"
    ).fetchone()
    assert found == (21, 21, 19)


def test_a_missing_value_without_default_must_not_be_null(make: Make) -> None:
    twins = make("CREATE TABLE t(a, b NOT NULL, c NOT NULL DEFAULT (NULL))")
    twins.execute("INSERT INTO t(a) VALUES(1)")
    twins.execute("INSERT INTO t(a, b) VALUES(1, 2)")
    twins.many("INSERT INTO t(a) VALUES(?)", [(1,)])
    twins.execute("INSERT INTO t(a, b, c) VALUES(1, 2, 3)")
    twins.done()


def test_rowids_that_sqlite_chooses(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE u(x);")
    twins.many(
        "INSERT INTO t VALUES(?, ?)", [(None, 1), (None, 2), (10, 3), (None, 4), (5, 5), (None, 6), (-3, 7)]
    )
    for row in [(None, 1), (40, 2), (None, 3), (20, 4), (None, 5)]:
        twins.execute("INSERT INTO t VALUES(?, ?)", row)
    twins.execute("INSERT INTO t(x) SELECT x FROM t")
    twins.many("INSERT INTO t(x) VALUES(?)", [(n,) for n in range(9)])
    twins.many("INSERT INTO u VALUES(?)", [(n,) for n in range(9)])
    twins.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
    twins.execute("DELETE FROM u WHERE rowid > 4")
    twins.execute("INSERT INTO t(x) VALUES('after')")
    twins.execute("INSERT INTO u VALUES('after')")
    twins.many("INSERT INTO u VALUES(?)", [(n,) for n in range(9)])
    twins.execute("DELETE FROM u")
    twins.execute("INSERT INTO u VALUES('again')")
    twins.done()


def test_negative_rowids(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
    twins.many("INSERT INTO t VALUES(?, 1)", [(-10,), (-20,), (-(2**63),), (None,), (None,)])
    twins.execute("INSERT INTO t(x) VALUES(2)")
    twins.execute("DELETE FROM t WHERE id > -15")
    twins.execute("INSERT INTO t(x) VALUES(3)")
    twins.done()


def test_the_first_rowid_of_an_emptied_table(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
    twins.execute("INSERT INTO t VALUES(-10, 1)")
    twins.execute("DELETE FROM t")
    twins.execute("INSERT INTO t(x) VALUES(2)")
    twins.done()


def test_the_largest_rowid(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
    twins.many("INSERT INTO t VALUES(?, 1)", [(2**63 - 1,), (2**63 - 2,), (0,)])
    twins.check()
    twins.ours.execute("INSERT INTO t(x) VALUES(2)")  # SQLite looks for a random one that is free
    twins.ours.executemany("INSERT INTO t(x) VALUES(?)", [(3,), (4,)])
    twins.ours.commit()
    assert twins.ours.execute("SELECT count(*), count(DISTINCT id) FROM t").fetchone() == (6, 6)


def test_what_is_no_rowid(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
    for value in ("5", 6.0, "7.0", "x", 1.5, b"8", 2.0**70, "", " 9 "):
        twins.execute("INSERT INTO t VALUES(?, 1)", (value,))
    for value in ("15", 16.0, "x", 1.5, b"8"):
        twins.many("INSERT INTO t VALUES(?, 1)", [(value,)])
    twins.execute("INSERT INTO t(x) VALUES(1)")
    twins.done()


def test_autoincrement(make: Make) -> None:
    twins = make("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
    twins.many("INSERT INTO t(x) VALUES(?)", [(n,) for n in range(5)])
    twins.query("SELECT * FROM sqlite_sequence")
    twins.execute("DELETE FROM t WHERE id > 2")
    twins.execute("INSERT INTO t(x) VALUES('next')")
    twins.execute("INSERT INTO t VALUES(50, 'given')")
    twins.many("INSERT INTO t VALUES(?, ?)", [(None, 1), (30, 2), (None, 3)])
    twins.commit()
    twins.execute("DELETE FROM t")
    twins.many("INSERT INTO t(x) VALUES(?)", [(n,) for n in range(5)])
    twins.execute("INSERT INTO t(x) VALUES('last')")
    twins.done()


def test_names_of_all_sorts(make: Make) -> None:
    twins = make("""CREATE TABLE "odd ""name" ("sel ect" INTEGER PRIMARY KEY, "a.b", [c d], rowid, 'q''s' DEFAULT 2);
                    CREATE TABLE Größe(Ä, ä_);""")
    twins.many('INSERT INTO "odd ""name" VALUES(?, ?, ?, ?, ?)', [(n, n, n, n, n) for n in range(6)])
    twins.execute('INSERT INTO "ODD ""NAME"("SEL ECT", `a.b`, rowid) VALUES(100, 1, 2)')
    twins.many("INSERT INTO main.Größe(Ä) VALUES(?)", [(n,) for n in range(5)])
    twins.execute('SELECT "sel ect", "a.b" FROM "odd ""name"')
    twins.done()


# --- errors ------------------------------------------------------------------------------------------------

STRICT = """
    CREATE TABLE t(a INTEGER NOT NULL, b TEXT CHECK(length(b) < 4), c REAL, CONSTRAINT small CHECK(a < 100));
    CREATE TABLE s(i INT, r REAL, t TEXT, b BLOB, x ANY) STRICT;
"""


def named(value: object) -> str:
    """A test's id: no addresses in it."""
    return re.sub(r"<.*>", "object()", ascii(value))


@pytest.mark.parametrize(
    "bad", [(None, "x", 1), (1, "long", 1), (100, "x", 1), (None, "long", 1), (1, 2), (1, 2, 3, 4), (1, object(), 2),
            (2**63, "x", 1), (1, "\ud800", 1), 5, None, {"a": 1}, (1, "x", float("nan"))], ids=named
)  # fmt: skip
def test_the_rows_before_a_bad_one_stay(make: Make, bad: Any) -> None:
    twins = make(STRICT)
    good = [(n, "ok", n / 2) for n in range(7)]
    twins.many("INSERT INTO t VALUES(?, ?, ?)", [*good, bad, *good])
    twins.check()
    twins.execute("INSERT INTO t VALUES(?, ?, ?)", bad)
    twins.many("INSERT INTO t VALUES(?, ?, ?)", [bad])
    twins.many("INSERT INTO t VALUES(?, ?, ?)", good)
    twins.done()


@pytest.mark.parametrize("bad", [(None, "x", 1), (1, "x"), (1, object(), 2)], ids=named)
def test_the_rows_before_a_bad_one_stay_in_autocommit(make: Make, bad: Any) -> None:
    twins = make(STRICT, isolation_level=None)
    good = [(n, "ok", n / 2) for n in range(7)]
    twins.many("INSERT INTO t VALUES(?, ?, ?)", [*good, bad, *good])
    twins.check()
    twins.execute("INSERT INTO t VALUES(?, ?, ?)", bad)
    twins.done()


@pytest.mark.parametrize("bad", ["x", 1.5, b"x", "12", 2.0, None])
def test_strict_tables(make: Make, bad: Any) -> None:
    twins = make(STRICT)
    for column in range(5):
        row = [1, 1.0, "t", b"b", "any"]
        row[column] = bad
        twins.many(
            "INSERT INTO s VALUES(?, ?, ?, ?, ?)", [(1, 2, "3", b"4", 5), tuple(row), (1, 2, "3", b"4", 5)]
        )
        twins.execute("INSERT INTO s VALUES(?, ?, ?, ?, ?)", row)
    twins.done()


def test_a_select_or_values_with_a_bad_row_inserts_nothing(make: Make) -> None:
    twins = make(STRICT)
    twins.execute("INSERT INTO t(a) VALUES(1), (2), (3), (4), (NULL), (6)")
    twins.check()
    twins.execute("INSERT INTO t(a) SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT NULL")
    twins.execute("INSERT INTO t(a) SELECT abs(-9223372036854775808)")
    twins.execute("INSERT INTO t(a) SELECT absent")
    twins.execute("INSERT INTO t(a) SELECT 1, 2")
    twins.execute("INSERT INTO t(a) VALUES(1), (2, 3)")
    twins.check()
    twins.done()


def test_an_iterator_that_raises_midway(make: Make) -> None:
    twins = make(KEYED)

    def rows(_: Any) -> Iterator[tuple[int, int, int]]:
        for n in range(8):
            yield n, n, n
        raise LookupError("midway")

    twins.many("INSERT INTO plain VALUES(?, ?, ?)", rows)
    twins.check()
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", 5)  # type: ignore[arg-type]
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", None)  # type: ignore[arg-type]
    twins.done()


def test_computed_rows_before_a_bad_one_stay(make: Make) -> None:
    twins = make(STRICT)
    for bad in ((3, None), (3,), (3, object()), (None, 1)):
        twins.many(
            "INSERT INTO t VALUES(?, 'x', ? + 1)", [*((n, n) for n in range(8)), bad, (9, 9), (10, 10)]
        )
        twins.check()
    twins.many("INSERT INTO t VALUES(?, 'x', (SELECT count(*) FROM t))", [(1,), (2,), (None,), (4,)])
    twins.many("INSERT INTO t(a) VALUES(?), (? + 1)", [(1, 2), (3, 4), (5, None), (6, 7)])
    twins.check()
    twins.many("INSERT INTO t(a) SELECT count(*) + ? FROM s", [(1,), (2,), (None,), (4,)])
    twins.done()


# --- iterators that use the connection ---------------------------------------------------------------------


def test_rows_from_a_query_of_the_same_connection(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(30))
    twins.many(
        "INSERT INTO plain VALUES(?, ?, ?)",
        lambda db: db.execute("SELECT name, id, price FROM p ORDER BY id"),
    )
    twins.check()
    twins.many("INSERT INTO c(a, b) VALUES(?, ?)", lambda db: db.execute("SELECT a, b FROM plain"))
    twins.many(
        "INSERT INTO plain(a, b) VALUES(?, ?)",
        lambda db: db.execute("SELECT a, b FROM c ORDER BY rowid LIMIT 9"),
    )
    twins.done()


def test_rows_that_look_up_and_insert_parents_on_the_way(make: Make) -> None:
    twins = make(KEYED)

    def rows(db: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(20):
            name = f"name {n % 6}"
            found = db.execute("SELECT id FROM p WHERE name = ?", (name,)).fetchone()
            if found is None:
                found = (db.execute("INSERT INTO p(name) VALUES(?)", (name,)).lastrowid,)
            yield n, n, found[0]

    twins.many("INSERT INTO c(a, b, p) VALUES(?, ?, ?)", rows)
    twins.done()


def test_rows_that_insert_into_their_own_table_on_the_way(make: Make) -> None:
    twins = make(KEYED)

    def rows(db: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(9):
            db.execute("INSERT INTO plain(a) VALUES(?)", (f"inner {n}",))
            yield n, n, n

    twins.both(
        lambda cursor: _class_of(
            lambda: cursor.executemany("INSERT INTO plain VALUES(?, ?, ?)", rows(cursor.connection))
        )
    )
    expected, got = (
        sorted(db.execute("SELECT a, b FROM plain"), key=str) for db in (twins.theirs, twins.ours)
    )
    assert got == expected
    twins.ours.commit()
    assert twins.ours.execute("SELECT count(*), count(DISTINCT rowid) FROM plain").fetchone() == (18, 18)


def test_rows_whose_iterator_commits(make: Make) -> None:
    twins = make(KEYED)

    def rows(db: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(9):
            if n == 4:
                db.commit()
            yield n, n, n

    twins.many("INSERT INTO plain VALUES(?, ?, ?)", rows)
    twins.done()


def test_inserting_while_a_query_is_being_read(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(10))
    twins.commit()
    seen = []
    for db in (twins.theirs, twins.ours):
        seen.append([])
        for row in db.execute("SELECT id, name FROM p ORDER BY id"):
            seen[-1].append(row)
            db.execute("INSERT INTO plain VALUES(?, ?, ?)", (*row, 1))
            db.executemany("INSERT INTO c(a, b, p) VALUES(?, ?, ?)", [(row[0], n, row[0]) for n in range(4)])
    assert seen[1] == seen[0]
    twins.done()


# --- what stays in row format ------------------------------------------------------------------------------


def test_tables_that_must_stay_in_row_format(make: Make) -> None:
    twins = make("""
        CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID;
        CREATE TABLE g(a, b GENERATED ALWAYS AS (a * 2) STORED, c AS (a + 1));
        CREATE TABLE log(what, at INTEGER PRIMARY KEY);
        CREATE TABLE watched(a UNIQUE);
        CREATE TRIGGER seen AFTER INSERT ON watched BEGIN INSERT INTO log(what) VALUES(new.a); END;
        CREATE TABLE ignoring(a UNIQUE ON CONFLICT IGNORE, b NOT NULL ON CONFLICT REPLACE DEFAULT 4);
        CREATE TABLE x(a, b); CREATE UNIQUE INDEX part ON x(a) WHERE b; CREATE UNIQUE INDEX expr ON x(a + b);
        CREATE VIEW v AS SELECT a FROM watched;
        CREATE TRIGGER into_v INSTEAD OF INSERT ON v BEGIN INSERT INTO w VALUES(new.a, 1), (new.a || 'x', 2); END;
    """)  # fmt: skip
    twins.many("INSERT INTO w VALUES(?, ?)", [(f"{n % 10}{n}", n) for n in range(20)])
    twins.many("INSERT INTO g(a) VALUES(?)", [(n,) for n in range(9)])
    twins.execute("INSERT INTO g VALUES(1)")
    twins.many("INSERT INTO log VALUES(?, ?)", [(n, None) for n in range(4)])
    twins.many("INSERT INTO watched VALUES(?)", [(n,) for n in range(9)])
    twins.execute("INSERT INTO watched VALUES(3)")
    twins.many("INSERT INTO ignoring VALUES(?, ?)", [(1, None), (1, 2), (2, 3), (None, None)])
    twins.many("INSERT INTO x VALUES(?, ?)", [(1, 0), (1, 1), (2, 1)])
    twins.execute("INSERT INTO x VALUES(1, 1)")
    twins.many("INSERT INTO v VALUES(?)", [(n + 100,) for n in range(5)])
    twins.done()


def test_temporary_tables_and_those_that_they_hide(make: Make) -> None:
    twins = make("CREATE TABLE t(a, b); CREATE TEMP TABLE u(a INTEGER PRIMARY KEY, b UNIQUE);")
    twins.many("INSERT INTO t VALUES(?, ?)", [(n, n) for n in range(9)])
    twins.many("INSERT INTO u VALUES(?, ?)", [(n, n) for n in range(9)])
    twins.execute("INSERT INTO temp.u VALUES(3, 3)")
    twins.commit()
    twins.script("CREATE TEMP TABLE t(x)")
    twins.execute("INSERT INTO t VALUES('hidden')")
    twins.many("INSERT INTO t VALUES(?)", [(n,) for n in range(9)])
    twins.many("INSERT INTO main.t VALUES(?, ?)", [(n, n) for n in range(9)])
    twins.execute("UPDATE t SET x = 77 WHERE x = 3")
    twins.execute("DELETE FROM t WHERE x < 3")
    twins.execute("DELETE FROM main.t WHERE a < 3")
    twins.many("INSERT INTO main.t VALUES(?, ?)", [(n, n) for n in range(9)])
    twins.done()


def test_attached_databases(make: Make) -> None:
    twins = make("CREATE TABLE t(a)")
    twins.execute("ATTACH ':memory:' AS other")
    twins.script(
        "CREATE TABLE other.t(a, b UNIQUE); CREATE TABLE other.only(a INTEGER PRIMARY KEY, b REFERENCES only);"
    )
    twins.many("INSERT INTO other.t VALUES(?, ?)", [(n, n) for n in range(9)])
    twins.many("INSERT INTO only VALUES(?, ?)", [(n, n + 1 if n < 8 else None) for n in range(8, -1, -1)])
    twins.many("INSERT INTO t VALUES(?)", [(n,) for n in range(9)])
    twins.execute("INSERT INTO other.t SELECT a, a + 50 FROM main.t")
    twins.execute("INSERT INTO OTHER.only(b) VALUES(3)")
    twins.done()


def test_a_deferred_violation_in_an_attached_database_is_found() -> None:
    twins = Lockstep("CREATE TABLE t(a)", storage_format="column")
    twins.ours.execute("ATTACH ':memory:' AS other")
    twins.ours.executescript("CREATE TABLE other.t(a UNIQUE)")
    twins.ours.executemany("INSERT INTO other.t VALUES(?)", [(1,), (1,)])
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: t\.a"):
        twins.ours.commit()
    twins.close()


def test_schema_changes_between_inserts(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", [(n, n, n) for n in range(9)])
    twins.execute("ALTER TABLE plain ADD COLUMN d DEFAULT 'new'")
    twins.many("INSERT INTO plain VALUES(?, ?, ?, ?)", [(n, n, n, n) for n in range(9)])
    twins.execute("INSERT INTO plain(a) VALUES(1)")
    twins.execute("ALTER TABLE plain RENAME TO renamed")
    twins.execute("INSERT INTO renamed(a) VALUES(2)")
    twins.execute("CREATE INDEX i ON renamed(a)")
    twins.execute("INSERT INTO renamed(a) VALUES(3)")
    twins.execute("ALTER TABLE renamed DROP COLUMN b")
    twins.execute("INSERT INTO renamed VALUES(3, 4, 5)")
    twins.execute("CREATE TABLE made AS SELECT * FROM renamed")
    twins.execute("INSERT INTO made SELECT * FROM renamed")
    twins.execute("DROP TABLE renamed")
    twins.execute("CREATE TABLE renamed(z)")
    twins.many("INSERT INTO renamed VALUES(?)", [(n,) for n in range(9)])
    twins.done()


def test_a_unique_index_made_after_the_rows(make: Make) -> None:
    twins = make(KEYED)
    twins.many("INSERT INTO plain VALUES(?, ?, ?)", [(n % 3, n, n) for n in range(9)])
    twins.execute("CREATE UNIQUE INDEX u ON plain(b)")
    twins.execute("CREATE UNIQUE INDEX bad ON plain(a)")
    twins.done()

"""Bulk load, row by row: columns left out, defaults and rowids that SQLite chooses, and rows it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import KEYED, Make

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


@pytest.mark.parametrize("bad", [1, 20, 50])
@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO t(a, b) VALUES {}", "INSERT INTO t(a, b) SELECT * FROM (VALUES {})"],
)
def test_a_statement_with_a_bad_row_holds_no_table(statement: str, bad: int) -> None:
    """The rows behind it were not computed yet."""
    connection = colonnade.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA storage_format = column")
    connection.execute("PRAGMA batch_size = 17")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)")
    connection.execute("INSERT INTO t VALUES(12, 1)")
    connection.execute("PRAGMA bulk_load = on")
    connection.execute("BEGIN")
    rows = [f"({1000 + n}, {n})" for n in range(200)]
    rows[bad] = "('x', (SELECT count(*) FROM t))"
    with pytest.raises(colonnade.IntegrityError, match="datatype mismatch"):
        connection.execute(statement.format(", ".join(rows)))
    connection.execute("ROLLBACK")
    connection.execute("PRAGMA bulk_load = off")
    assert connection.execute("UPDATE sqlite_sequence SET seq = 30").rowcount == 1
    connection.execute("ALTER TABLE t DROP COLUMN b")
    assert connection.execute("SELECT * FROM t").fetchall() == [(12,)]
    connection.close()

"""Bulk load among other statements: iterators that use the connection, other kinds of tables, DDL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import KEYED, Lockstep, Make, class_of, parents

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
        lambda cursor: class_of(
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

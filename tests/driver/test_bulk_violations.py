"""Keys that rows of a bulk load break: what is raised, what stays, how it is repaired, and who sees it."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade

SCHEMA = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, CONSTRAINT pair UNIQUE(id, name));
    CREATE TABLE c(a INT, b TEXT, p INT REFERENCES p, boss INT, PRIMARY KEY(a, b));
    CREATE TABLE staff(id INTEGER PRIMARY KEY, boss REFERENCES staff, x);
    CREATE TABLE egg(id INTEGER PRIMARY KEY, hen REFERENCES hen(id));
    CREATE TABLE hen(id INTEGER PRIMARY KEY, egg REFERENCES egg(id));
    CREATE TABLE pairs(x INT, y INT, UNIQUE(x, y));
    CREATE TABLE uses(x INT, y INT, FOREIGN KEY(x, y) REFERENCES pairs(x, y));
"""


@pytest.fixture(params=["auto", "column"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database file with the schema; its name says which storage format the connections use."""
    path = tmp_path / f"{request.param}.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


def connect(path: Path, **options: Any) -> colonnade.Connection:
    connection = colonnade.connect(str(path), **options)
    connection.execute("PRAGMA foreign_keys = on")
    connection.execute(f"PRAGMA storage_format = {path.stem}")
    connection.execute("PRAGMA batch_size = 3")
    connection.execute("PRAGMA bulk_load = on")
    return connection


@pytest.fixture
def db(path: Path) -> Iterator[colonnade.Connection]:
    connection = connect(path)
    yield connection
    connection.close()


def names(count: int) -> list[tuple[int, str]]:
    return [(n, f"n{n}") for n in range(1, count + 1)]


def refused(db: colonnade.Connection) -> Any:
    """COMMIT fails, and goes on failing; the transaction stays open."""
    for _ in range(2):
        with pytest.raises(colonnade.IntegrityError) as caught:
            db.commit()
        assert db.in_transaction
    with pytest.raises(colonnade.IntegrityError) as again:
        db.execute("COMMIT")
    assert str(again.value) == str(caught.value)
    assert db.in_transaction
    return caught.value


def found(error: Any) -> list[tuple[Any, ...]]:
    return sorted((v.table, v.kind, v.rowid, v.values) for v in error.violations)


# --- every kind of key --------------------------------------------------------------------------------------


def test_a_primary_key_given_twice(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", [*names(7), (3, "again")])
    error = refused(db)
    assert str(error).startswith("UNIQUE constraint failed: p.id")
    assert error.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert found(error) == [("p", "PRIMARY KEY", 3, (3,))]
    assert db.execute("SELECT name FROM p WHERE id = 3").fetchall() in (
        [("n3",), ("again",)],
        [("again",), ("n3",)],
    )
    assert db.execute("DELETE FROM p WHERE id = 3 AND name = 'again'").rowcount == 1
    db.commit()
    assert db.execute("SELECT * FROM p").fetchall() == names(7)


@pytest.mark.parametrize("keep", ["n3", "again"])
def test_either_of_two_rows_with_one_primary_key_can_be_deleted_or_changed(
    db: colonnade.Connection, keep: str
) -> None:
    for rows in (names(7), [(3, "again"), (8, "n8")]):
        db.executemany("INSERT INTO p VALUES(?, ?)", rows)
    drop = "again" if keep == "n3" else "n3"
    assert db.execute("UPDATE p SET id = 50 WHERE name = ?", (drop,)).rowcount == 1
    db.commit()
    assert db.execute("SELECT id FROM p WHERE name IN ('n3', 'again') ORDER BY id").fetchall() == [
        (3,),
        (50,),
    ]
    assert db.execute("SELECT name FROM p WHERE id = 3").fetchall() == [(keep,)]
    db.executemany("INSERT INTO p VALUES(?, ?)", [(3, "third"), (3, "fourth")])
    assert db.execute("DELETE FROM p WHERE name IN ('third', ?) RETURNING name", (keep,)).fetchall()
    db.commit()
    assert db.execute("SELECT name FROM p WHERE id = 3").fetchall() == [("fourth",)]


def test_a_repair_by_update_keeps_not_null_and_check(path: Path) -> None:
    db = connect(path)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT NOT NULL CHECK(a <> 'bad'))")
    db.executemany("INSERT INTO t VALUES(?, ?)", [(1, "x"), (1, "y"), (2, "z")])
    for value, message in (
        (None, "NOT NULL constraint failed: t.a"),
        ("bad", "CHECK constraint failed: a <> 'bad'"),
    ):
        with pytest.raises(colonnade.IntegrityError, match=message):
            db.execute("UPDATE t SET a = ? WHERE id = 1", (value,))
    assert db.execute("UPDATE t SET id = 7, a = 5 WHERE a = 'y'").rowcount == 1
    db.commit()
    assert db.execute("SELECT * FROM t").fetchall() == [(1, "x"), (2, "z"), (7, "5")]
    db.close()


def test_a_unique_text_under_nocase(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", [*names(7), (20, "N4"), (21, None), (22, None)])
    error = refused(db)
    assert str(error).startswith("UNIQUE constraint failed: p.name")
    assert error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"
    assert found(error) == [("p", "UNIQUE", 20, ("N4",))]
    db.execute("UPDATE p SET name = 'other' WHERE id = 20")
    db.commit()
    assert db.execute("SELECT count(*) FROM p").fetchone() == (10,)


def test_a_composite_primary_key(db: colonnade.Connection) -> None:
    db.executemany(
        "INSERT INTO c(a, b) VALUES(?, ?)", [(1, "x"), (1, "y"), (2, "x"), (1, None), (1, None), (1, "x")]
    )
    error = refused(db)
    assert str(error).startswith("UNIQUE constraint failed: c.a, c.b")
    assert found(error) == [("c", "PRIMARY KEY", 6, (1, "x"))]
    db.execute("DELETE FROM c WHERE rowid = 6")
    db.commit()


def test_a_missing_parent(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO c VALUES(?, ?, ?, NULL)", [(n, "x", n) for n in range(1, 8)])
    db.executemany("INSERT INTO p VALUES(?, ?)", names(5))
    error = refused(db)
    assert str(error).startswith("FOREIGN KEY constraint failed")
    assert error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert found(error) == [("c", "FOREIGN KEY", 6, (6,)), ("c", "FOREIGN KEY", 7, (7,))]
    assert {v.parent for v in error.violations} == {"p"}
    db.execute("INSERT INTO p VALUES(6, 'six')")
    assert found(refused(db)) == [("c", "FOREIGN KEY", 7, (7,))]
    db.execute("UPDATE c SET p = NULL WHERE a = 7")
    db.commit()
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_children_before_parents_are_fine(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO c VALUES(?, ?, ?, NULL)", [(n, "x", n) for n in range(1, 8)])
    for row in names(7):
        db.execute("INSERT INTO p VALUES(?, ?)", row)
    db.commit()


def test_references_to_the_same_table(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO staff VALUES(?, ?, 1)", [(n, n + 1) for n in range(1, 10)])
    assert found(refused(db)) == [("staff", "FOREIGN KEY", 9, (10,))]
    db.execute("INSERT INTO staff VALUES(10, 10, 1)")
    db.commit()
    db.execute("DELETE FROM staff")
    db.commit()


def test_cycles_between_tables(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO egg VALUES(?, ?)", [(n, n) for n in range(9)])
    db.executemany("INSERT INTO hen VALUES(?, ?)", [(n, n + 1) for n in range(8)])
    assert found(refused(db)) == [("egg", "FOREIGN KEY", 8, (8,))]
    db.execute("INSERT INTO hen VALUES(8, NULL)")
    db.commit()


def test_composite_foreign_keys_and_their_nulls(db: colonnade.Connection) -> None:
    db.executemany(
        "INSERT INTO uses VALUES(?, ?)", [(1, 1), (1, 2), (None, 9), (9, None), (None, None), (2, 1)]
    )
    db.executemany("INSERT INTO pairs VALUES(?, ?)", [(1, 1), (1, 2), (3, None), (3, None)])
    error = refused(db)
    assert found(error) == [("uses", "FOREIGN KEY", 6, (2, 1))]
    db.execute("INSERT INTO pairs VALUES(2, 1)")
    db.commit()


def test_every_violation_is_counted_and_the_first_hundred_are_named(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO c VALUES(?, 'x', ?, NULL)", [(n, n + 500) for n in range(250)])
    db.executemany("INSERT INTO p VALUES(?, ?)", [(n // 2, None) for n in range(60)])
    error = refused(db)
    assert len(error.violations) == 100
    assert sum(error.counts.values()) == 280
    assert "280 rows break 2 constraints" in str(error)


# --- repair -------------------------------------------------------------------------------------------------


def test_deleting_a_parent_of_rows_not_validated_yet_is_found(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    db.executemany("INSERT INTO c VALUES(?, ?, ?, NULL)", [(n, "x", n) for n in range(1, 10)])
    # At once while both tables are in row format, where SQLite sees it; else at COMMIT.
    with pytest.raises(colonnade.IntegrityError, match="^FOREIGN KEY constraint failed"):
        db.execute("DELETE FROM p WHERE id = 4") and db.commit()
    assert db.in_transaction
    db.rollback()
    assert db.execute("SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM c)").fetchone() == (0, 0)


def test_deleting_a_committed_parent_while_rows_are_not_validated_is_found(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    db.executemany("INSERT INTO c VALUES(?, ?, ?, NULL)", [(n, "x", n) for n in range(1, 10)])
    db.commit()
    db.executemany("INSERT INTO p VALUES(?, ?)", [(n, None) for n in range(20, 30)])
    with pytest.raises(colonnade.IntegrityError, match="^FOREIGN KEY constraint failed"):
        db.execute("DELETE FROM p WHERE id = 4") and db.commit()
    db.rollback()
    assert db.execute("SELECT count(*) FROM p").fetchone() == (9,)


def test_changing_a_key_into_a_duplicate_is_found(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: p\.name"):
        db.execute("UPDATE p SET name = 'n1' WHERE id = 5") and db.commit()
    db.rollback()


def test_swapping_keys_is_no_violation_at_commit(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", [(1, "a"), (2, "b"), (3, "a")])
    db.execute("UPDATE p SET name = 'c' WHERE id = 1")
    db.commit()
    assert db.execute("SELECT name FROM p").fetchall() == [("c",), ("b",), ("a",)]


def test_rollback_after_a_violation(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", names(4))
    db.commit()
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    refused(db)
    db.rollback()
    assert not db.in_transaction
    assert db.execute("SELECT * FROM p").fetchall() == names(4)
    db.execute("INSERT INTO p VALUES(5, 'five')")
    db.commit()


def test_rolling_back_to_a_savepoint_repairs(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    db.execute("SAVEPOINT s")
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    db.executemany("INSERT INTO c VALUES(?, 'x', ?, NULL)", [(n, 99) for n in range(5)])
    refused(db)
    db.execute("ROLLBACK TO s")
    db.execute("RELEASE s")
    db.commit()
    assert db.execute("SELECT * FROM p").fetchall() == names(9)


def test_releasing_the_outermost_savepoint_validates(path: Path) -> None:
    db = connect(path, isolation_level=None)
    db.execute("SAVEPOINT s")
    db.execute("INSERT INTO p VALUES(1, 'a')")
    db.execute("INSERT INTO p VALUES(1, 'b')")
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: p\.id"):
        db.execute("RELEASE s")
    assert db.in_transaction
    db.execute("DELETE FROM p WHERE name = 'b'")
    db.execute("RELEASE s")
    assert not db.in_transaction
    db.close()


# --- duplicates across the parts of a table -----------------------------------------------------------------


@pytest.mark.parametrize("first", ["row part", "row groups", "row format"])
@pytest.mark.parametrize("second", ["row by row", "many"])
def test_duplicates_of_rows_that_were_there(path: Path, first: str, second: str) -> None:
    before = connect(path)
    if first == "row format":
        before.execute("PRAGMA bulk_load = off")
        before.execute("PRAGMA storage_format = row")
    before.execute("PRAGMA batch_size = 0")
    count = 6000 if first == "row groups" else 6
    before.executemany("INSERT INTO p VALUES(?, ?)", names(count))
    before.commit()
    before.close()

    db = connect(path)
    new = [(5, "five"), (count + 1, "new"), (count + 2, "N6"), (count + 3, "newer")]
    if second == "many":
        db.executemany("INSERT INTO p VALUES(?, ?)", new)
    else:
        for row in new:
            db.execute("INSERT INTO p VALUES(?, ?)", row)
    error = refused(db)
    assert {(v.kind, v.values) for v in error.violations} == {("PRIMARY KEY", (5,)), ("UNIQUE", ("N6",))}
    db.execute("DELETE FROM p WHERE name = 'five' OR id = ?", (count + 2,))
    db.commit()
    assert db.execute("SELECT count(*), count(DISTINCT id) FROM p").fetchone() == (count + 2, count + 2)
    db.close()


def test_bulk_rows_into_a_table_with_rows_of_both_formats(path: Path) -> None:
    db = connect(path)
    db.execute("PRAGMA batch_size = 0")
    db.executemany("INSERT INTO p VALUES(?, ?)", names(5000))
    db.commit()
    db.execute("PRAGMA bulk_load = off")
    db.execute("INSERT INTO p VALUES(9000, 'single')")
    db.commit()
    db.execute("PRAGMA bulk_load = on")
    db.executemany("INSERT INTO p(name) VALUES(?)", [(f"late {n}",) for n in range(5000)])
    db.commit()
    assert db.execute("SELECT count(*), min(id), max(id) FROM p").fetchone() == (10_001, 1, 14_000)
    db.executemany("INSERT INTO p(name) VALUES(?)", [("single",)])
    assert {v.values for v in refused(db).violations} == {("single",)}
    db.rollback()
    assert db.execute("PRAGMA constraint_check").fetchall() == []
    db.close()


# --- switches -----------------------------------------------------------------------------------------------


def test_switching_bulk_load_off_validates(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO p VALUES(?, ?)", [*names(5), (1, "x")])
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: p\.id"):
        db.execute("PRAGMA bulk_load = off")
    assert db.execute("PRAGMA bulk_load").fetchone() == (1,)
    assert db.in_transaction
    db.execute("DELETE FROM p WHERE name = 'x'")
    db.execute("PRAGMA bulk_load = off")
    assert db.execute("PRAGMA bulk_load").fetchone() == (0,)
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: p\.id$"):
        db.execute("INSERT INTO p VALUES(1, 'x')")
    db.commit()
    assert db.execute("SELECT * FROM p").fetchall() == names(5)


def test_foreign_keys_off_are_not_checked_but_unique_keys_are(path: Path) -> None:
    db = connect(path)
    db.execute("PRAGMA foreign_keys = off")
    db.executemany("INSERT INTO c VALUES(?, 'x', 99, NULL)", [(n,) for n in range(5)])
    db.commit()
    assert len(db.execute("PRAGMA foreign_key_check").fetchall()) == 5
    db.execute("INSERT INTO c VALUES(1, 'x', 99, NULL)")
    assert {v.kind for v in refused(db).violations} == {"PRIMARY KEY"}
    db.rollback()
    db.close()


def test_a_batch_size_above_the_maximum_is_clamped_with_a_warning(db: colonnade.Connection) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        db.execute("PRAGMA batch_size = 999999999")
        db.executemany("INSERT INTO p VALUES(?, ?)", names(10))
        db.executemany("INSERT INTO p VALUES(?, ?)", [(n, None) for n in range(20, 30)])
        db.commit()
    assert ["batch_size 999999999 is above the maximum" in str(w.message) for w in caught] == [True]
    assert db.execute("PRAGMA batch_size").fetchone() == (999999999,)


def test_the_batch_size_is_the_rows_of_a_row_group(path: Path) -> None:
    db = connect(path)
    db.execute("PRAGMA storage_format = column")
    db.execute("PRAGMA batch_size = 7")
    db.executemany("INSERT INTO p VALUES(?, ?)", names(30))
    db.commit()
    cursor = db.execute("PRAGMA storage_report(p)")
    report = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    assert (report["rows"], report["row_groups"]) == (30, 5)
    db.close()


# --- other connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_other_connections_never_see_rows_that_are_not_validated(path: Path, journal_mode: str) -> None:
    plain = sqlite3.connect(path, timeout=0)
    plain.execute(f"PRAGMA journal_mode = {journal_mode}")
    db, other = connect(path), connect(path, timeout=0)
    db.executemany("INSERT INTO p VALUES(?, ?)", [*names(9), (9, "again")])
    assert other.execute("SELECT count(*) FROM p").fetchone() == (0,)
    assert plain.execute("SELECT count(*) FROM p").fetchone() == (0,)
    with pytest.raises(colonnade.OperationalError, match="database is locked"):
        other.execute("INSERT INTO p VALUES(100, 'other')")
    other.rollback()
    refused(db)
    assert other.execute("SELECT count(*) FROM p").fetchone() == (0,)
    db.execute("DELETE FROM p WHERE name = 'again'")
    db.commit()
    assert other.execute("SELECT * FROM p").fetchall() == names(9)
    other.execute("INSERT INTO p VALUES(100, 'other')")
    other.commit()
    assert db.execute("SELECT max(id) FROM p").fetchone() == (100,)
    for connection in (plain, db, other):
        connection.close()


def test_closing_without_commit_leaves_nothing(path: Path) -> None:
    db = connect(path)
    db.executemany("INSERT INTO p VALUES(?, ?)", names(9))
    db.close()
    plain = sqlite3.connect(path)
    assert plain.execute("SELECT count(*) FROM p").fetchone() == (0,)
    assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()


def test_renaming_a_table_does_not_lose_what_its_rows_owe(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO pairs VALUES(?, ?)", [(1, 1), (2, 2), (3, 3), (1, 1)])
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: (pairs|couples)\.x"):
        db.execute("ALTER TABLE pairs RENAME TO couples") and db.commit()
    db.rollback()
    assert db.execute("SELECT count(*) FROM pairs").fetchone() == (0,)


def test_dropping_a_table_drops_what_its_rows_owe_but_not_what_others_do(db: colonnade.Connection) -> None:
    db.executemany("INSERT INTO pairs VALUES(?, ?)", [(1, 1), (1, 2), (2, 2)])
    db.execute("INSERT INTO staff VALUES(1, NULL, 1)")
    db.execute("DROP TABLE staff")
    db.execute("INSERT INTO pairs VALUES(1, 1)")
    assert found(refused(db)) == [("pairs", "UNIQUE", 4, (1, 1))]
    db.rollback()
    assert db.execute("SELECT count(*) FROM staff").fetchone() == (0,)

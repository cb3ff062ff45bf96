"""VACUUM of tables in column format: rows stay apart, and nothing of what that takes is seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.store.check import check

DDL = "CREATE TABLE t(a, b)"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    connection = colonnade.connect(tmp_path / "t.db", isolation_level=None)
    connection.execute("PRAGMA storage_format = column")
    connection.execute(DDL)
    connection.execute("INSERT INTO t VALUES(1, 'a'), (2, 'b'), (3, 'c')")
    yield connection
    connection.close()


def rows(db: Any) -> Any:
    return db.execute("SELECT rowid AS n, a, b FROM t ORDER BY 1").fetchall()


def stored(db: Any) -> list[str]:
    """The indexes that the file has, by their names there."""
    return [name for (name,) in db._db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")]


def test_rowids_stay_after_vacuum_and_the_next_insert_finds_its_own(db: Any) -> None:
    db.execute("VACUUM")
    db.execute("INSERT INTO t VALUES(4, 'd')")
    assert rows(db) == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c"), (4, 4, "d")]
    assert list(check(db._session.store)) == []


def test_a_copy_by_vacuum_into_has_the_same_rowids(db: Any, tmp_path: Path) -> None:
    db.execute("DELETE FROM t WHERE a = 2")
    db.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    copy = colonnade.connect(tmp_path / "copy.db")
    copy.execute("INSERT INTO t VALUES(4, 'd')")
    assert rows(copy) == [(1, 1, "a"), (3, 3, "c"), (4, 4, "d")]
    copy.close()


def test_a_file_without_the_index_gets_it_before_vacuum(db: Any) -> None:
    db._db.execute("DROP INDEX t_cln_pin")
    db.execute("VACUUM")
    db.execute("INSERT INTO t VALUES(4, 'd')")
    assert [row[0] for row in rows(db)] == [1, 2, 3, 4]


def test_a_database_that_cannot_be_written_can_be_copied(db: Any, tmp_path: Path) -> None:
    db._db.execute("DROP INDEX t_cln_pin")
    reader = colonnade.connect(f"file:{tmp_path / 't.db'}?mode=ro", uri=True, isolation_level=None)
    reader.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    reader.close()
    copy = colonnade.connect(tmp_path / "copy.db")
    assert rows(copy) == rows(db)
    copy.close()


def test_the_index_that_keeps_rowids_is_shown_nowhere(db: Any) -> None:
    assert stored(db) == ["t_cln_pin"]
    db.execute("CREATE INDEX mine ON t(b)")
    plain = sqlite3.connect(":memory:")
    plain.executescript(f"{DDL}; CREATE INDEX mine ON t(b)")
    for question in (
        "SELECT type, name, tbl_name, sql FROM sqlite_master",
        "PRAGMA index_list(t)",
        "SELECT * FROM pragma_index_list('t')",
        "PRAGMA index_info(t_cln_pin)",
    ):
        assert db.execute(question).fetchall() == plain.execute(question).fetchall(), question
    assert not any("pin" in line for line in db.iterdump())
    plain.close()


def test_row_format_has_no_trace_of_the_index(db: Any) -> None:
    db.execute("PRAGMA storage_format = row")
    db._session.store.restore("t")
    assert stored(db) == []


@pytest.mark.parametrize("ddl", ["CREATE TABLE k(a INTEGER PRIMARY KEY, b)", "CREATE TABLE k(a, b UNIQUE)"])
def test_a_table_that_vacuum_leaves_alone_has_no_such_index(db: Any, ddl: str) -> None:
    db.execute(ddl)
    db.execute("INSERT INTO k VALUES(1, 2)")
    assert db._session.store.table("k") is not None
    assert "k_cln_pin" not in stored(db)

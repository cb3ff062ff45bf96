"""Backup, serialize and deserialize: whole databases, with tables in either format."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, outcome, same

ROWS = [(i, f"row {i}") for i in range(1000)]


def filled(module: Any, storage: str = "row", where: str = ":memory:") -> Any:
    db = connect(module, where)
    if module is colonnade:
        db.execute(f"PRAGMA storage_format = {storage}")
    db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
    db.commit()
    if module is colonnade:
        assert (db.store.table("t") is not None) == (storage == "column")
    return db


def rows(db: Any) -> Any:
    return db.execute("SELECT * FROM t").fetchall()


def test_a_backup_is_the_database_in_column_format_too() -> None:
    source, target = filled(colonnade, "column"), connect(colonnade, ":memory:")
    target.execute("CREATE TABLE gone(a)")
    assert target.execute("SELECT * FROM gone").fetchall() == []
    source.backup(target)
    assert rows(target) == ROWS
    assert target.store.table("t") is not None
    assert [name for (name,) in target.execute("SELECT name FROM sqlite_master")] == ["t"]
    target.execute("UPDATE t SET b = 'new' WHERE a = 5")
    target.execute("INSERT INTO t VALUES (5000, 'x')")
    assert target.execute("SELECT count(*), sum(b = 'new') FROM t").fetchall() == [(1001, 1)]
    assert rows(source) == ROWS


def test_what_was_remembered_of_the_target_is_forgotten() -> None:
    first, second = filled(colonnade, "column"), filled(colonnade, "column")
    second.execute("UPDATE t SET b = b || '!'")
    second.commit()
    assert rows(second) != ROWS
    first.backup(second)
    assert rows(second) == ROWS
    assert second.execute("SELECT b FROM t WHERE a = 7").fetchall() == [("row 7",)]


def test_a_backup_into_a_file_is_read_by_another_connection(tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    source, target = filled(colonnade, "column"), connect(colonnade, path)
    source.backup(target)
    assert rows(connect(colonnade, path)) == ROWS


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_rows_that_bulk_load_owes_a_check_are_checked_before_a_backup() -> None:
    db, target = connect(colonnade, ":memory:", bulk_load=True), connect(colonnade, ":memory:")
    db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")
    db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (1,)])
    with pytest.raises(colonnade.IntegrityError):
        db.backup(target)
    with pytest.raises(colonnade.IntegrityError):
        db.serialize()
    assert target.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]


@pytest.mark.parametrize("pages", [-1, 0, 1, 3, 1000])
def test_progress_is_told_step_by_step(pages: int) -> None:
    def program(module: Any) -> Any:
        told: list[Any] = []
        target = connect(module, ":memory:")
        filled(module).backup(target, pages=pages, progress=lambda *step: told.append(step))
        return told[-1][:2], len({left for _, left, _ in told}) == len(told), rows(target)

    same(program)


def test_errors_of_backup() -> None:
    def program(module: Any) -> Any:
        db, target, closed = filled(module), connect(module, ":memory:"), connect(module, ":memory:")
        closed.close()

        def fail(*_: Any) -> None:
            raise SystemError("enough")

        found = [
            outcome(lambda: db.backup(db)),
            outcome(lambda: db.backup("file"))[0],
            outcome(lambda: db.backup(target, progress="x")),
            outcome(lambda: db.backup(target, pages="x")),
            outcome(lambda: db.backup(target, name="none")),
            outcome(lambda: db.backup(target, progress=fail)),
            outcome(lambda: db.backup(closed)),
            outcome(lambda: closed.backup(db)),
            outcome(lambda: db.backup(target, 1))[0],
            outcome(lambda: db.backup(target, name="temp")),
        ]
        target.execute("CREATE TABLE b(a)")
        target.execute("INSERT INTO b VALUES (1)")
        found.append(outcome(lambda: db.backup(target))[0])
        return found

    same(program)


def test_the_source_may_be_changed_while_it_is_copied() -> None:
    def program(module: Any) -> Any:
        db, target = filled(module), connect(module, ":memory:")
        told: list[int] = []

        def progress(status: int, left: int, total: int) -> None:
            if not told:
                db.execute("INSERT INTO t VALUES (-1, 'late')")
                db.commit()
            told.append(status)

        db.backup(target, pages=1, progress=progress)
        return rows(target)[0], told[-1]

    assert same(program) == ((-1, "late"), sqlite3.SQLITE_DONE)


@pytest.mark.parametrize("storage", ["row", "column"])
def test_a_serialized_database_comes_back(storage: str) -> None:
    db = filled(colonnade, storage)
    content = db.serialize()
    assert rows(db) == ROWS
    db.execute("DELETE FROM t WHERE a > 3")
    db.commit()
    assert rows(db) == ROWS[:4]
    db.deserialize(content)
    assert rows(db) == ROWS
    other = connect(colonnade, ":memory:")
    other.deserialize(memoryview(content), name="main")
    assert rows(other) == ROWS
    other.execute("INSERT INTO t VALUES (2000, 'x')")
    other.commit()
    assert other.execute("SELECT count(*) FROM t").fetchall() == [(1001,)]


def test_sqlite3_reads_what_was_serialized_and_the_other_way_round() -> None:
    plain = sqlite3.connect(":memory:")
    plain.deserialize(filled(colonnade).serialize())
    assert rows(plain) == ROWS
    plain.execute("UPDATE t SET b = 'x' WHERE a = 1")
    plain.commit()
    db = connect(colonnade, ":memory:")
    db.deserialize(plain.serialize())
    assert rows(db) == rows(plain)
    plain.close()


def test_errors_of_serialize_and_deserialize() -> None:
    def program(module: Any) -> Any:
        db = filled(module)
        found = [
            outcome(lambda: db.serialize(name="none")),
            outcome(lambda: db.deserialize(1)),
            outcome(lambda: db.deserialize(None)),
            outcome(lambda: db.deserialize([])),
            outcome(lambda: db.deserialize(memoryview(b"abcd")[::2])),
            outcome(lambda: db.deserialize(b"\0\1\3")),
            outcome(lambda: db.execute("CREATE TABLE x(a)")),
        ]
        db.close()
        return [*found, outcome(db.serialize), outcome(lambda: db.deserialize(b""))]

    same(program)


def test_an_unknown_database_cannot_be_deserialized() -> None:
    with pytest.raises(colonnade.OperationalError, match="unknown database none"):
        connect(colonnade, ":memory:").deserialize(b"", name="none")

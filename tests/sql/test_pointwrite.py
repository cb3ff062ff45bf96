"""Writes about single rows named by rowid: what they thaw, and when they go the long way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.thaw import Thaw
from colonnade.store.rowpart import RowPart
from colonnade.writing import Writing

SCHEMA = (
    "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT, n INTEGER)",
    "CREATE TABLE q(id INTEGER PRIMARY KEY, code TEXT UNIQUE)",
    "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, q INTEGER REFERENCES q, x REAL)",
)
ROWS = 500


def filled(db: Any) -> Any:
    db.execute("PRAGMA foreign_keys = on")
    for text in SCHEMA:
        db.execute(text)
    db.execute("BEGIN")
    db.executemany("INSERT INTO p VALUES (?, ?, ?)", [(i, f"p{i}", i % 7) for i in range(1, ROWS + 1)])
    db.executemany("INSERT INTO q VALUES (?, ?)", [(i, f"q{i}") for i in range(1, ROWS + 1)])
    db.execute("INSERT INTO c VALUES (1, 1, 1, 0.5)")
    db.execute("COMMIT")
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(tmp_path / "t.db", isolation_level=None)
    connection.execute("PRAGMA storage_format = column")
    filled(connection)
    connection.execute("PRAGMA storage_format = auto")
    assert {row[:2] for row in connection.execute("PRAGMA storage_report")} >= {
        ("p", "column"),
        ("q", "column"),
    }
    yield connection
    connection.close()


@pytest.fixture
def plain() -> Iterator[sqlite3.Connection]:
    connection = filled(sqlite3.connect(":memory:", isolation_level=None))
    yield connection
    connection.close()


def content(db: Any) -> list[Any]:
    return [list(db.execute(f"SELECT * FROM {name} ORDER BY id")) for name in ("p", "q", "c")]


def outcome(db: Any, text: str, values: Any) -> tuple[object, ...]:
    cursor = db.cursor()
    try:
        cursor.execute(text, values)
    except Exception as error:
        return type(error).__name__, str(error)
    return cursor.rowcount, cursor.lastrowid, db.total_changes


STATEMENTS: list[tuple[str, list[Any]]] = [
    (
        "UPDATE p SET n = n + ? WHERE id = ?",
        [(1, 7), (1, 7), (5, 9999), (1, None), (1, "8"), (1, 2.0), (1, True)],
    ),
    ("UPDATE p SET n = :n WHERE id = :id", [{"n": 1, "id": 11}, {"n": 2, "id": 11}, {"n": 3, "id": 12}]),
    ("UPDATE p SET n = 0 WHERE p.id == ?", [(21,), (2**70,), (-(2**63),), (22,)]),
    ("UPDATE OR REPLACE p SET name = ? WHERE rowid = ?", [("x", 31), ("y", 32)]),
    ("UPDATE p SET id = id + 1000 WHERE id = ?", [(41,), (42,)]),
    ("UPDATE p SET id = id + 1000 WHERE id = ?", [(1,)]),  # has a child
    ("UPDATE p SET n = ? WHERE id = ? RETURNING n", [(3, 51), (4, 52)]),
    (
        "INSERT INTO c(p, q, x) VALUES (?, ?, ?)",
        [(61, 62, 1.5), (61, 62, 1.5), (None, 63, 2), (64, None, "z")],
    ),
    (
        "INSERT INTO c(p, q, x) VALUES (?, ?, ?)",
        [(9999, 1, 1.0), ("65", "66", 1.0), (67.0, 68, 1.0), (69.5, 1, 1)],
    ),
    (
        "INSERT INTO c VALUES (:id, :p, :q, :x)",
        [{"id": 100, "p": 71, "q": 72, "x": 1}, {"id": 100, "p": 73, "q": 74, "x": 1}],
    ),
    ("INSERT INTO p VALUES (?, ?, ?)", [(81, "again", 1), (5000, "new", 1), (5000, "twice", 1)]),
    ("INSERT OR REPLACE INTO q VALUES (?, ?)", [(91, "q92"), (93, "other")]),
    ("INSERT INTO q VALUES (?, ?)", [(6000, "q95"), (6001, "fresh")]),
]


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize(("text", "values"), STATEMENTS)
def test_each_gives_what_sqlite_gives(
    db: colonnade.Connection, plain: sqlite3.Connection, text: str, values: list[Any], transaction: bool
) -> None:
    for connection in (db, plain) if transaction else ():
        connection.execute("BEGIN")
    for given in (*values, *values):
        before = db.total_changes - plain.total_changes
        *ours, changed = outcome(db, text, given)
        *theirs, wanted = outcome(plain, text, given)
        assert ours == theirs
        assert not isinstance(changed, int) or changed - wanted == before
        assert content(db) == content(plain)
    for connection in (db, plain) if transaction else ():
        connection.execute("ROLLBACK")
    assert content(db) == content(plain)
    assert list(db.execute("PRAGMA integrity_check")) == [("ok",)]
    formats = {row[0]: row[1] for row in db.execute("PRAGMA storage_report")}
    assert "REPLACE" in text or (formats["p"], formats["q"]) == ("column", "column")


def test_the_plan_is_not_gone_over_again(db: colonnade.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    update, insert = "UPDATE p SET n = ? WHERE id = ?", "INSERT INTO c(p, q) VALUES (?, ?)"
    db.execute(update, (1, 101))
    db.execute(insert, (102, 103))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("gone over again")

    monkeypatch.setattr(Thaw, "prepare", refuse)
    assert db.execute(update, (2, 104)).rowcount == 1
    assert db.execute(insert, (105, 106)).rowcount == 1


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TEMP TRIGGER r AFTER UPDATE ON p BEGIN INSERT INTO c(p) VALUES (NULL); END",
        "ALTER TABLE p ADD COLUMN more DEFAULT 5",
        "CREATE TABLE d(p INTEGER REFERENCES p(n))",
        "PRAGMA foreign_keys = off",
    ],
)
def test_what_was_learnt_ends_when_the_schema_changes(
    db: colonnade.Connection, plain: sqlite3.Connection, change: str
) -> None:
    update = "UPDATE p SET n = ? WHERE id = ?"
    for connection in (db, plain):
        connection.execute(update, (1, 101))
        connection.execute(change)
    assert outcome(db, update, (2, 102))[:2] == outcome(plain, update, (2, 102))[:2]
    assert content(db) == content(plain)


def test_a_row_thawed_in_a_savepoint_is_frozen_again_when_that_is_rolled_back(
    db: colonnade.Connection,
) -> None:
    update = "UPDATE p SET n = ? WHERE id = ?"
    db.execute(update, (1, 101))
    db.execute("BEGIN")
    for value in (41, 42):
        db.execute("SAVEPOINT s")
        db.execute(update, (value, 300))
        assert db.execute("SELECT n FROM p WHERE id = 300").fetchone() == (value,)
        db.execute("ROLLBACK TO s")
        assert db.execute("SELECT n FROM p WHERE id = 300").fetchone() == (300 % 7,)
    db.execute("COMMIT")
    assert db.execute("SELECT count(*), sum(id) FROM p").fetchone() == (ROWS, ROWS * (ROWS + 1) // 2)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("INSERT INTO f(v) VALUES (?)", (7,)),
        ("INSERT INTO f VALUES (?, ?)", (None, 8)),
        ("INSERT INTO f VALUES (NULL, ?)", (8,)),
        ("INSERT INTO f SELECT NULL, ?", (9,)),
        ("INSERT INTO f DEFAULT VALUES", ()),
        ("UPDATE f SET v = ? WHERE id = 3", (1,)),
    ],
)
def test_a_rowid_that_sqlite_draws_finds_its_parent(
    db: colonnade.Connection, plain: sqlite3.Connection, text: str, values: tuple[Any, ...]
) -> None:
    for connection in (db, plain):
        connection.execute("CREATE TABLE f(id INTEGER PRIMARY KEY REFERENCES p, v)")
        connection.execute("INSERT INTO f VALUES (3, 1)")
    for _ in range(2):
        assert outcome(db, text, values)[:2] == outcome(plain, text, values)[:2]
        assert list(db.execute("SELECT * FROM f")) == list(plain.execute("SELECT * FROM f"))
    formats = {row[0]: row[1] for row in db.execute("PRAGMA storage_report")}
    assert text.startswith("INSERT") or formats["p"] == "column"


def asked(db: colonnade.Connection, *statements: tuple[str, Any]) -> list[str]:
    """What SQLite is asked about schemas and stamps while statements run."""
    raw, texts = db.store.db, []

    def note(event: dict[str, Any]) -> None:
        texts.append(str(event["sql"]))

    for text, values in statements:
        db.execute(text, values)
        if not texts:
            raw.trace_v2(apsw.SQLITE_TRACE_STMT, note)
    raw.trace_v2(0, None)
    return [text for text in texts if "schema_version" in text or "'stamp'" in text]


def test_in_a_transaction_schemas_and_stamps_are_looked_at_once(db: colonnade.Connection) -> None:
    child = "INSERT INTO c(p, q, x) VALUES (?, ?, ?)"
    db.execute("BEGIN")
    writes = [(child, (n, n + 1, 0.5)) for n in range(10, 20)]
    assert asked(db, *writes[:1]) == []
    stamps = asked(db, *writes[1:])
    assert not [text for text in stamps if "schema_version" in text]
    assert len(stamps) <= 2, stamps  # one a parent, at the first of them
    db.execute("COMMIT")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


BETWEEN = (
    ("SAVEPOINT s", "UPDATE p SET n = n + 1 WHERE id = 60", "ROLLBACK TO s"),
    ("SAVEPOINT s", "UPDATE p SET n = n + 1 WHERE id = 60", "ROLLBACK TO s", "RELEASE s"),
    ("ROLLBACK", "BEGIN"),
    ("COMMIT", "BEGIN"),
    ("DELETE FROM q WHERE id > 100",),
    ("DELETE FROM q",),
    ("ALTER TABLE p ADD COLUMN later DEFAULT 5",),
    ("ALTER TABLE p RENAME TO r", "ALTER TABLE r RENAME TO p"),
    ("CREATE UNIQUE INDEX i ON p(name)",),
    ("CREATE TRIGGER g AFTER UPDATE ON p BEGIN UPDATE q SET code = code || '!' WHERE id = new.id; END",),
    ("UPDATE p SET n = n + 1 WHERE id BETWEEN 50 AND 70",),
    ("PRAGMA foreign_keys", "PRAGMA table_info(p)"),
    ("INSERT INTO c(p, q, x) VALUES (1, 100000, 0)",),
    ("UPDATE p SET id = 1 WHERE id = 2",),
)


@pytest.mark.parametrize("between", BETWEEN)
def test_what_comes_between_two_writes_of_a_transaction_is_seen(
    db: colonnade.Connection, plain: sqlite3.Connection, between: tuple[str, ...]
) -> None:
    """Each block of writes finds what the statements before it have left, and the last COMMIT all of them."""
    block = [
        ("UPDATE p SET n = n + ? WHERE id = ?", (1, 60)),
        ("INSERT INTO c(p, q, x) VALUES (?, ?, ?)", (61, 62, 0.5)),
        ("UPDATE p SET n = n + ? WHERE id = ?", (1, 63)),
        ("SELECT n FROM p WHERE id = ?", (60,)),
    ]
    steps = [("BEGIN", ()), *block, *((text, ()) for text in between), *block, *block, ("COMMIT", ())]
    for text, values in steps:
        assert outcome(db, text, values) == outcome(plain, text, values), text
    assert content(db) == content(plain)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_rows_whose_thaw_fails_in_a_transaction_are_frozen_still(
    db: colonnade.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = "INSERT INTO c(p, q, x) VALUES (?, ?, ?)"
    db.execute("BEGIN")
    for n in range(10, 14):
        db.execute(child, (n, n, 0.5))
    before = content(db)
    insert_row = RowPart.insert_row

    def full(part: RowPart, row: Any) -> None:
        if row[1] == "q21":  # the row of p is thawed by then
            raise apsw.FullError("database or disk is full")
        insert_row(part, row)

    monkeypatch.setattr(RowPart, "insert_row", full)
    with pytest.raises(colonnade.Error, match="full"):
        db.execute(child, (20, 21, 0.5))
    monkeypatch.undo()
    assert content(db) == before
    assert db.execute(child, (20, 21, 0.5)).rowcount == 1
    db.execute("COMMIT")
    assert content(db)[:2] == before[:2]
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_another_connection_writes_between_two_transactions(db: colonnade.Connection, tmp_path: Path) -> None:
    other = colonnade.connect(tmp_path / "t.db", isolation_level=None)
    update = "UPDATE p SET n = n + ? WHERE id = ?"
    for first, second in ((db, other), (other, db), (db, other)):
        for connection in (first, second):
            connection.execute("BEGIN")
            for key in (80, 81, 82):
                connection.execute(update, (1000, key))
            connection.execute("COMMIT")
    other.close()
    assert db.execute("SELECT n / 1000 FROM p WHERE id IN (80, 81, 82)").fetchall() == [(6,)] * 3
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_in_a_transaction_such_writes_go_the_short_way(
    db: colonnade.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the long way")

    writes = [
        ("INSERT INTO c(p, q, x) VALUES (?, ?, ?)", lambda n: (n, n + 1, 0.5)),
        ("UPDATE p SET n = n + ? WHERE id = ?", lambda n: (1, n)),
    ]
    db.execute("BEGIN")
    for n in (10, 11):
        for text, values in writes:
            db.execute(text, values(n))
    with monkeypatch.context() as patch:
        patch.setattr(Writing, "run", refused)
        for n in range(12, 20):
            for text, values in writes:
                assert db.execute(text, values(n)).rowcount == 1
        with pytest.raises(AssertionError, match="the long way"):
            db.execute("DELETE FROM p WHERE id = ?", (400,))
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    db.execute("UPDATE p SET n = n + ? WHERE id = ?", (1, 30))
    db.set_trace_callback(None)
    assert seen == ["UPDATE p SET n = n + 1 WHERE id = 30"]
    db.execute("COMMIT")
    assert db.execute("SELECT count(*) FROM c").fetchone() == (11,)

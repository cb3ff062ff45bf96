"""Dumps: sqlite3's lines for the user's view of the schema, read back by plain sqlite3."""

from __future__ import annotations

import sqlite3
import sys
import tracemalloc
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, same

SCRIPT = """
CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT UNIQUE);
INSERT INTO p(x) VALUES ('a''b'), (NULL), ('\u20ac');
CREATE TABLE "q ""1"("a b", "c""d", e REFERENCES p);
INSERT INTO "q ""1" VALUES (1.5, x'00ff', 1), (NULL, 'text', NULL), (1e300, -9223372036854775808, 2);
CREATE INDEX i ON p(x);
CREATE TABLE empty(z);
CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO w VALUES ('k', 0.1);
CREATE VIEW v AS SELECT x FROM p;
"""


def made(module: Any, script: str, storage: str) -> Any:
    db = connect(module, ":memory:")
    if module is colonnade:
        db.execute(f"PRAGMA storage_format = {storage}")
    db.executescript(script)
    return db


@pytest.mark.parametrize("storage", ["row", "column"])
@pytest.mark.parametrize(
    "more",
    [
        "",
        "CREATE TRIGGER tr AFTER INSERT ON p BEGIN SELECT 1; END;",
        'INSERT INTO "q ""1" VALUES (7, 8, 99);',
        "DELETE FROM p WHERE id = 3;",
        "CREATE VIRTUAL TABLE f USING fts5(t); INSERT INTO f VALUES ('hello');",
    ],
    ids=["plain", "trigger", "orphan", "delete", "fts5"],
)
def test_a_dump_has_sqlite3s_lines(storage: str, more: str) -> None:
    def program(module: Any) -> Any:
        return list(made(module, SCRIPT + more, storage).iterdump())

    same(program)


def test_a_dump_leaves_tables_in_column_format_and_replays_in_sqlite3() -> None:
    db = made(colonnade, SCRIPT, "column")
    assert db.store.table("p") is not None
    script = "\n".join(db.iterdump())
    assert db.store.table("p") is not None
    assert "_cln_" not in script
    plain = sqlite3.connect(":memory:")
    plain.executescript(script)
    for table in ("p", '"q ""1"', "w", "v", "sqlite_sequence"):
        query = f"SELECT * FROM {table}"
        assert plain.execute(query).fetchall() == db.execute(query).fetchall()
    assert list(plain.iterdump())[-3:] == list(db.iterdump())[-3:]
    plain.close()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="iterdump(filter=) is of 3.13")
@pytest.mark.parametrize("storage", ["row", "column"])
@pytest.mark.parametrize("pattern", ["p", "%", "P%", "none", "", "_"])
def test_a_filter_names_what_is_dumped(storage: str, pattern: str) -> None:
    def program(module: Any) -> Any:
        return list(made(module, SCRIPT, storage).iterdump(filter=pattern))

    same(program)


def test_row_factories_do_not_matter() -> None:
    db = made(colonnade, SCRIPT, "row")
    before = list(db.iterdump())
    db.row_factory = lambda cursor, row: dict(zip([c[0] for c in cursor.description], row, strict=True))
    assert list(db.iterdump()) == before


def test_a_dump_is_made_as_it_is_read() -> None:
    db = made(colonnade, "CREATE TABLE t(a, b);", "column")
    text = "x" * 1000
    db.executemany("INSERT INTO t VALUES (?, ?)", ((i, text) for i in range(10_000)))
    db.commit()
    lines = db.iterdump()
    tracemalloc.start()
    try:
        assert sum(len(line) for line in lines) > 10_000_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_closed_connection_has_no_dump() -> None:
    def program(module: Any) -> Any:
        db = made(module, SCRIPT, "row")
        db.close()
        with pytest.raises(module.ProgrammingError):
            list(db.iterdump())

    same(program)

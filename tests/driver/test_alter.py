"""ALTER TABLE and CREATE UNIQUE INDEX on tables in column format: as the standard library's sqlite3, and in place."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.store.check import check
from tests.driver.twins import typed

SCHEMA = """
CREATE TABLE [p](id INTEGER PRIMARY KEY, n TEXT UNIQUE);
CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b INT, c TEXT, d REAL, p INTEGER REFERENCES [p](id),
    CHECK(b < 100));
CREATE TABLE k(x INTEGER REFERENCES 't'(a), y);
CREATE TABLE r(w INTEGER PRIMARY KEY, "t" TEXT);
CREATE VIEW v AS SELECT a, b FROM t WHERE b > 0;
CREATE INDEX i ON t(c);
INSERT INTO p VALUES(1, 'x'), (2, 'y'), (3, 'z');
INSERT INTO t VALUES(1, 2, 'three', 4.5, 1), (2, NULL, 'x', 1e10, 2), (3, 7, 'y', NULL, NULL), (4, 8, 'z', 0.5, 3);
INSERT INTO k VALUES(1, 2), (2, 3), (4, 4);
INSERT INTO r VALUES(1, 'a'), (2, 'b');
"""
# sqlite_sequence aside: sqlite3 and later versions of SQLite list its columns alike.
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
TEXTS = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name, type"


def outcome(db: Any, sql: str) -> Any:
    try:
        return typed(db.execute(sql).fetchall())
    except (sqlite3.Error, colonnade.Error) as error:
        return type(error).__name__, str(error), error.sqlite_errorname  # type: ignore[union-attr]


def everything(db: Any) -> dict[str, Any]:
    """Texts and rows of a database."""
    shown = {"texts": outcome(db, TEXTS), "counters": outcome(db, "SELECT name, seq FROM sqlite_sequence")}
    for (name,) in db.execute(TABLES).fetchall():
        shown[name] = outcome(db, f'SELECT * FROM "{name}" ORDER BY rowid')
        for pragma in ("table_info", "foreign_key_list"):
            shown[f"{name} {pragma}"] = outcome(db, f'PRAGMA {pragma}("{name}")')
    shown["v"] = outcome(db, "SELECT * FROM v ORDER BY 1")
    return shown


class Both:
    """The same statements on the standard library's sqlite3 and on tables in column format."""

    def __init__(self, path: Path | None = None, schema: str = SCHEMA) -> None:
        self.path = path
        self.plain = sqlite3.connect(":memory:", isolation_level=None)
        self.ours = colonnade.connect(path or ":memory:", isolation_level=None)
        self.ours.execute("PRAGMA storage_format = column")
        for db in (self.plain, self.ours):
            db.executescript(schema)  # type: ignore[attr-defined]
            db.execute("PRAGMA foreign_keys = on")
        self.ours.execute("PRAGMA storage_format = auto")

    def same(self, *statements: str) -> None:
        for sql in statements:
            assert outcome(self.ours, sql) == outcome(self.plain, sql), sql
        assert everything(self.ours) == everything(self.plain)

    def again(self) -> None:
        """The file is opened anew."""
        assert self.path is not None
        self.ours.close()
        self.ours = colonnade.connect(self.path, isolation_level=None)
        self.ours.execute("PRAGMA foreign_keys = on")
        assert everything(self.ours) == everything(self.plain)

    def formats(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.ours.execute("PRAGMA storage_report")}

    def chunks(self, table: str) -> dict[int, int]:
        """Size by id of all column chunks."""
        return dict(self.ours.execute(f'SELECT chunk_id, length(data) FROM "{table}_cln_chunks"').fetchall())

    def sound(self) -> None:
        assert list(check(self.ours._session.store)) == []
        assert self.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def close(self) -> None:
        self.plain.close()
        self.ours.close()


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    assert set(made.formats().values()) == {"column"}
    yield made
    made.sound()
    made.close()


def all_in_columns(both: Both) -> bool:
    return set(both.formats().values()) == {"column"}


@pytest.mark.parametrize(
    "definition",
    [
        "e",
        "e INT DEFAULT '5'",
        "COLUMN e REAL DEFAULT 3",
        "e TEXT DEFAULT 7",
        "e NUMERIC DEFAULT '1e2'",
        "e DEFAULT x'00ff'",
        "COLUMN [e e] TEXT COLLATE NOCASE NOT NULL DEFAULT 'it''s' /* so */",
        "e INT DEFAULT (-9)",
        "e DEFAULT TRUE CHECK(e < 4)",
        "e INTEGER REFERENCES [p](id) ON DELETE SET NULL",
        "e INTEGER REFERENCES t",
        "e DEFAULT abc",
        # what SQLite refuses
        "e UNIQUE",
        "e PRIMARY KEY",
        "e NOT NULL",
        "e DEFAULT CURRENT_TIME",
        "e DEFAULT (random())",
        "e INTEGER DEFAULT 1 REFERENCES p",
        "e INT DEFAULT 3 CHECK(e < b)",
        "e INT DEFAULT 3 CHECK(e < 3)",
        "B",
        "e nonsense nonsense (",
    ],
)
def test_add_column(both: Both, definition: str) -> None:
    both.same(
        f"ALTER TABLE t ADD {definition}",
        "SELECT count(*) FROM t WHERE e IS 5",
        "SELECT count(*) FROM t WHERE e IS NULL",
        "SELECT a FROM t WHERE e > 1 ORDER BY a",
        "UPDATE t SET b = b + 1 WHERE a = 2",
        "DELETE FROM k WHERE y = 4",
        "DELETE FROM t WHERE a = 4",
        "INSERT INTO t(c) VALUES('new')",
    )
    assert all_in_columns(both)


@pytest.mark.parametrize(
    "change",
    [
        "RENAME TO u",
        'RENAME TO "T and more"',
        "RENAME COLUMN b TO [b b]",
        "RENAME a TO id",
        "DROP COLUMN d",
        "DROP d",
        # what SQLite refuses
        "RENAME TO p",
        "RENAME TO i",
        "RENAME TO sqlite_t",
        "RENAME COLUMN nothing TO x",
        "RENAME COLUMN b TO c",
        "DROP COLUMN a",
        "DROP COLUMN b",
        "DROP COLUMN c",
        "DROP COLUMN p",
        "DROP COLUMN nothing",
    ],
)
@pytest.mark.parametrize("added", [False, True], ids=["", "after a column was added"])
def test_rename_and_drop_column(both: Both, change: str, added: bool) -> None:
    if added:
        both.same("ALTER TABLE t ADD COLUMN e INT DEFAULT 11")
    both.same(
        f"ALTER TABLE t {change}", "SELECT * FROM v ORDER BY 1", "SELECT count(*) FROM k JOIN t ON x = a"
    )
    assert all_in_columns(both)


def test_names_of_neighbours_follow_and_quotes_stay(both: Both) -> None:
    both.same(
        "ALTER TABLE p RENAME TO [par ent]",
        "ALTER TABLE t RENAME TO tt",
        "ALTER TABLE [par ent] RENAME COLUMN id TO ident",
        "ALTER TABLE k RENAME TO kids",
        "ALTER TABLE tt RENAME a TO aa",
        "INSERT INTO kids VALUES(99, 1)",
        "INSERT INTO kids VALUES(3, 1)",
        'DELETE FROM "par ent" WHERE ident = 1',
        "CREATE TABLE more(a INTEGER REFERENCES tt, b INTEGER REFERENCES 'par ent'(ident))",
        "INSERT INTO more VALUES(1, 1), (2, 2)",
        "INSERT INTO more VALUES(1, 77)",
        "PRAGMA foreign_key_check",
    )
    assert {name for name, kind in both.formats().items() if kind == "row"} == {"more"}


def test_a_table_in_row_format_is_renamed_beside_its_neighbours_in_column_format(both: Both) -> None:
    both.same("CREATE TABLE plain(a INTEGER REFERENCES [p], b INTEGER REFERENCES [t])")
    both.same("ALTER TABLE plain RENAME TO plainer", "ALTER TABLE plainer ADD c INTEGER REFERENCES 'k'(x)")
    assert both.formats() == {**dict.fromkeys(("p", "t", "k", "r"), "column"), "plainer": "row"}


def test_views_triggers_and_partial_indexes_keep_a_column(both: Both) -> None:
    both.same(
        "CREATE INDEX part ON r(w) WHERE t > 'a'",
        "ALTER TABLE r DROP COLUMN t",
        "DROP INDEX part",
        "CREATE TABLE log(what)",
        "CREATE VIEW w AS SELECT t AS x FROM r",
        "ALTER TABLE r RENAME COLUMN t TO u",
        "ALTER TABLE r DROP COLUMN u",
        "CREATE TRIGGER tr INSTEAD OF INSERT ON w BEGIN INSERT INTO log VALUES(new.x); END",
        "ALTER TABLE r ADD z",
        "DROP VIEW w",
        "ALTER TABLE r DROP COLUMN u",
    )


def test_savepoints_and_rollback_undo_it(both: Both) -> None:
    both.same(
        "BEGIN",
        "ALTER TABLE t ADD COLUMN e INT DEFAULT 1",
        "SELECT sum(e) FROM t",
        "SAVEPOINT s",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE u DROP COLUMN d",
        "SELECT * FROM u ORDER BY a",
        "ROLLBACK TO s",
        "SELECT * FROM t ORDER BY a",
        "ALTER TABLE t DROP COLUMN e",
        "ALTER TABLE t ADD COLUMN e INT DEFAULT 2",
        "SELECT sum(e) FROM t",
        "ROLLBACK",
        "SELECT * FROM t ORDER BY a",
        "ALTER TABLE t ADD COLUMN e INT DEFAULT 3",
        "SELECT sum(e) FROM t",
    )
    assert all_in_columns(both)


ALIKE = """
CREATE TABLE x(a INTEGER PRIMARY KEY, b);
CREATE TABLE y(a INTEGER PRIMARY KEY, b);
CREATE VIEW v AS SELECT a FROM x;
CREATE TABLE one(a INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO x VALUES(1, 'x1'), (2, 'x2'), (3, 'x3');
INSERT INTO y VALUES(1, 'y1'), (2, 'y2'), (3, 'y3');
"""


def test_a_table_that_took_anothers_name_for_a_while_leaves_nothing_behind() -> None:
    """Row groups of both have the same ids."""
    both = Both(schema=ALIKE)
    look = ("SELECT * FROM y WHERE a = 1", "SELECT a FROM y WHERE b = 'y2'", "SELECT a FROM y WHERE b = 'x2'")
    rename = ("DROP VIEW v", "DROP TABLE y", "ALTER TABLE x RENAME TO y", "CREATE VIEW v AS SELECT 1 AS b")
    both.same(*look, "SELECT * FROM x WHERE a = 1", "BEGIN", *rename, *look, "ROLLBACK", *look)
    both.same("SELECT * FROM x WHERE a = 1", *rename, *look)
    both.sound()
    both.close()


def test_a_change_that_fails_in_a_savepoint_leaves_virtual_tables_that_connect() -> None:
    """SQLite reads the schema again after such a failure, but not while a virtual table connects."""
    db = colonnade.connect(":memory:", isolation_level=None)
    for sql in ("CREATE TABLE x(a)", "CREATE TABLE t(b, c CHECK(b))", "CREATE VIEW v AS SELECT c FROM t"):
        db.execute(sql)
    store = db._session.store
    store.convert("x")
    db.execute("SAVEPOINT s")
    assert outcome(db, "ALTER TABLE t DROP c")[0] == "OperationalError"
    assert store.ineligible("t") is None  # its first statement connects all virtual tables
    db.close()


def test_what_analyze_found_out_stays(both: Both) -> None:
    for sql in ("ANALYZE", "ALTER TABLE t ADD COLUMN e", "ALTER TABLE t RENAME TO u"):
        found = []
        for db in (both.plain, both.ours):
            db.execute(sql)
            found.append(db.execute("SELECT * FROM sqlite_stat1 ORDER BY tbl, idx").fetchall())  # type: ignore[attr-defined]
        assert found[0] == found[1]
        assert len(found[0]) > 2


def test_no_chunk_of_another_column_is_written() -> None:
    both = Both()
    names = {
        name: position for position, (_, name, *_) in enumerate(both.ours.execute("PRAGMA table_info(t)"), 1)
    }
    before, counters = both.chunks("t"), both.ours._session.store.table("t").counters
    put = counters.chunks_put
    both.same("ALTER TABLE t ADD COLUMN e INT DEFAULT 5", "ALTER TABLE t RENAME COLUMN c TO cc")
    assert both.chunks("t") == before
    both.same("ALTER TABLE t DROP COLUMN d")
    assert both.chunks("t") == {i: size for i, size in before.items() if i % 4096 != names["d"]}
    assert counters.chunks_freed == len(before) - len(both.chunks("t"))
    both.same("ALTER TABLE t RENAME TO u")
    assert both.chunks("u") == {i: size for i, size in before.items() if i % 4096 != names["d"]}
    assert (counters.chunks_put, counters.chunks_overwritten) == (put, 0)
    both.sound()
    both.close()


MANY = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT);
CREATE VIEW v AS SELECT a FROM t;
CREATE TABLE one(a INTEGER PRIMARY KEY AUTOINCREMENT);
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, i % 7, 'c' || i FROM n;
"""


def test_rows_written_by_sets_merged_and_vacuumed_keep_added_columns(tmp_path: Path) -> None:
    both = Both(tmp_path / "many.db", MANY)
    both.same(
        "ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'd'",
        "ALTER TABLE t ADD COLUMN e REAL DEFAULT 2",
        "ALTER TABLE t ADD COLUMN f",
        "UPDATE t SET b = b + 1",
        "UPDATE t SET e = a WHERE b = 3",
        "DELETE FROM t WHERE a BETWEEN 100 AND 2500",
        "SELECT count(*), sum(e), max(d) FROM t WHERE d = 'd' AND f IS NULL",
    )
    both.again()
    both.ours.execute("PRAGMA storage_format = column")
    both.same(
        "UPDATE t SET f = 1 WHERE a < 50",
        "ALTER TABLE t ADD COLUMN g DEFAULT x'01'",
        "DELETE FROM t WHERE a = 7",
    )
    both.same("ALTER TABLE t DROP COLUMN d")
    both.ours.execute("VACUUM")
    both.again()
    both.same(
        "SELECT count(*) FROM t WHERE g = x'01'",
        "ALTER TABLE t RENAME TO t2",
        "SELECT sum(a), sum(e) FROM t2",
    )
    both.again()
    both.sound()
    both.close()


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ui ON r(t)",
        "CREATE UNIQUE INDEX IF NOT EXISTS main.ui ON [r](t COLLATE NOCASE DESC, w)",
        "CREATE UNIQUE INDEX ui ON r(nothing)",
        "CREATE UNIQUE INDEX i ON r(t)",
        "CREATE UNIQUE INDEX IF NOT EXISTS i ON r(t)",
    ],
)
def test_a_unique_index_is_a_key_of_a_table_that_stays_in_column_format(both: Both, index: str) -> None:
    both.same(
        index,
        "INSERT INTO r VALUES(3, 'a')",
        "INSERT OR IGNORE INTO r VALUES(4, 'A')",
        "INSERT OR REPLACE INTO r VALUES(5, 'b')",
        "UPDATE r SET t = 'a'",
        "DROP INDEX IF EXISTS ui",
        "INSERT INTO r VALUES(6, 'a')",
    )
    assert all_in_columns(both)


DOUBLES = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT, d);
CREATE VIEW v AS SELECT a FROM t;
CREATE TABLE one(a INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO t VALUES(1, 1, 'x', 1), (2, 2, 'X', 1), (3, NULL, 'y', 2), (4, NULL, 'z', 3);
INSERT INTO t VALUES(5, 5, 'q', 1), (6, 6, 'w', 4);
INSERT INTO t VALUES(7, 1.0, 'e', 5);
"""


@pytest.mark.parametrize("key", ["b", "c", "c COLLATE NOCASE", "d", "d, c", "d, b", "b, d", "a"])
def test_a_unique_index_finds_keys_that_are_there_twice_in_either_part(key: str) -> None:
    both = Both(schema=DOUBLES)
    both.same(
        f"CREATE UNIQUE INDEX i ON t({key})",
        "DELETE FROM t WHERE a IN (2, 5, 7)",
        f"CREATE UNIQUE INDEX i ON t({key})",
    )
    assert both.formats()["t"] == "column"
    both.sound()
    both.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE UNIQUE INDEX i ON t(b) WHERE b > 2",
        "CREATE UNIQUE INDEX i ON t(a + 1)",
        "CREATE UNIQUE INDEX i ON t('b')",
        "ALTER TABLE t ADD COLUMN e AS (a + 1)",
        f"ALTER TABLE t ADD COLUMN e DEFAULT '{'long' * 100}'",
    ],
)
def test_what_column_format_has_no_room_for_returns_to_row_format(change: str) -> None:
    both = Both(schema=DOUBLES)
    both.same(change, "SELECT * FROM t ORDER BY a")
    assert both.formats()["t"] == "row"
    both.close()


READER = """
import sys, colonnade
db = colonnade.connect(sys.argv[1])
for _ in range(2):
    print(db.execute("SELECT * FROM t ORDER BY a LIMIT 2").fetchall(), flush=True)
    sys.stdin.readline()
"""


def test_another_process_and_another_connection_see_it(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    both = Both(path, DOUBLES)
    other = colonnade.connect(path)
    assert other.execute("SELECT count(b), count(*) FROM t").fetchall() == [(5, 7)]
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "[(1, 1, 'x', 1), (2, 2, 'X', 1)]\n"
        both.same("ALTER TABLE t ADD COLUMN e DEFAULT 9", "ALTER TABLE t DROP COLUMN b")
        print(file=reader.stdin, flush=True)
        assert reader.stdout.readline() == "[(1, 'x', 1, 9), (2, 'X', 1, 9)]\n"
        print(file=reader.stdin, flush=True)
    assert other.execute("SELECT sum(e), count(*) FROM t").fetchall() == [(63, 7)]
    both.same("ALTER TABLE t RENAME TO u")
    assert other.execute("SELECT sum(e), count(*) FROM u").fetchall() == [(63, 7)]
    with pytest.raises(colonnade.OperationalError, match="no such table: t"):
        other.execute("SELECT * FROM t")
    other.close()
    both.close()

"""PRAGMA integrity_check, quick_check and foreign_key_check on tables in column format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

import colonnade

SCHEMA = """
CREATE TABLE p(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE UNIQUE);
CREATE TABLE c(x REFERENCES p, y TEXT REFERENCES p(b), z REFERENCES gone);
CREATE TABLE w(k TEXT PRIMARY KEY, v INTEGER REFERENCES p) WITHOUT ROWID;
CREATE TABLE s(id INTEGER PRIMARY KEY, up REFERENCES s);
CREATE TABLE fine(a REFERENCES p);
CREATE TABLE odd(a REFERENCES c(y));
INSERT INTO p VALUES(1,'A'),(2,'b');
INSERT INTO c VALUES('1','a',NULL),(3,'x',1),(NULL,NULL,2),('2.0','B',NULL),('q','',3);
INSERT INTO w VALUES('z',9),('b',1),('a',7);
INSERT INTO s VALUES(1,1),(2,5),(3,4);
INSERT INTO fine VALUES(1),(2.0);
"""


@pytest.fixture
def db() -> Iterator[Any]:
    connection = colonnade.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA storage_format = column")
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def formats(db: Any) -> list[str]:
    return [row[1] for row in db.execute("PRAGMA storage_report")]


def outcome(db: Any, sql: str) -> Any:
    try:
        return db.execute(sql).fetchall()
    except (apsw.Error, colonnade.Error) as error:
        return str(error).removeprefix("SQLError: ")


@pytest.mark.parametrize(
    "pragma",
    [
        *(
            "foreign_key_check(c)",
            "foreign_key_check = 'W'",
            "main.foreign_key_check(s)",
            "foreign_key_check",
        ),
        *("foreign_key_check(fine)", "foreign_key_check(odd)", "foreign_key_check(nope)"),
        *("temp.foreign_key_check(c)", "integrity_check", "quick_check", "main.integrity_check(7)"),
        *("integrity_check(c)", "quick_check(p)", "integrity_check(nope)", "integrity_check('w')"),
    ],
)
@pytest.mark.parametrize("mismatch", [True, False])
def test_sound_tables_answer_as_in_row_format_and_stay_in_column_format(
    db: Any, pragma: str, mismatch: bool
) -> None:
    plain = apsw.Connection(":memory:")
    plain.execute(SCHEMA)
    if not mismatch:
        db.execute("DROP TABLE odd")
        plain.execute("DROP TABLE odd")
    before = formats(db)
    assert before.count("column") == 4
    assert outcome(db, f"PRAGMA {pragma}") == outcome(plain, f"PRAGMA {pragma}")
    assert formats(db) == before
    plain.close()


def damage(db: Any, table: str) -> None:
    """Chunks that are longer than the record of their row group says."""
    db._db.execute(f"UPDATE {table}_cln_chunks SET data = CAST(data || 'x' AS BLOB)")


@pytest.mark.parametrize("pragma", ["integrity_check", "quick_check"])
def test_what_is_wrong_with_column_chunks_is_reported_in_rows(db: Any, pragma: str) -> None:
    damage(db, "s")
    found = [text for (text,) in db.execute(f"PRAGMA {pragma}")]
    assert found
    assert all(text.startswith("s, row group 1: ") for text in found)
    assert [text for (text,) in db.execute(f"PRAGMA {pragma}(s)")] == found
    assert db.execute(f"PRAGMA {pragma}(c)").fetchall() == [("ok",)]


def test_no_more_findings_are_reported_than_asked_for(db: Any) -> None:
    damage(db, "s")
    damage(db, "c")
    assert len(db.execute("PRAGMA integrity_check").fetchall()) == 2
    assert len(db.execute("PRAGMA integrity_check(1)").fetchall()) == 1


def test_what_sqlite_finds_in_a_row_part_says_the_users_name(db: Any) -> None:
    db._db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    db.execute("CREATE TABLE n(a)")
    db.execute("INSERT INTO n VALUES(1), (NULL)")
    db._db.execute("PRAGMA writable_schema = on")
    db._db.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, '(a)', '(a NOT NULL)') WHERE name = 'n_cln_rows'"
    )
    db._db.execute("PRAGMA writable_schema = reset")
    assert db.execute("PRAGMA integrity_check(n)").fetchall() == [("NULL value in n.a",)]

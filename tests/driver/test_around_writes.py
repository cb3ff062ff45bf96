"""Statements around writes on tables in column format: EXPLAIN, deferred foreign keys, triggers that go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import colonnade

SCHEMA = """
CREATE TABLE p(a INTEGER PRIMARY KEY, b);
CREATE TABLE c(x INTEGER REFERENCES p);
INSERT INTO p VALUES(1, 2), (2, 3), (3, 4);
INSERT INTO c VALUES(1), (2);
"""


@pytest.fixture
def db() -> Iterator[Any]:
    connection = colonnade.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA storage_format = column")
    connection.executescript(SCHEMA)
    connection.execute("PRAGMA foreign_keys = on")
    yield connection
    connection.close()


def formats(db: Any) -> list[str]:
    return [row[1] for row in db.execute("PRAGMA storage_report")]


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE p SET b = ? WHERE a = ?",
        "DELETE FROM c AS x WHERE x.x IN (SELECT a FROM p)",
        "INSERT INTO p SELECT a + 10, b FROM main.p RETURNING a",
    ],
)
def test_a_write_that_is_only_explained_leaves_tables_in_column_format(db: Any, write: str) -> None:
    db.execute("PRAGMA storage_format = auto")
    values = (1,) * write.count("?")
    plan = db.execute(f"EXPLAIN QUERY PLAN {write}", values).fetchall()
    assert db.execute(f"EXPLAIN {write}", values).fetchall()
    assert formats(db) == ["column", "column"]
    assert "_cln_rows" not in str([row[3] for row in plan])


def test_the_plan_of_an_update_is_that_of_row_format_behind_the_thaw(db: Any) -> None:
    plain = sqlite3.connect(":memory:")
    plain.executescript(SCHEMA)
    text = "EXPLAIN QUERY PLAN UPDATE p SET b = 1 WHERE a = 2"
    first, *others = [row[3] for row in db.execute(text)]
    assert first == "THAW ROWS OF p"
    assert others == [row[3] for row in plain.execute(text)]
    plain.close()


DEFERRED = ("INSERT INTO c VALUES(7)", "INSERT INTO p VALUES(7, 7)")


@pytest.mark.parametrize("value", ["on", "1", "'yes'", "257", "off", "0"])
@pytest.mark.parametrize("begin", ["BEGIN", "SAVEPOINT s", "SELECT * FROM c", None])
def test_foreign_keys_deferred_before_a_transaction_are_deferred_in_it(
    db: Any, value: str, begin: str | None
) -> None:
    plain: Any = sqlite3.connect(":memory:", isolation_level=None)
    plain.executescript(SCHEMA)
    plain.execute("PRAGMA foreign_keys = on")
    outcomes = []
    for connection in (plain, db):
        seen: list[Any] = []
        connection.execute(f"PRAGMA defer_foreign_keys = {value}").fetchall()
        if begin is None:
            connection.isolation_level = ""
        else:
            connection.execute(begin).fetchall()
        if begin == "SELECT * FROM c":
            connection.execute("BEGIN")
        for text in DEFERRED:
            try:
                seen.append(connection.execute(text).rowcount)
            except (sqlite3.Error, colonnade.Error) as error:
                seen.append(str(error))
        connection.execute("COMMIT")
        outcomes.append((seen, connection.execute("SELECT count(*) FROM c").fetchall()))
    assert outcomes[0] == outcomes[1]
    plain.close()


def test_tables_turn_to_column_format_again_when_the_trigger_on_them_is_dropped(db: Any) -> None:
    db.execute("CREATE TRIGGER r AFTER INSERT ON c BEGIN UPDATE p SET b = 0; END")
    assert formats(db) == ["row", "row"]
    db.execute("DROP TRIGGER r")
    assert formats(db) == ["column", "column"]

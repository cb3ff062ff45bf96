"""Every kind of write while rows of a bulk load owe their validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import Make, parents

KEYS = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE, price DEFAULT 5);
    CREATE TABLE c(a INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE SET NULL, q);
"""
WRITES = [
    "INSERT OR IGNORE INTO p VALUES(3, 'x', 1)",
    "INSERT OR REPLACE INTO p VALUES(3, 'x', 1)",
    "REPLACE INTO p VALUES(300, 'name 4', 1)",
    "INSERT INTO p VALUES(3, 'x', 1) ON CONFLICT(id) DO UPDATE SET price = 99",
    "INSERT INTO p(name) VALUES('new') RETURNING id, price",
    "INSERT INTO p DEFAULT VALUES",
    "UPDATE OR IGNORE p SET name = 'name 2' WHERE id = 3",
    "UPDATE OR REPLACE p SET name = 'name 2' WHERE id = 3",
    "UPDATE OR FAIL p SET name = 'name 2' WHERE id = 7000",
    "DELETE FROM p WHERE id = 3",
    "UPDATE p SET id = 7777 WHERE id = 4",
    "DELETE FROM p RETURNING id",
]


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("orphans", [False, True])
def test_each_write_does_what_it_does_in_sqlite3(make: Make, sql: str, orphans: bool) -> None:
    twins = make(KEYS)
    twins.many("INSERT INTO c VALUES(?, ?, ?)", [(n, n % 5 + 1, n) for n in range(20)])
    if not orphans:
        twins.many("INSERT INTO p VALUES(?, ?, ?)", parents(8))
    twins.query(sql)
    twins.query("SELECT * FROM p ORDER BY id")
    twins.query("SELECT * FROM c ORDER BY a")
    if orphans:
        twins.execute("DELETE FROM c")
    twins.done()


@pytest.fixture
def broken(request: pytest.FixtureRequest) -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(":memory:", bulk_load=True)
    connection.executescript(KEYS + "PRAGMA storage_format = column;")
    connection.execute(f"PRAGMA foreign_keys = {int('must_wait' in request.function.__name__)}")
    connection.executemany("INSERT INTO p VALUES(?, ?, ?)", [*parents(3), (1, "again", 1), (2, "name 1", 7)])
    yield connection
    connection.close()


@pytest.mark.parametrize("sql", [sql for sql in WRITES if "VALUES(3" in sql or "id = 3" in sql])
def test_a_write_that_must_wait_names_the_violations(broken: Any, sql: str) -> None:
    with pytest.raises(
        colonnade.IntegrityError, match=r"^UNIQUE constraint failed: p\.id .*repaired"
    ) as caught:
        broken.execute(sql)
    assert caught.value.violations
    assert broken.in_transaction
    assert broken.execute("SELECT count(*) FROM p").fetchone() == (5,)


@pytest.mark.parametrize("name", ["p", "main.p"])
def test_a_repair_may_qualify_names_and_return_all_columns(broken: Any, name: str) -> None:
    cursor = broken.execute(f"DELETE FROM main.p WHERE {name}.price = 7 AND {name}.id = 2 RETURNING *, id")
    assert cursor.fetchall() == [(2, "name 1", 7, 2)]
    assert [column[0] for column in cursor.description] == ["id", "name", "price", "id"]
    changed = broken.execute(f"UPDATE main.p SET id = {name}.id + 10 WHERE {name}.name = 'again' RETURNING *")
    assert changed.fetchall() == [(11, "again", 1)]
    broken.commit()
    rows = broken.execute("SELECT id, name FROM p ORDER BY id").fetchall()
    assert rows == [(1, "name 1"), (2, "name 2"), (3, "name 3"), (11, "again")]


def test_a_repair_evaluates_its_where_once_for_each_row(broken: Any) -> None:
    calls = []
    broken._db.create_scalar_function("noted", lambda value: calls.append(value) or True, 1)
    broken.execute("UPDATE p SET price = 0 WHERE noted(name)")
    assert sorted(calls) == ["again", "name 1", "name 1", "name 2", "name 3"]


@pytest.mark.parametrize("values", [(0, 99), {"price": 0, "id": 99}])
def test_a_repair_that_finds_no_row_takes_all_of_its_values(broken: Any, values: Any) -> None:
    marks = (":price", ":id") if isinstance(values, dict) else ("?1", "?2")
    sql = f"UPDATE p SET price = {marks[0]} WHERE id = {marks[1]} RETURNING *"
    assert broken.execute(sql, values).fetchall() == []

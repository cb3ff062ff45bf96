"""changes(), total_changes() and last_insert_rowid() in SQL, with rows appended in bulk and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.lockstep import KEYED, Lockstep, Make, parents

ASK = "SELECT changes(), total_changes(), last_insert_rowid()"
INSERT = "INSERT INTO p VALUES(?, ?, ?)"


def asked(twins: Lockstep) -> None:
    twins.query(ASK)


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_rows_of_an_executemany_count(make: Make, count: int) -> None:
    twins = make(KEYED)
    asked(twins)
    twins.execute(INSERT, (1000, "first", 1))
    asked(twins)
    twins.many(INSERT, parents(count))
    asked(twins)
    asked(twins)
    twins.commit()
    asked(twins)
    twins.done()


STATEMENTS = [
    "INSERT INTO plain SELECT id, id, name FROM p",
    "INSERT INTO plain SELECT id, id, name FROM p WHERE 0",
    "INSERT INTO plain VALUES(1, 2, 3), (4, 5, 6)",
    "INSERT INTO plain VALUES(changes(), total_changes(), last_insert_rowid())",
    "UPDATE p SET price = price + 1 WHERE id > 3",
    "UPDATE p SET price = 0 WHERE 0",
    "DELETE FROM p WHERE id = 4",
    "DELETE FROM plain",
    "CREATE TABLE other(a)",
    "INSERT OR IGNORE INTO p VALUES(1, 'one', 1), (99, 'new', 1)",
    "SAVEPOINT s",
    "PRAGMA user_version = 3",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_each_kind_of_statement_counts_as_in_sqlite3(make: Make, sql: str) -> None:
    twins = make(KEYED)
    twins.many(INSERT, parents(8))
    twins.execute("INSERT INTO plain VALUES(?, ?, ?)", (1, 2, 3))
    twins.execute(sql)
    asked(twins)
    twins.execute("UPDATE p SET price = 0 WHERE 0")
    asked(twins)
    twins.execute("INSERT INTO plain VALUES(?, ?, ?)", (1, 2, 3))
    asked(twins)
    twins.ours.commit()


def test_each_execution_sees_the_one_before(make: Make) -> None:
    twins = make(KEYED)
    twins.many(INSERT, parents(5))
    twins.many("INSERT INTO plain VALUES(last_insert_rowid(), changes(), ? || total_changes())", [("x",)] * 7)
    twins.query("SELECT * FROM plain")
    twins.done()


def test_a_row_that_is_refused_leaves_no_changes(make: Make) -> None:
    twins = make("CREATE TABLE n(a NOT NULL, b CHECK(b > 0))")
    twins.execute("INSERT INTO n VALUES(?, ?)", (1, 1))
    twins.execute("INSERT INTO n VALUES(?, ?)", (None, 1))
    asked(twins)
    twins.many("INSERT INTO n VALUES(?, ?)", [(1, 1), (2, 2), (3, -1), (4, 4)])
    asked(twins)
    twins.done()


def test_rows_that_only_move_between_formats_do_not_count(tmp_path: Path) -> None:
    twins = Lockstep(KEYED, database=str(tmp_path / "a.db"), batch_size=50)
    twins.many(INSERT, parents(200))
    twins.commit()
    twins.ours.execute("PRAGMA bulk_load = off")
    asked(twins)
    twins.execute("UPDATE p SET price = 1 WHERE id < 10")  # back to row format
    asked(twins)
    twins.execute("UPDATE p SET price = 1 WHERE id < 0")
    asked(twins)
    twins.close()


def test_a_table_in_column_format_is_enough_for_the_functions_to_be_there(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = colonnade.connect(path, bulk_load=True)
    first.execute("CREATE TABLE t(a)")
    first.executemany("INSERT INTO t VALUES(?)", ((n,) for n in range(5000)))
    first.commit()
    first.close()
    second = colonnade.connect(path)
    second.execute("UPDATE t SET a = 1 WHERE a < 3")
    assert second.execute("SELECT changes(), total_changes()").fetchall() == [(3, 3)]
    second.close()


def builtin(connection: Any) -> list[tuple[Any, ...]]:
    query = "SELECT DISTINCT builtin FROM pragma_function_list WHERE name = 'changes' AND narg = 0"
    rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    return rows


@pytest.mark.storage_format("auto", "row", reason="about a connection without the column store")
def test_a_connection_without_the_column_store_keeps_sqlites_own_functions() -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a)")
    assert builtin(connection) == [(1,)]
    connection.execute("PRAGMA bulk_load = on")  # which in row format no table has to do with
    in_row_format = connection.execute("PRAGMA storage_format").fetchone() == ("row",)
    assert ((0,) in builtin(connection)) is not in_row_format
    connection.close()


def test_a_trigger_sees_the_changes_of_its_own_statements() -> None:
    script = """
        CREATE TABLE t(a); CREATE TABLE log(n);
        CREATE TRIGGER tr AFTER INSERT ON t BEGIN
            UPDATE log SET n = n; INSERT INTO log VALUES(changes());
        END;
        INSERT INTO log VALUES(1), (2);
    """
    twins = Lockstep(script)
    twins.execute("INSERT INTO t VALUES(1)")
    twins.execute("INSERT INTO t VALUES(2), (3)")
    twins.query("SELECT * FROM log")
    asked(twins)
    twins.done()

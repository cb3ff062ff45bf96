"""Bulk load through plain DB-API, and tables in column format under ordinary statements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, run, same, typed

DDL = """
    CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT UNIQUE, price NUMERIC DEFAULT 1.5);
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id), note TEXT NOT NULL);
"""
ROWS = 5_000


@pytest.fixture
def connection() -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(":memory:", bulk_load=True)
    connection.executescript(DDL)
    connection.execute("PRAGMA foreign_keys = ON")
    yield connection
    connection.close()


def fill(connection: Any, rows: int = ROWS) -> None:
    connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", ((i, f"n{i}") for i in range(rows)))
    connection.executemany(
        "INSERT INTO child VALUES(:id, :parent, :note)",
        ({"id": i, "parent": i % rows, "note": "x"} for i in range(rows)),
    )


def formats(connection: colonnade.Connection) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute("PRAGMA storage_report")}


def loaded(connection: colonnade.Connection) -> None:
    fill(connection)
    connection.commit()
    connection.execute("PRAGMA bulk_load = off")
    assert formats(connection) == {"parent": "column", "child": "column"}


def test_rows_loaded_in_bulk_are_those_that_sqlite3_holds() -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        connection.executescript(DDL)
        connection.execute("PRAGMA bulk_load = on")
        fill(connection)
        counts = [connection.total_changes, connection.in_transaction]
        cursor = connection.execute("INSERT INTO child VALUES(?, ?, ?)", (ROWS + 5, 1, "late"))
        counts += [cursor.rowcount, cursor.lastrowid, connection.total_changes]
        connection.execute("INSERT INTO parent(name) SELECT 'copy ' || name FROM parent WHERE id < 10")
        connection.commit()
        connection.execute("PRAGMA bulk_load = off")
        rows = [
            typed(connection.execute(f"SELECT * FROM {t} ORDER BY 1").fetchall()) for t in ("parent", "child")
        ]
        point = connection.execute("SELECT name FROM parent WHERE id = ?", (77,)).fetchall()
        return counts, rows, point

    same(program)


WRITES = [
    ("INSERT INTO parent(id, name) VALUES(5, 'new')", ()),
    ("INSERT INTO parent(name) VALUES('n5')", ()),
    ("INSERT INTO parent(name) VALUES(?)", ("new",)),
    ("INSERT OR REPLACE INTO parent(id, name) VALUES(70000, 'n5')", ()),
    ("INSERT INTO parent(id, name) VALUES(5, 'x') ON CONFLICT(id) DO UPDATE SET price = price + 1", ()),
    ("INSERT INTO parent(name) VALUES('r') RETURNING id, name", ()),
    ("UPDATE parent SET price = price * 2 WHERE id < ?", (10,)),
    ("UPDATE parent SET name = 'n6' WHERE id = 5", ()),
    ("DELETE FROM parent WHERE id = 5", ()),
    ("DELETE FROM child WHERE id >= 4900", ()),
    ("UPDATE child SET parent = 999999 WHERE id = 3", ()),
    ("INSERT INTO child VALUES(99999, 888888, 'orphan')", ()),
    ("INSERT INTO child VALUES(99999, NULL, NULL)", ()),
    ("DROP TABLE child", ()),
    ("ALTER TABLE child ADD COLUMN more DEFAULT 3", ()),
    ("CREATE INDEX by_parent ON child(parent)", ()),
    ("SELECT sql FROM sqlite_master WHERE name = 'child'", ()),
    ("PRAGMA foreign_key_check", ()),
]


@pytest.mark.parametrize(("sql", "parameters"), WRITES)
def test_a_write_on_column_format_does_what_it_does_in_sqlite3(sql: str, parameters: Any) -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        connection.executescript(DDL)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA bulk_load = on")
        fill(connection)
        connection.execute(
            "INSERT INTO child VALUES(?, 1, 'last')", (ROWS,)
        )  # a rowid for last_insert_rowid()
        connection.execute("PRAGMA bulk_load = off")
        connection.commit()
        cursor = connection.cursor()
        done = run(cursor, sql, parameters)
        tables = [run(cursor, f"SELECT * FROM {name} ORDER BY 1") for name in ("parent", "child")]
        connection.rollback()
        again = [run(cursor, f"SELECT count(*), sum(id) FROM {name}") for name in ("parent", "child")]
        return done, tables, again

    same(program)


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_commit_refuses_a_duplicate_and_keeps_the_transaction_open(connection: colonnade.Connection) -> None:
    fill(connection)
    connection.execute("INSERT INTO parent(id, name) VALUES(7, 'seven')")
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: parent.id") as caught:
        connection.commit()
    assert [(v.table, v.rowid) for v in caught.value.violations] == [("parent", 7)]
    assert connection.in_transaction
    assert connection.execute("SELECT count(*) FROM parent").fetchone() == (ROWS + 1,)
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM parent").fetchone() == (0,)
    assert not connection.in_transaction


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_commit_in_sql_is_refused_as_well(connection: colonnade.Connection) -> None:
    for commit in ("COMMIT", "END TRANSACTION", " /* now */ commit", "PRAGMA bulk_load = off"):
        connection.execute("INSERT INTO child VALUES(1, 5, 'orphan')")
        with pytest.raises(colonnade.IntegrityError, match="^FOREIGN KEY constraint failed"):
            connection.execute(commit)
        assert connection.in_transaction
        assert connection.execute("PRAGMA bulk_load").fetchall() == [(1,)]
        connection.execute("ROLLBACK")


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_violations_can_be_repaired_before_commit(connection: colonnade.Connection) -> None:
    fill(connection)
    connection.execute("INSERT INTO child VALUES(99999, 888888, 'orphan')")
    with pytest.raises(colonnade.IntegrityError):
        connection.commit()
    found = connection.execute("PRAGMA constraint_check(child)").fetchall()
    assert [row[:2] for row in found] == [("child", 99999)]
    assert connection.execute("DELETE FROM child WHERE note = 'orphan'").rowcount == 1
    connection.commit()
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (ROWS,)


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_parents_deleted_in_bulk_load_are_missed_at_commit(connection: colonnade.Connection) -> None:
    fill(connection)
    connection.commit()
    connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", [(90_000, "a"), (90_001, "b")])
    connection.execute("DELETE FROM parent WHERE id = 17")
    with pytest.raises(colonnade.IntegrityError, match="^FOREIGN KEY constraint failed"):
        connection.commit()
    connection.rollback()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_savepoint_that_began_the_transaction_is_validated_when_released() -> None:
    connection = colonnade.connect(":memory:", isolation_level=None, bulk_load=True)
    connection.executescript(DDL)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("SAVEPOINT outer_one")
    connection.execute("SAVEPOINT inner_one")
    connection.execute("INSERT INTO child VALUES(1, 5, 'orphan')")
    connection.execute("RELEASE inner_one")
    with pytest.raises(colonnade.IntegrityError):
        connection.execute("RELEASE SAVEPOINT Outer_One")
    assert connection.in_transaction
    connection.execute("ROLLBACK TO outer_one")
    connection.execute("RELEASE outer_one")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)
    connection.close()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_autocommit_validates_each_statement() -> None:
    connection = colonnade.connect(":memory:", isolation_level=None, bulk_load=True)
    connection.executescript(DDL)
    connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", [(1, "a"), (2, "b")])
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: parent.name"):
        connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", [(3, "c"), (4, "b")])
    assert connection.execute("SELECT id FROM parent").fetchall() == [(1,), (2,)]
    connection.close()


def test_a_block_rolls_back_a_load_with_violations(connection: colonnade.Connection) -> None:
    with pytest.raises(colonnade.IntegrityError), connection:
        connection.execute("INSERT INTO child VALUES(1, 5, 'orphan')")
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)


def test_rows_given_one_by_one_are_seen_by_the_next_query(connection: colonnade.Connection) -> None:
    for number in range(10):
        connection.execute("INSERT INTO parent(name) VALUES(?)", (f"n{number}",))
        assert connection.execute("SELECT max(id), count(*) FROM parent").fetchone() == (
            number + 1,
            number + 1,
        )


def test_scripts_load_in_bulk_too(connection: colonnade.Connection) -> None:
    connection.executescript(
        "BEGIN; INSERT INTO parent(id, name) VALUES(1, 'a'), (2, 'b');"
        "INSERT INTO child VALUES(1, 1, 'x'); INSERT INTO child SELECT id + 1, parent, note FROM child; COMMIT"
    )
    assert connection.execute("SELECT * FROM child").fetchall() == [(1, 1, "x"), (2, 1, "x")]
    with pytest.raises(colonnade.IntegrityError):
        connection.executescript("BEGIN; INSERT INTO child VALUES(3, 9, 'x'); COMMIT")
    connection.rollback()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_what_a_program_sees_of_a_column_format_table_is_its_own_ddl(
    connection: colonnade.Connection,
) -> None:
    loaded(connection)
    plain = colonnade.connect(":memory:")
    plain.executescript(DDL)
    for sql in (
        "SELECT type, name, tbl_name, sql FROM sqlite_master",
        "PRAGMA table_info(parent)",
        "PRAGMA table_xinfo(child)",
        "PRAGMA foreign_key_list(child)",
        "PRAGMA index_list(parent)",
        "SELECT * FROM pragma_table_info('child')",
    ):
        seen, expected = connection.execute(sql), plain.execute(sql)
        assert (seen.fetchall(), seen.description) == (expected.fetchall(), expected.description), sql
    plain.close()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_an_error_names_the_users_table(connection: colonnade.Connection) -> None:
    loaded(connection)
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: parent.name$"):
        connection.execute("INSERT INTO parent(name) VALUES('n5')")
    with pytest.raises(colonnade.IntegrityError, match=r"^NOT NULL constraint failed: child.note$"):
        connection.execute("INSERT INTO child(id) VALUES(-1)")
    with pytest.raises(colonnade.OperationalError, match=r"^no such column: parent.nope$"):
        connection.execute("SELECT parent.nope FROM parent")


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_rows_being_read_survive_a_write_that_needs_row_format(connection: colonnade.Connection) -> None:
    loaded(connection)
    cursor = connection.execute("SELECT id FROM parent ORDER BY id")
    assert cursor.fetchone() == (0,)
    connection.execute("UPDATE parent SET name = name || '!' WHERE id > 1")
    assert [row[0] for row in cursor] == list(range(1, ROWS))


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_connection_notices_that_another_turned_a_table_to_column_format(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first, second = colonnade.connect(path), colonnade.connect(path)
    first.executescript(DDL)
    second.execute("PRAGMA foreign_keys = ON")
    second.execute("INSERT INTO parent(id, name) VALUES(-1, 'before')")
    second.commit()
    first.execute("PRAGMA bulk_load = on")
    fill(first)
    first.commit()
    assert formats(second) == {"parent": "column", "child": "column"}
    with pytest.raises(colonnade.IntegrityError, match="^FOREIGN KEY"):
        second.execute("DELETE FROM parent WHERE id = 5")
    second.rollback()
    second.execute("INSERT INTO child VALUES(88888, 7, 'late')")
    second.commit()
    assert second.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
        ("parent",),
        ("child",),
    ]
    assert first.execute("SELECT count(*) FROM child").fetchone() == (ROWS + 1,)
    first.close()
    second.close()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_file_with_column_format_is_read_by_a_new_connection(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = colonnade.connect(path, bulk_load=True)
    first.executescript(DDL)
    loaded(first)
    first.close()
    second = colonnade.connect(path)
    assert second.execute("SELECT count(*), sum(id) FROM parent").fetchone() == (ROWS, ROWS * (ROWS - 1) // 2)
    assert second.execute("SELECT name FROM sqlite_master").fetchall()[0] == ("parent",)
    second.execute("INSERT INTO child VALUES(-5, 3, 'x')")
    second.rollback()
    second.close()


def test_adapted_values_load_in_bulk(connection: colonnade.Connection) -> None:
    import datetime

    rows = [(1, datetime.date(2024, 2, 29)), (2, bytearray(b"raw")), (3, memoryview(b"view"))]
    connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", rows)
    assert connection.execute("SELECT name FROM parent").fetchall() == [
        ("2024-02-29",),
        (b"raw",),
        (b"view",),
    ]
    with pytest.raises(colonnade.ProgrammingError, match="Error binding parameter 2: type 'object'"):
        connection.executemany("INSERT INTO parent(id, name) VALUES(?, ?)", [(9, object())])
    with pytest.raises(OverflowError, match="Python int too large to convert to SQLite INTEGER"):
        connection.execute("INSERT INTO parent(id, name) VALUES(?, 'x')", (2**70,))

"""UNIQUE indexes that column format cannot check keep their table in row format, where SQLite checks them."""

from __future__ import annotations

import pytest

import colonnade

ROWS = [(n, n) for n in range(1, 3001)]
INDEXES = {
    "CREATE UNIQUE INDEX u ON t(x) WHERE x > 0": "the UNIQUE index u is partial",
    "CREATE UNIQUE INDEX u ON t(abs(x))": "the UNIQUE index u is on an expression",
}


def add_again_and_commit(connection: colonnade.Connection) -> None:
    connection.executemany("INSERT INTO t VALUES(?, ?)", [(9001, 7), (9002, 8)])
    connection.commit()


@pytest.mark.parametrize(("index", "reason"), INDEXES.items(), ids=["partial", "expression"])
@pytest.mark.parametrize("when", ["before the rows", "in column format", "with rows that owe a check"])
def test_a_violation_of_a_partial_or_expression_index_is_never_committed(
    index: str, reason: str, when: str
) -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("PRAGMA storage_format = column")
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x INT)")
    if when == "before the rows":
        connection.execute(index)
    connection.execute("PRAGMA bulk_load = on")
    connection.executemany("INSERT INTO t VALUES(?, ?)", ROWS)
    if when == "in column format":
        connection.commit()
        assert connection.execute("PRAGMA storage_report").fetchone()[1] == "column"
    if when != "before the rows":
        connection.execute(index)
    with pytest.raises(colonnade.IntegrityError, match="UNIQUE constraint failed"):
        add_again_and_commit(connection)
    connection.rollback()
    stored = connection.execute("PRAGMA storage_report").fetchall()
    if when != "with rows that owe a check":  # which the rollback takes away together with the index
        assert stored[0][-1] == reason
    assert connection.execute("SELECT count(*) FROM t WHERE x = 7").fetchone()[0] <= 1
    connection.close()


@pytest.mark.parametrize("index", INDEXES, ids=["partial", "expression"])
def test_such_an_index_is_refused_over_rows_that_break_it(index: str) -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("PRAGMA storage_format = column")
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x INT)")
    connection.execute("PRAGMA bulk_load = on")
    connection.executemany("INSERT INTO t VALUES(?, ?)", [*ROWS, (9001, 7)])
    connection.commit()
    assert connection.execute("PRAGMA storage_report").fetchone()[1] == "column"
    with pytest.raises(colonnade.IntegrityError, match="UNIQUE constraint failed"):
        connection.execute(index)
    connection.close()

"""Results as Arrow: the same values as the rows, in one type a column, or an error that names it."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from tests.driver.twins import connect

SCRIPT = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d DATE, price DECIMAL(10,2), e BLOB, mixed);
"""
ROWS = [
    (i, i % 7, f"ä{i % 3}", i / 4, f"1995-0{i % 9 + 1}-01", i / 2, bytes([i % 256]) if i % 5 else None, i)
    for i in range(1, 5001)
]


@pytest.fixture(params=["column", "row"])
def db(request: pytest.FixtureRequest) -> Any:
    db = connect(colonnade, ":memory:", isolation_level=None)
    db.execute(f"PRAGMA storage_format = {request.param}")
    db.executescript(SCRIPT)
    for start in range(0, 5000, 2000):
        db.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?, ?, ?)", ROWS[start : start + 2000])
    db.execute("PRAGMA storage_format = auto")
    return db


SELECTS = [
    "SELECT * FROM t",
    "SELECT a, b, sum(c) AS s, count(*) AS n FROM t GROUP BY a, b ORDER BY a, b",
    "SELECT price, d, e FROM t WHERE c > 700",
    "SELECT id FROM t WHERE id = 77",
    "SELECT a > 3 AS big, b || 'x' AS x FROM t WHERE id < 100",
    "SELECT max(id) FROM t",
    "SELECT a, NULL AS missing FROM t WHERE id < 9",
]


@pytest.mark.parametrize("sql", SELECTS)
def test_a_table_has_the_values_of_the_rows(db: Any, sql: str) -> None:
    rows = db.execute(sql).fetchall()
    cursor = db.execute(sql)
    table = cursor.fetch_arrow_table()
    assert table.column_names == [column[0] for column in cursor.description]
    assert list(zip(*table.to_pydict().values(), strict=True)) == rows
    assert cursor.fetchall() == []
    batches = db.execute(sql).fetch_record_batch(700)
    assert batches.read_all() == table
    assert pa.table(db.execute(sql)) == table  # __arrow_c_stream__


def test_types_are_those_of_the_values_and_of_the_declarations(db: Any) -> None:
    schema = db.execute("SELECT * FROM t").fetch_arrow_table().schema
    assert schema.types == [
        pa.int64(),
        pa.int64(),
        pa.string(),
        pa.float64(),
        pa.string(),
        pa.float64(),
        pa.binary(),
        pa.int64(),
    ]
    for fetch in ("fetch_arrow_table", "fetch_record_batch"):
        empty = getattr(db.execute("SELECT a, b, c, e FROM t WHERE a > 100"), fetch)()
        assert len(empty.schema) == 4
        whole = getattr(db.execute("SELECT price FROM t WHERE id IN (2, 4)"), fetch)()
        assert whole.schema.types == [pa.float64()]  # all of them are INTEGER, as declared they need not be
    assert db.execute("SELECT NULL FROM t").fetch_arrow_table().schema.types == [pa.null()]


def test_batches_are_no_longer_than_asked_for(db: Any) -> None:
    sizes = [batch.num_rows for batch in db.execute("SELECT a, b FROM t").fetch_record_batch(600)]
    assert sum(sizes) == 5000
    assert max(sizes) == 600
    with pytest.raises(ValueError, match="positive"):
        db.execute("SELECT a FROM t").fetch_record_batch(0)


def test_what_was_fetched_before_is_not_in_it(db: Any) -> None:
    cursor = db.execute("SELECT id FROM t ORDER BY id")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany(2) == [(2,), (3,)]
    assert cursor.fetch_arrow_table().column("id").to_pylist() == list(range(4, 5001))
    assert cursor.fetch_arrow_table().num_rows == 0


def test_a_column_of_several_classes_is_an_error_that_names_it(db: Any) -> None:
    db.execute("UPDATE t SET mixed = 'text' WHERE id = 4999")
    for fetch in ("fetch_arrow_table", "fetch_df"):
        with pytest.raises(colonnade.DataError, match="column 'mixed' has INTEGER and TEXT values"):
            getattr(db.execute("SELECT a, mixed FROM t"), fetch)()
    with pytest.raises(colonnade.DataError, match="column 'mixed'"):
        db.execute("SELECT mixed FROM t").fetch_record_batch(100).read_all()
    text = db.execute("SELECT CAST(mixed AS TEXT) AS m FROM t").fetch_arrow_table()
    assert text.column("m").to_pylist()[-2:] == ["text", "5000"]
    db.execute("UPDATE t SET mixed = 0.5 WHERE id = 4999")
    numbers = db.execute("SELECT mixed FROM t").fetch_arrow_table().column("mixed")
    assert (numbers.type, numbers[-1].as_py(), numbers[-2].as_py()) == (pa.float64(), 5000.0, 0.5)
    db.execute("UPDATE t SET mixed = 9007199254740993 WHERE id = 4998")
    with pytest.raises(colonnade.DataError, match="column 'mixed' has REAL values, and INTEGER ones"):
        db.execute("SELECT mixed FROM t").fetch_arrow_table()


def test_statements_without_rows_have_no_table(db: Any) -> None:
    with pytest.raises(colonnade.ProgrammingError, match="no rows to give"):
        db.execute("DELETE FROM t WHERE id = 1").fetch_arrow_table()
    with pytest.raises(colonnade.ProgrammingError, match="no rows to give"):
        db.cursor().fetch_arrow_table()
    closed = db.execute("SELECT a FROM t")
    closed.close()
    with pytest.raises(colonnade.ProgrammingError, match="closed cursor"):
        closed.fetch_arrow_table()
    assert db.execute("PRAGMA user_version").fetch_arrow_table().to_pydict() == {"user_version": [0]}


def test_another_thread_may_not_fetch_either(db: Any) -> None:
    cursor, errors = db.execute("SELECT a FROM t"), []

    def fetch() -> None:
        for call in (cursor.fetch_arrow_table, cursor.fetch_record_batch):
            try:
                call()
            except colonnade.ProgrammingError as error:
                errors.append(str(error))

    thread = threading.Thread(target=fetch)
    thread.start()
    thread.join()
    assert [error[:34] for error in errors] == ["SQLite objects created in a thread"] * 2

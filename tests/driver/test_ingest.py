"""adbc_ingest: what it leaves is what sqlite3's executemany of the same rows leaves, all of it or nothing."""

from __future__ import annotations

import datetime
import decimal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import colonnade

ROWS = 9000
SCHEMA = """
CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE c(
  id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, size INTEGER CHECK (size >= 0), kind TEXT DEFAULT 'plain'
);
"""


class Twins:
    """A connection, and sqlite3 with the same rows given one by one."""

    def __init__(self, path: Path, script: str = SCHEMA, **options: Any) -> None:
        self.ours = colonnade.connect(str(path / "t.db"), **options)
        self.theirs = sqlite3.connect(":memory:")
        for connection in (self.ours, self.theirs):
            connection.execute("PRAGMA foreign_keys = on")
            connection.executescript(script)

    def ingest(self, table: str, data: pa.Table, mode: str = "append") -> int:
        """Into both; fails alike, with the table as it was."""
        marks = ", ".join("?" * data.num_columns)
        text = f"INSERT INTO {table} ({', '.join(data.column_names)}) VALUES ({marks})"
        rows = list(zip(*(column.to_pylist() for column in data.columns), strict=True))
        problem: sqlite3.Error | None = None
        self.theirs.execute("SAVEPOINT s")
        try:
            self.theirs.executemany(text, rows)
        except sqlite3.Error as error:
            problem = error
            self.theirs.execute("ROLLBACK TO s")
        self.theirs.execute("RELEASE s")
        if problem is None:
            assert self.ours.cursor().adbc_ingest(table, data, mode) == data.num_rows
        else:
            with pytest.raises(getattr(colonnade, type(problem).__name__)) as caught:
                self.ours.cursor().adbc_ingest(table, data, mode)
            assert str(caught.value) == str(problem)
        self.check()
        return data.num_rows

    def check(self) -> None:
        for (table,) in self.theirs.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            query = f"SELECT *, rowid FROM {table} ORDER BY rowid"
            assert self.ours.execute(query).fetchall() == self.theirs.execute(query).fetchall(), table

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Twins]:
    twins = Twins(tmp_path)
    yield twins
    twins.close()


def parents(count: int = ROWS) -> pa.Table:
    return pa.table({"id": range(1, count + 1), "name": [f"name {n}" for n in range(count)]})


def children(first: int = 1, count: int = ROWS, **changes: dict[int, Any]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "id": list(range(first, first + count)),
        "p": [n * 7919 % ROWS + 1 for n in range(count)],
        "size": [n % 50 for n in range(count)],
    }
    for name, values in changes.items():
        for place, value in values.items():
            columns[name][place] = value
    return pa.table(columns)


def storage(connection: colonnade.Connection) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute("PRAGMA storage_report")}


def test_rows_are_those_of_an_executemany_and_many_of_them_turn_the_table_to_column_format(
    twins: Twins,
) -> None:
    twins.ingest("p", parents())
    twins.ingest("c", children())
    twins.ingest("c", children(ROWS + 1, 40))
    if twins.ours.execute("PRAGMA storage_format").fetchone() != ("row",):
        assert storage(twins.ours) == {"p": "column", "c": "column"}
    twins.ours.commit()
    assert twins.ours.execute("PRAGMA constraint_check").fetchall() == []
    assert twins.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_few_rows_leave_the_format_alone(twins: Twins) -> None:
    before = storage(twins.ours)
    twins.ingest("p", parents(20))
    if twins.ours.execute("PRAGMA storage_format").fetchone() == ("auto",):
        assert storage(twins.ours) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"p": {8000: ROWS + 5}},
        {"id": {8500: 8}},
        {"id": {3: 2}},
        {"size": {ROWS - 1: -1}},
        {"p": {5: 10**9}, "size": {4: -7}},
        {"p": {ROWS - 1: 10**9}, "id": {ROWS - 2: 1}},
    ],
)
@pytest.mark.parametrize("stored", [0, 20, ROWS])
def test_one_offending_row_leaves_nothing_and_the_error_is_sqlites(
    twins: Twins, changes: dict[str, dict[int, Any]], stored: int
) -> None:
    twins.ingest("p", parents())
    if stored:
        twins.ingest("c", children(100_000, stored))
    twins.ingest("c", children(**changes))
    twins.ingest("c", children())


def test_columns_that_are_not_given_have_their_default_and_null_is_kept(twins: Twins) -> None:
    twins.ingest("c", pa.table({"size": [None, 5, 6] * 2000}))
    assert twins.ours.execute("SELECT DISTINCT kind FROM c").fetchall() == [("plain",)]


@pytest.mark.parametrize("level", ["", None])
def test_it_belongs_to_the_transaction_as_an_insert_does(tmp_path: Path, level: str | None) -> None:
    twins = Twins(tmp_path, isolation_level=level)
    twins.ours.cursor().adbc_ingest("p", parents(), "append")
    assert twins.ours.in_transaction == (level is not None)
    other = colonnade.connect(str(tmp_path / "t.db"))
    assert other.execute("SELECT count(*) FROM p").fetchone() == (ROWS if level is None else 0,)
    other.close()
    twins.ours.rollback()
    assert twins.ours.execute("SELECT count(*) FROM p").fetchone() == (ROWS if level is None else 0,)
    twins.close()


@pytest.mark.parametrize("level", ["", None])
@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_under_bulk_load_keys_are_checked_at_the_end(tmp_path: Path, level: str | None) -> None:
    twins = Twins(tmp_path, isolation_level=level, bulk_load=True)
    ours = twins.ours
    assert ours.cursor().adbc_ingest("p", parents(), "append") == ROWS
    ours.commit()
    bad = children(p={70: 10**6})
    if level is None:
        with pytest.raises(colonnade.IntegrityError, match="FOREIGN KEY constraint failed") as caught:
            ours.cursor().adbc_ingest("c", bad, "append")
    else:
        ours.cursor().adbc_ingest("c", bad, "append")
        with pytest.raises(colonnade.IntegrityError, match="FOREIGN KEY constraint failed") as caught:
            ours.commit()
        ours.rollback()
    assert [v.values for v in caught.value.violations] == [(10**6,)]  # type: ignore[attr-defined]
    assert not ours.in_transaction
    assert ours.execute("SELECT count(*) FROM c").fetchone() == (0,)
    ours.cursor().adbc_ingest("c", children(), "append")
    ours.commit()
    assert ours.execute("SELECT count(*) FROM c").fetchone() == (ROWS,)
    twins.close()


def test_modes(twins: Twins) -> None:
    cursor, few = twins.ours.cursor(), pa.table({"a": [1, 2]})
    assert cursor.adbc_ingest("t", few) == cursor.rowcount == 2
    with pytest.raises(colonnade.OperationalError, match='table "t" already exists|table t already exists'):
        cursor.adbc_ingest("t", few, "create")
    assert cursor.adbc_ingest("t", few, mode="append") == 2
    assert cursor.adbc_ingest("t", few, mode="create_append") == 2
    assert cursor.adbc_ingest("u", few, mode="create_append") == 2
    assert cursor.execute("SELECT count(*) FROM t").fetchone() == (6,)
    assert cursor.adbc_ingest("t", pa.table({"b": ["x"]}), mode="replace") == 1
    assert cursor.execute("SELECT b FROM t").fetchall() == [("x",)]
    with pytest.raises(
        colonnade.OperationalError, match="no such table: main.nowhere|no such table: nowhere"
    ):
        cursor.adbc_ingest("nowhere", few, "append")
    with pytest.raises(colonnade.OperationalError, match="no column named z"):
        cursor.adbc_ingest("t", pa.table({"z": [1]}), "append")
    with pytest.raises(colonnade.ProgrammingError, match="mode is append, create, replace or create_append"):
        cursor.adbc_ingest("t", few, "upsert")


def test_a_replace_that_fails_leaves_the_table_as_it_was(twins: Twins) -> None:
    cursor = twins.ours.cursor()
    cursor.adbc_ingest("t", pa.table({"a": [1, 2]}))
    with pytest.raises(colonnade.DataError, match="column a: 18446744073709551615 is too large"):
        cursor.adbc_ingest("t", pa.table({"a": pa.array([1, 2**64 - 1], pa.uint64())}), "replace")
    assert cursor.execute("SELECT * FROM t").fetchall() == [(1,), (2,)]
    with pytest.raises(colonnade.NotSupportedError, match="column l: values of type list"):
        cursor.adbc_ingest("t", pa.table({"l": [[1]]}), "replace")


def test_types_and_values(twins: Twins) -> None:
    words = pa.array(["a", None, "b"]).dictionary_encode()
    data = pa.table(
        {
            "i": pa.array([1, None, -3], pa.int16()),
            "b": [True, False, None],
            "f": pa.array([1.5, float("nan"), 2.0]),
            "s": ["x", "", None],
            "w": words,
            "x": [b"\0", b"", None],
            "d": [datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)],
            "n": [decimal.Decimal("1.50"), decimal.Decimal("2.00"), None],
            "z": pa.nulls(3),
        }
    )
    cursor = twins.ours.cursor()
    cursor.adbc_ingest("kinds", data)
    declared = [row[2] for row in cursor.execute("PRAGMA table_info(kinds)")]
    assert declared == ["INTEGER", "INTEGER", "REAL", "TEXT", "TEXT", "BLOB", "TEXT", "NUMERIC", ""]
    assert cursor.execute("SELECT * FROM kinds").fetchall() == [
        (1, 1, 1.5, "x", "a", b"\0", "2024-02-29", 1.5, None),
        (None, 0, None, "", None, b"", None, 2, None),
        (-3, None, 2.0, None, "b", None, "0001-01-01", None, None),
    ]


class OnlyAnArray:
    """A producer of one record batch through the C data interface."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._batch.__arrow_c_array__(requested_schema)


def test_what_data_may_be(twins: Twins) -> None:
    import pandas as pd

    table, cursor = parents(1000), twins.ours.cursor()
    batch = table.to_batches()[0]
    reader = pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(max_chunksize=77)))
    for data in (
        table,
        batch,
        reader,
        OnlyAnArray(batch),
        pd.DataFrame({"id": np.arange(1, 1001), "name": table["name"]}),
    ):
        assert cursor.adbc_ingest("copied", data, "replace") == 1000
        assert cursor.execute("SELECT sum(id), max(name) FROM copied").fetchone() == (500500, "name 999")
    empty = table.slice(0, 0)
    assert cursor.adbc_ingest("copied", empty, "replace") == 0
    assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (0,)
    with pytest.raises(colonnade.DatabaseError, match="a int has no __arrow_c_stream__"):
        cursor.adbc_ingest("copied", 5, "append")


def test_temporary_tables_attached_databases_and_odd_names(twins: Twins, tmp_path: Path) -> None:
    ours = twins.ours
    ours.commit()
    ours.execute("ATTACH ? AS aux", (str(tmp_path / "aux.db"),))
    cursor, data = ours.cursor(), pa.table({'a "b"': range(ROWS)})
    assert cursor.adbc_ingest('od\'d "t"', data, db_schema_name="aux") == ROWS
    assert cursor.execute('SELECT count(*) FROM aux."od\'d ""t"""').fetchone() == (ROWS,)
    assert cursor.adbc_ingest("tt", data, temporary=True) == ROWS
    assert cursor.execute("SELECT count(*) FROM temp.tt").fetchone() == (ROWS,)
    assert cursor.adbc_ingest("tt", data, "append", catalog_name="temp") == ROWS
    with pytest.raises(colonnade.ProgrammingError, match="a temporary table has no place in aux"):
        cursor.adbc_ingest("tt", data, "append", db_schema_name="aux", temporary=True)
    ours.commit()
    assert cursor.execute("SELECT count(*) FROM aux.sqlite_master WHERE name LIKE 'od%'").fetchone() == (1,)


def test_triggers_generated_columns_and_open_statements_are_left_to_sqlite(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE t(a INTEGER, b AS (a * 2)); CREATE TABLE u(a INTEGER); CREATE TABLE log(n);"
        "CREATE TRIGGER tr AFTER INSERT ON u WHEN new.a % 1000 = 0 BEGIN INSERT INTO log VALUES (new.a); END"
    )
    twins = Twins(tmp_path, script)
    data = pa.table({"a": range(ROWS)})
    twins.ingest("t", data)
    twins.ingest("u", data)
    reading = twins.ours.execute("SELECT a FROM t")
    reading.fetchone()
    twins.ingest("t", data)
    assert len(reading.fetchall()) >= ROWS - 2
    twins.close()

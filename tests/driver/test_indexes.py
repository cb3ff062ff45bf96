"""CREATE INDEX and DROP INDEX on tables in column format, which stay so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from colonnade.store.check import check

SCHEMA = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT);
CREATE TABLE [odd one](a, b);
INSERT INTO t VALUES(1, 2, 'x'), (2, 2, 'y'), (3, NULL, 'z');
INSERT INTO [odd one] VALUES(1, 2), (2, 3);
CREATE UNIQUE INDEX u ON t(c);
"""
SHOWN = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name",
    "PRAGMA index_list(t)",
    "PRAGMA index_list('odd one')",
    "PRAGMA index_xinfo(i)",
)


@pytest.fixture
def both() -> Iterator[tuple[Any, Any]]:
    plain = sqlite3.connect(":memory:", isolation_level=None)
    ours = colonnade.connect(":memory:", isolation_level=None)
    ours.execute("PRAGMA storage_format = column")
    for db in (plain, ours):
        db.executescript(SCHEMA)
    ours.execute("PRAGMA storage_format = auto")
    yield plain, ours
    plain.close()
    ours.close()


def outcome(db: Any, sql: str) -> Any:
    try:
        return db.execute(sql).fetchall()
    except (sqlite3.Error, colonnade.Error) as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize(
    "steps",
    [
        ("CREATE INDEX i ON t(b, c COLLATE NOCASE)",),
        ('CREATE INDEX IF NOT EXISTS main.[i] ON "t" (b DESC) WHERE b > 1',),
        (
            "create index i on [odd one](a + 1)",
            "CREATE INDEX i ON t(b)",
            "CREATE INDEX IF NOT EXISTS i ON T(b)",
        ),
        ("CREATE INDEX i ON t(nothing)", "CREATE INDEX i ON nothing(a)", "CREATE INDEX t ON t(b)"),
        (
            "CREATE INDEX i ON t(b)",
            "DROP INDEX i",
            "CREATE INDEX i ON `t`(c)",
            "DROP INDEX main.i",
            "DROP INDEX i",
        ),
        ("DROP INDEX u", "INSERT INTO t VALUES(9, 9, 'x')", "DROP INDEX IF EXISTS u"),
        ("BEGIN", "CREATE INDEX i ON t(b)", "ROLLBACK", "CREATE INDEX i ON 't'(b)"),
    ],
)
def test_indexes_come_and_go_as_in_row_format_and_the_tables_stay(both: tuple[Any, Any], steps: Any) -> None:
    plain, ours = both
    for step in (*steps, *SHOWN, "SELECT * FROM t WHERE b = 2 ORDER BY a"):
        assert outcome(ours, step) == outcome(plain, step), step
    assert [row[1] for row in ours.execute("PRAGMA storage_report")] == ["column", "column"]
    assert list(check(ours._session.store)) == []
    for table in ("t", "odd one"):
        ours._session.store.restore(table)
    for question in SHOWN:
        assert outcome(ours, question) == outcome(plain, question), question


def test_a_unique_index_that_was_dropped_leaves_no_key_zones(both: tuple[Any, Any]) -> None:
    _, ours = both
    ours.execute("DROP INDEX u")
    table = ours._session.store.table("t")
    kept = {signature for (signature,) in ours._db.execute("SELECT signature FROM t_cln_keys")}
    assert kept == {spec.signature for spec in table.key_specs()}


@pytest.mark.parametrize("text", ["CREATE UNIQUE INDEX i ON t(b)", "CREATE UNIQUE INDEX i ON t(b, c)"])
def test_a_unique_index_looks_at_the_rows_of_row_groups(both: tuple[Any, Any], text: str) -> None:
    plain, ours = both
    assert outcome(ours, text) == outcome(plain, text)

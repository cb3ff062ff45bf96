"""Look-ups by a whole key of a table in column format: SQLite's answers, without going over the row groups."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import colonnade

ROWS = 400
TABLE = (
    "CREATE TABLE k(a INTEGER, b TEXT, c TEXT UNIQUE COLLATE NOCASE, d REAL UNIQUE, e UNIQUE, f TEXT,"
    " PRIMARY KEY(a, b), UNIQUE(b COLLATE RTRIM, d))"
)


def row(i: int) -> tuple[Any, ...]:
    e = (None, i, i + 0.5, f"{i}", str(i).encode())[i % 5]
    return i * 37 % ROWS, f"b{i % 9}" + " " * (i % 3), f"Code{i * 71 % ROWS}", i / 4, e, "x" * (i % 5)


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[colonnade.Connection, sqlite3.Connection]]:
    ours, theirs = colonnade.connect(":memory:", isolation_level=None), sqlite3.connect(":memory:")
    ours.execute("PRAGMA storage_format = column")
    for db in (ours, theirs):
        db.execute(TABLE)
        db.executemany("INSERT INTO k VALUES (?, ?, ?, ?, ?, ?)", map(row, range(ROWS)))
    ours.execute("PRAGMA storage_format = auto")
    for db in (ours, theirs):  # some rows in the row part, some gone
        db.execute("UPDATE k SET f = 'changed' WHERE a % 11 = 3")
        db.execute("UPDATE k SET c = 'new' || c, d = d + 1000 WHERE a % 17 = 5")
        db.execute("DELETE FROM k WHERE a % 13 = 7")
    assert [r[1] for r in ours.execute("PRAGMA storage_report")] == ["column"]
    yield ours, theirs
    ours.close()
    theirs.close()


VALUES: list[Any] = [
    *(None, 0, 3, 3.0, 3.5, 2.25, -1, 2**70 * 1.0, 10**15, "3", "3.0", " 3", "b3", "b3  ", "B3", ""),
    *("Code10", "CODE10", "newCode10", "newcode195", "code10 ", b"3", b"Code10", True, 1002.5, "2.25"),
]


@pytest.mark.parametrize("column", ["c", "d", "e", "c COLLATE BINARY", "+c", "CAST(d AS TEXT)"])
@pytest.mark.parametrize("sign", ["=", "IS"])
def test_one_column(sides: tuple[Any, Any], column: str, sign: str) -> None:
    ours, theirs = sides
    text = f"SELECT *, typeof(e), rowid FROM k WHERE {column} {sign} ? ORDER BY rowid"
    for value in [*VALUES, *(row(i)[j] for i in range(0, ROWS, 7) for j in (2, 3, 4))]:
        assert list(ours.execute(text, (value,))) == list(theirs.execute(text, (value,))), value


@pytest.mark.parametrize("where", ["a = ? AND b = ?", "d = ? AND b = ?", "d = ? AND b = ? COLLATE RTRIM"])
def test_two_columns(sides: tuple[Any, Any], where: str) -> None:
    ours, theirs = sides
    text = f"SELECT * FROM k WHERE {where}"
    pairs = [
        *itertools.product(VALUES[::2], VALUES[1::2]),
        *((row(i)[j], row(i)[1]) for i in range(ROWS) for j in (0, 3)),
    ]
    for pair in pairs:
        assert list(ours.execute(text, pair)) == list(theirs.execute(text, pair)), pair


@pytest.mark.parametrize(
    "text",
    [
        "SELECT x.a, y.a FROM k x JOIN k y ON y.d = x.d + 1 ORDER BY 1, 2",
        "SELECT a, (SELECT f FROM k y WHERE y.c = upper(x.c)) FROM k x ORDER BY a",
        "SELECT count(*) FROM k WHERE d IN (1.5, 2.5, 1002.5) AND f >= ''",
        "SELECT a FROM k WHERE d = 2.5 AND a BETWEEN 1 AND 390 ORDER BY rowid DESC",
        "SELECT a FROM k WHERE c = 'CODE5' OR d = 2.5 OR a = 3 AND b = 'b1' ORDER BY a",
    ],
)
def test_in_queries(sides: tuple[Any, Any], text: str) -> None:
    ours, theirs = sides
    assert list(ours.execute(text)) == list(theirs.execute(text))


def test_no_row_group_is_gone_over(sides: tuple[Any, Any]) -> None:
    ours, _ = sides
    text = "SELECT f FROM k WHERE d = ?"
    ours.execute(text, (1.25,)).fetchall()
    table = ours._session.store.table("k")
    before = table.counters.blocks_decoded
    assert ours.execute(text, (3.75,)).fetchall() == [("",)]
    assert table.counters.blocks_decoded == before

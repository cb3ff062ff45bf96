"""LIMIT and OFFSET over one table: SQLite's rows in SQLite's order, and other columns read of these rows alone."""

from __future__ import annotations

from typing import Any

import pytest

import colonnade
from colonnade.sql.select import top
from tests.select.test_found import assert_equal, vectorised

SETUP = (
    "PRAGMA batch_size = 100",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b REAL, c TEXT, d DATE, n TEXT COLLATE NOCASE, long TEXT)",
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1000) INSERT INTO t SELECT i * 3, i % 7,"
    " CASE WHEN i % 11 THEN (i * 7919 % 1000) / 4.0 END, 'w' || (i * 31 % 100),"
    " date('1992-01-01', (i % 50) || ' days'),"
    " substr('aAbBcC', i % 6 + 1, 1), 'long text ' || i FROM r",
    "INSERT INTO t(id, a, b) VALUES(7, 3, 1.5), (100000, 3, 200.25)",
    "DELETE FROM t WHERE id % 5 = 0",
    "UPDATE t SET b = 249.75 WHERE id = 600 + 3",
)


@pytest.mark.parametrize(
    "order",
    [
        "",
        "ORDER BY a",
        "ORDER BY b DESC",
        "ORDER BY b NULLS LAST, a DESC",
        "ORDER BY c",
        "ORDER BY c DESC, b",
        "ORDER BY d, c",
        "ORDER BY n",
        "ORDER BY n DESC, id DESC",
        "ORDER BY a % 3, b * -1",
        "ORDER BY 1 DESC",
        "ORDER BY length(long), a",
        "ORDER BY substr(long, 11)",
        "ORDER BY substr(long, 11) || char(0) DESC, a",
        "ORDER BY replace(long, ' text', '') || 'é' DESC",
        "ORDER BY substr(long, 11, a - 2) NULLS LAST, id",
    ],
)
@pytest.mark.parametrize("where", ["", "WHERE a > 2 AND b < 200", "WHERE c = 'nothing'", "WHERE id > 2900"])
@pytest.mark.parametrize(
    "limit",
    ["LIMIT 5", "LIMIT 40 OFFSET 17", "LIMIT 3 OFFSET 790", "LIMIT 2000", "LIMIT 0", "LIMIT 7 OFFSET 5000"],
)
def test_the_rows_that_limit_lets_through(order: str, where: str, limit: str) -> None:
    assert_equal(f"SELECT id, a, b, c, d, n, long FROM t {where} {order} {limit}", *SETUP)


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("SELECT long, c FROM t ORDER BY b LIMIT 5", 1),
        ("SELECT long FROM t LIMIT 5 OFFSET 600", 1),
        ("SELECT long FROM t WHERE a = 3 LIMIT 5", 1),
        ("SELECT long FROM t ORDER BY b", 0),
        ("SELECT long FROM t ORDER BY b LIMIT 0", 0),
        ("SELECT long FROM t ORDER BY b LIMIT -1", 0),
        ("SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 LIMIT 2", 0),
        ("SELECT DISTINCT a FROM t ORDER BY 1 LIMIT 2", 0),
        ("SELECT t.long FROM t JOIN t AS u ON u.id = t.id ORDER BY t.id LIMIT 2", 0),
        ("SELECT row_number() OVER (ORDER BY b, id) FROM t ORDER BY id LIMIT 2", 0),
    ],
)
def test_which_queries_find_their_rows_first(sql: str, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_equal(sql, *SETUP)
    found: list[Any] = []
    key_filter = top.key_filter
    monkeypatch.setattr(top, "key_filter", lambda *each: found.append(each) or key_filter(*each))
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in ("PRAGMA storage_format = column", *SETUP):
        database.execute(statement)
    vectorised(database, sql)
    database.close()
    assert len(found) == asked


def test_other_columns_are_read_where_the_rows_are() -> None:
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in ("PRAGMA storage_format = column", *SETUP):
        database.execute(statement)
    database.store.table("t").freeze()
    counters = database.store.table("t").counters
    before = counters.chunks_read
    vectorised(database, "SELECT long, c, d, n FROM t WHERE a < 7 LIMIT 3 OFFSET 350")
    groups = len(database.store.table("t").groups())
    assert groups >= 8
    assert (
        counters.chunks_read - before <= 4 * groups + 4
    )  # a and the rowid twice, and four columns of one row group
    database.close()

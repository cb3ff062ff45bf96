"""Window functions and outer joins give what SQLite gives, in its order of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.select import Context, NotVectorizable, answer
from colonnade.sql.select.rules.asked import python_values

DDL = "CREATE TABLE t (id INTEGER PRIMARY KEY, g TEXT, n INTEGER, x REAL, d DECIMAL)"
ROWS = [
    (i, "abc"[i % 3] if i % 7 else None, i * 7 % 10 if i % 5 else None, i / 4, i * 25 / 100)
    for i in range(1, 60)
]
WINDOWS = [
    "row_number() OVER (PARTITION BY g ORDER BY n, id)",
    "rank() OVER (PARTITION BY g ORDER BY n DESC)",
    "dense_rank() OVER (ORDER BY g DESC NULLS LAST)",
    "percent_rank() OVER (PARTITION BY g ORDER BY n)",
    "cume_dist() OVER (PARTITION BY g ORDER BY n)",
    "ntile(4) OVER (PARTITION BY g ORDER BY id)",
    "ntile(40) OVER (PARTITION BY g ORDER BY id)",
    "lag(n) OVER (ORDER BY id)",
    "lag(n, 2, -1) OVER (PARTITION BY g ORDER BY id)",
    "lead(x, 0) OVER (ORDER BY id)",
    "first_value(n) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING)",
    "last_value(n) OVER (PARTITION BY g ORDER BY n)",
    "nth_value(d, 3) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
    "count(*) OVER ()",
    "count(n) FILTER (WHERE x > 3) OVER (PARTITION BY g ORDER BY n)",
    "sum(n) OVER (PARTITION BY g)",
    "sum(n) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING)",
    "sum(d) OVER (PARTITION BY g ORDER BY id)",
    "avg(x) OVER (PARTITION BY g ORDER BY n, id)",
    "total(n) OVER (PARTITION BY g ORDER BY id ROWS UNBOUNDED PRECEDING)",
    "max(d) OVER (PARTITION BY n)",
    "min(g) OVER (PARTITION BY n)",
    "sum(n) OVER w, rank() OVER w",
    "row_number() OVER (ORDER BY n, id), row_number() OVER (ORDER BY x DESC)",
    "lag(id) OVER (w ROWS UNBOUNDED PRECEDING)",
]
QUERIES = [
    *(f"SELECT id, {each} FROM t WINDOW w AS (PARTITION BY g ORDER BY n)" for each in WINDOWS),
    "SELECT g, sum(n), rank() OVER (ORDER BY sum(n) DESC) FROM t GROUP BY g",
    "SELECT g, sum(sum(n)) OVER (ORDER BY g) FROM t GROUP BY g",
    "SELECT DISTINCT count(*) OVER (PARTITION BY g) FROM t",
    "SELECT id FROM t ORDER BY row_number() OVER (ORDER BY n DESC, id)",
    "SELECT a.id, b.id FROM t a LEFT JOIN t b ON a.n = b.id AND b.x > 1 WHERE a.id < 9 OR b.id IS NULL",
    "SELECT a.id, b.id FROM t a RIGHT JOIN t b ON a.n = b.id AND a.x > 1 WHERE a.id IS NULL OR b.id < 5",
    "SELECT a.id, b.id FROM t a FULL JOIN t b ON a.id = b.n AND b.id > 50",
    "SELECT count(*) FROM t a FULL JOIN t b ON a.x > 100 WHERE a.id > 3",
]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[apsw.Connection, Any]]:
    plain, ours = apsw.Connection(""), colonnade.connect(":memory:", isolation_level=None)
    plain.execute(DDL)
    plain.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", ROWS)
    ours.execute(DDL)
    ours.execute("PRAGMA batch_size = 16")
    ours.execute("PRAGMA storage_format = column")
    ours.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", ROWS)
    yield plain, ours
    ours.close()


def vectorised(db: Any, text: str) -> list[tuple[Any, ...]]:
    session = db._session
    context = Context(session.store, {"main": session.router.schema("main")}, lambda: None)
    found = answer(context, text, ())
    return [row for batch in found.batches for row in zip(*map(python_values, batch), strict=True)]


@pytest.mark.parametrize("text", QUERIES)
def test_rows_are_those_of_sqlite_in_its_order(both: tuple[apsw.Connection, Any], text: str) -> None:
    plain, ours = both
    expected = plain.execute(text).fetchall()
    found = vectorised(ours, text)
    if "JOIN" in text:
        expected, found = sorted(expected, key=repr), sorted(found, key=repr)
    assert [repr(row) for row in found] == [repr(row) for row in expected]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT sum(x) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT count(*) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT count(*) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING EXCLUDE TIES) FROM t",
        "SELECT row_number() OVER (ORDER BY a.g) FROM t a JOIN t b ON a.id = b.n",
    ],
)
def test_what_is_not_certain_is_left_to_sqlite(both: tuple[apsw.Connection, Any], text: str) -> None:
    with pytest.raises(NotVectorizable):
        vectorised(both[1], text)


CONCATENATIONS = [
    "SELECT g, group_concat(n) FROM t GROUP BY g",
    "SELECT group_concat(g, '; ') FROM t WHERE id < 20",
    "SELECT group_concat(g) FROM t WHERE id < 0",
    "SELECT g, string_agg(x, '') FILTER (WHERE n > 3) FROM t GROUP BY g",
    "SELECT g, group_concat(d, '|' ORDER BY n DESC, id) FROM t GROUP BY g",
    "SELECT n, group_concat(DISTINCT g) FROM t GROUP BY n",
]


@pytest.mark.parametrize("text", CONCATENATIONS)
def test_texts_are_concatenated_in_the_order_of_rows(both: tuple[apsw.Connection, Any], text: str) -> None:
    plain, ours = both
    assert vectorised(ours, text) == plain.execute(text).fetchall()

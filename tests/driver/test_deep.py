"""Expressions of many terms, and deeper than Python calls: SQLite's answer, from columns or from SQLite itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

import colonnade
from tests.differential.taken import stats

pytestmark = pytest.mark.storage_format("column", reason="about queries of columns")
ROWS = [(n, n % 50, n * 1.5, f"w{n % 40}") for n in range(1, 3001)]


@pytest.fixture
def both() -> Iterator[tuple[apsw.Connection, Any]]:
    plain, ours = apsw.Connection(":memory:"), colonnade.connect(":memory:", isolation_level=None)
    ours.execute("PRAGMA storage_format = column")
    ours.execute("PRAGMA batch_size = 1000")
    for db in (plain, ours):
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT)")
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", ROWS)
    yield plain, ours
    ours.close()


def asked(both: tuple[apsw.Connection, Any], text: str) -> tuple[Any, int]:
    """The answer of both, and how many queries of it were vectorised."""
    ours = both[1]
    before, _ = stats(ours)
    expected, found = (answer(db, text) for db in both)
    assert found == expected
    return found, stats(ours)[0] - before


def answer(db: Any, text: str) -> Any:
    try:
        return db.execute(text).fetchall()
    except (apsw.SQLError, colonnade.OperationalError) as error:
        return str(error)


def joined(operator: str, count: int, term: str) -> str:
    return operator.join(term.format(n) for n in range(count))


@pytest.mark.parametrize("count", [3, 900])
@pytest.mark.parametrize(
    "condition",
    [
        (" OR ", "a = {0}"),
        (" AND ", "a <> 1{0}0"),
        (" OR ", "b = {0}.5 AND a > 0"),
        (" OR ", "c = 'w{0}'"),
        (", ", "{0}"),
    ],
)
def test_conditions_of_many_terms_are_answered_from_columns(
    both: tuple[apsw.Connection, Any], condition: tuple[str, str], count: int
) -> None:
    operator, term = condition
    terms = joined(operator, count, term)
    where = f"a IN ({terms})" if operator == ", " else terms
    found, taken = asked(both, f"SELECT count(*), sum(id) FROM t WHERE {where}")
    assert (found[0][0] > 0, taken) == (True, 1)


@pytest.mark.parametrize("count", [40, 400, 990, 1100, 5000])
@pytest.mark.parametrize(
    "shape",
    [
        ("SELECT sum({}) FROM t", "(", "a", ")"),
        ("SELECT sum({}) FROM t", "- ", "a", ""),
        ("SELECT sum({}) FROM t", "a + ", "a", ""),
        ("SELECT sum(a) FROM t WHERE {}", "NOT ", "a", ""),
        ("SELECT sum({}) FROM t", "CASE WHEN a = 1 THEN 1 ELSE ", "2", " END"),
        ("SELECT sum({}) FROM t", "abs(", "a", ")"),
        ("SELECT count(*) FROM {}", "(SELECT * FROM ", "t", ")"),
        ("UPDATE t SET a = {} WHERE id = 7 RETURNING *", "(", "a", ")"),
        ("UPDATE t SET b = 0 WHERE {} RETURNING count(*)", "a >= 0 AND ", "id = 7", ""),
        ("DELETE FROM t WHERE {} RETURNING *", "a < 0 OR ", "id = 7", ""),
        ("INSERT INTO t(a) SELECT {} FROM t LIMIT 1 RETURNING a", "- ", "a", ""),
        ("CREATE TABLE u(a CHECK ({} > 0))", "(", "a", ")"),
    ],
)
def test_an_expression_of_any_depth(
    both: tuple[apsw.Connection, Any], shape: tuple[str, str, str, str], count: int
) -> None:
    text, opened, core, closed = shape
    asked(both, text.format(opened * count + core + closed * count))


@pytest.mark.parametrize("count", [40, 400, 900])
def test_ctes_that_are_made_of_each_other(both: tuple[apsw.Connection, Any], count: int) -> None:
    first = "c0 AS (SELECT a FROM t)"
    others = [f"c{n} AS (SELECT a FROM c{n - 1})" for n in range(1, count)]
    asked(both, f"WITH {', '.join([first, *others])} SELECT sum(a) FROM c{count - 1}")

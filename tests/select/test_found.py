"""Differences between vectorised queries and SQLite that random queries found, each reduced to its smallest case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.select import Context, answer
from colonnade.sql.select.rules.asked import python_values
from tests.differential.likeness import in_order


def vectorised(
    database: colonnade.Connection, sql: str, parameters: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """The rows of a query as the engine gives them. Raises NotVectorizable."""
    session = database._session
    schemas = {name: session.router.schema(name) for name in ("temp", "main")}
    found = answer(Context(session.store, schemas, lambda: None), sql, parameters)
    return [row for batch in found.batches for row in zip(*map(python_values, batch), strict=True)]


def assert_equal(sql: str, *setup: str, rows: Sequence[str] = ()) -> None:
    """The query is vectorised, and gives what plain SQLite gives, in its order.

    setup, rows  what makes tables in column format and in row format
    """
    plain = apsw.Connection(":memory:")
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in (*rows, "PRAGMA storage_format = column", *setup):
        plain.execute(statement)
        database.execute(statement)
    expected, got = list(plain.execute(sql)), vectorised(database, sql)
    database.close()
    plain.close()
    assert in_order(expected, got), (expected, got)


TABLE = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c)"
ROWS = "INSERT INTO t VALUES(1, 'x', 1), (2, NULL, 2), (3, '', NULL), (4, 'X', 4)"


@pytest.mark.parametrize("pattern", ["%", "%%"])
@pytest.mark.parametrize("denial", ["", "NOT "])
def test_like_anything_of_null_is_null(pattern: str, denial: str) -> None:
    assert_equal(f"SELECT a, b {denial}LIKE '{pattern}' FROM t", TABLE, ROWS)


def test_a_join_with_texts_that_are_all_null_finds_nothing() -> None:
    """The other text is not among the keys looked for."""
    other = (
        "CREATE TABLE u(d INTEGER PRIMARY KEY, e TEXT)",
        "INSERT INTO u VALUES(1, NULL), (2, '1994-05-25')",
    )
    assert_equal("SELECT a, d FROM t LEFT JOIN u ON b = e ORDER BY a", TABLE, ROWS, rows=other)

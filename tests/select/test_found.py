"""Differences between vectorised queries and SQLite that random queries found, each reduced to its smallest case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.select import Context, NotVectorizable, answer
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


@pytest.mark.parametrize("value", ["242.0", "0.0", "-0.0", "1.5", "1e300", "NULL"])
@pytest.mark.parametrize("shown", ["n", "n + 1", "n / 2", "coalesce(n, 2)", "-n", "typeof(n)", "n || ''"])
def test_the_value_of_a_subquery_on_decimals_is_an_integer_where_the_decimal_is(
    value: str, shown: str
) -> None:
    setup = "CREATE TABLE u(d NUMERIC)", f"INSERT INTO u VALUES({value}), (2.5), (3)"
    inner = "SELECT d FROM u LIMIT 1"
    assert_equal(f"SELECT {shown} FROM (SELECT ({inner}) AS n FROM t) AS q", TABLE, ROWS, *setup)


@pytest.mark.parametrize(
    "call", ["min(c, 1.0)", "min(1.0, c)", "max(c, 1.0)", "max(1.0, c)", "min(1.0, c, 1.0, 1)"]
)
def test_scalar_extremes_of_equal_numbers_have_sqlites_type(call: str) -> None:
    assert_equal(f"SELECT {call} FROM t", TABLE.replace("c)", "c INTEGER)"), ROWS)


def assert_refused(sql: str, *setup: str) -> None:
    """SQLite has to answer the query."""
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in ("PRAGMA storage_format = column", *setup):
        database.execute(statement)
    with pytest.raises(NotVectorizable):
        vectorised(database, sql)
    database.close()


@pytest.mark.parametrize(
    "question", ["a IS TRUE", "a IS NOT FALSE", "a IS (true)", "a IS NOT DISTINCT FROM FALSE"]
)
def test_whether_a_number_is_true_is_no_comparison_with_1(question: str) -> None:
    assert_refused(f"SELECT {question} FROM t", TABLE, ROWS)


_TWINS = (
    "CREATE TABLE u(n NUMERIC, r REAL, k TEXT COLLATE NOCASE, s TEXT)",
    "INSERT INTO u VALUES(1, 1.0, 'x', 'X'), (2, 2.5, 'y', 'z')",
)


@pytest.mark.parametrize("columns", [("n", "r"), ("n + 0", "r"), ("k", "s"), ("s", "k")])
@pytest.mark.parametrize("operator", ["UNION", "INTERSECT", "EXCEPT"])
def test_which_of_equal_values_a_compound_select_shows_is_left_to_sqlite(
    columns: tuple[str, str], operator: str
) -> None:
    assert_refused(f"SELECT {columns[0]} FROM u {operator} SELECT {columns[1]} FROM u", *_TWINS)


def test_equal_values_that_are_the_same_stay_with_compound_selects() -> None:
    assert_equal("SELECT n FROM u UNION SELECT n FROM u", *_TWINS)
    assert_equal("SELECT r, s FROM u EXCEPT SELECT r, s FROM u WHERE r > 2", *_TWINS)


def test_a_wrong_escape_is_an_error_though_nothing_is_matched() -> None:
    assert_refused("SELECT b LIKE 'a' ESCAPE 'bc' FROM t WHERE b IS NULL", TABLE, ROWS)
    nulls = "CREATE TABLE u(n TEXT)", "INSERT INTO u VALUES(NULL), (NULL)"
    assert_refused("SELECT n LIKE 'a' ESCAPE 'bc' FROM u", *nulls)
    assert_equal("SELECT n LIKE 'a' ESCAPE '!' FROM u", *nulls)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT d FROM (SELECT d FROM t JOIN u ON a < d) LIMIT 1",
        "SELECT d FROM (SELECT d FROM t JOIN u ON a < d UNION ALL SELECT 9) LIMIT 1",
        "SELECT group_concat(d) FROM (SELECT d FROM t JOIN u ON a < d)",
        "SELECT c, d FROM (SELECT c, d FROM t JOIN u ON a < d) ORDER BY d > 0 LIMIT 1",
    ],
)
def test_a_subquery_that_joins_has_no_order_either(sql: str) -> None:
    database = colonnade.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA storage_format = column")
    for statement in (TABLE, ROWS, "CREATE TABLE u(d)", "INSERT INTO u VALUES(3), (4)"):
        database.execute(statement)
    with pytest.raises(NotVectorizable):
        vectorised(database, sql)
    database.close()


def test_abs_leaves_the_sign_of_zero() -> None:
    table = (
        "CREATE TABLE u(r REAL, n NUMERIC, i INTEGER)",
        "INSERT INTO u VALUES(0.0, 0.5, -1), (-2.5, -3, -4)",
    )
    assert_equal("SELECT abs(r * i), abs(r), abs(n), abs(i), abs(n * i), abs(r * i) || '' FROM u", *table)


def test_keys_may_be_the_least_integer_beside_null() -> None:
    table = "CREATE TABLE u(a INTEGER, b INTEGER, c TEXT)"
    rows = f"INSERT INTO u VALUES(1, {-(2**63)}, 'x'), (2, NULL, 'y'), (3, 5, 'x')"
    assert_equal("SELECT y.a FROM u x JOIN u y ON x.b = y.b WHERE x.a < 2", table, rows)


MIXED_KEYS = (
    "CREATE TABLE t(id INTEGER PRIMARY KEY, d DECIMAL(15, 2), ref INT)",
    "INSERT INTO t VALUES(31, 309, 24), (68, 918.27, 23)",  # 309 % 24 is 21, and 918.27 % 23 is 21.0
)


@pytest.mark.parametrize("extreme", ["min(ref)", "max(id)", "min(ref), count(*)"])
def test_a_key_of_two_classes_beside_an_extreme_is_left_to_sqlite(extreme: str) -> None:
    """SQLite shows the key as it is in the row of the extreme."""
    with pytest.raises(NotVectorizable, match="an integer and a real number"):
        assert_equal(f"SELECT d % ref, {extreme} FROM t GROUP BY 1", *MIXED_KEYS)


@pytest.mark.parametrize("aggregate", ["sum(ref)", "count(*)", "avg(d)"])
def test_a_key_of_two_classes_is_shown_as_in_its_first_row(aggregate: str) -> None:
    assert_equal(f"SELECT d % ref, {aggregate} FROM t GROUP BY 1", *MIXED_KEYS)


def test_a_key_of_both_zeros_beside_an_extreme_is_left_to_sqlite() -> None:
    with pytest.raises(NotVectorizable, match="0.0 and -0.0"):
        assert_equal(
            "SELECT (d - 309) * (29.5 - ref) * 0.0 AS k, max(id) FROM t GROUP BY k",
            *MIXED_KEYS,
            "INSERT INTO t VALUES(70, 1.5, 25)",
        )
    assert_equal("SELECT (d - 309) * 0.0 AS k, count(*) FROM t GROUP BY k", *MIXED_KEYS)


def test_a_key_of_one_class_beside_an_extreme() -> None:
    assert_equal("SELECT d * 2, min(ref), max(id) FROM t GROUP BY 1", *MIXED_KEYS)

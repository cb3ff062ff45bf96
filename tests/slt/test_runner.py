"""The runner itself: how it writes values, and that it notices whatever differs from plain SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import apsw
import pytest

from tests.slt.runner import SHOWN, Colonnade, Outcome, Sqlite, run
from tests.slt.script import records
from tests.slt.values import Row, lines, rendered, shown


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        *((None, kind, "NULL") for kind in "IRT"),
        (7, "I", "7"),
        (-(2**31), "I", "-2147483648"),
        (2**31, "I", "-2147483648"),
        (2**32 + 5, "I", "5"),
        (3.99, "I", "3"),
        (-3.99, "I", "-3"),
        ("12abc", "I", "12"),
        ("abc", "I", "0"),
        (b"34", "I", "34"),
        (1, "R", "1.000"),
        (0.0005, "R", "0.001"),
        (2.5, "R", "2.500"),
        ("1.5x", "R", "1.500"),
        (-18446744073709551616.0, "R", "-18446744073709550000.000"),
        ("", "T", "(empty)"),
        ("a b~", "T", "a b~"),
        ("a\tb\n\x7f", "T", "a@b@@"),
        ("é", "T", "@@"),
        (12, "T", "12"),
        (1.0, "T", "1.0"),
    ],
)
def test_a_value_is_written_as_its_type_says(value: object, kind: str, expected: str) -> None:
    assert rendered(value, kind) == expected


ROWS: list[Row] = [(10, "b"), (9, "a"), (10, "a")]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("nosort", ["10", "b", "9", "a", "10", "a"]),
        ("rowsort", ["10", "a", "10", "b", "9", "a"]),
        ("valuesort", ["10", "10", "9", "a", "a", "b"]),
    ],
)
def test_rows_and_values_are_sorted_as_text(sort: str, expected: list[str]) -> None:
    assert lines(ROWS, "IT", sort) == expected


def test_another_number_of_columns_than_types_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 columns for the types I"):
        lines(ROWS, "I", "nosort")


def test_more_values_than_the_threshold_are_written_as_the_hash_of_their_lines() -> None:
    values = ["1", "2", "3"]
    assert shown(values, 3) == shown(values, 0) == ("1", "2", "3")
    assert shown(values, 2) == ("3 values hashing to c0710d6b4f15dfa88f600b0e6b624077",)


SCRIPT = """
statement ok
CREATE TABLE t(a INTEGER, b TEXT)

statement ok
INSERT INTO t VALUES(1, 'x'), (2, 'y'), (3, NULL)

statement error
INSERT INTO t VALUES(1)

query IT rowsort few
SELECT a, b FROM t
----
1
x
2
y
3
NULL

query I valuesort
SELECT a FROM t
----
1
2
3
"""


class Faulty(Sqlite):
    """Plain SQLite whose rows or errors someone tampers with."""

    def __init__(
        self,
        rows: Callable[[list[Row]], list[Row]] = lambda rows: rows,
        error: Callable[[str], str] = lambda message: message,
    ) -> None:
        super().__init__()
        self._rows, self._error = rows, error

    def execute(self, sql: str) -> None:
        try:
            super().execute(sql)
        except apsw.Error as error:
            message = self._error(str(error))
            if message:
                raise apsw.SQLError(message) from None

    def query(self, sql: str) -> list[Row]:
        return super().query(sql) if "sqlite_schema" in sql else self._rows(super().query(sql))


@pytest.fixture
def check() -> Iterator[Callable[..., Outcome]]:
    with closing(Sqlite()) as oracle:
        yield lambda ours, script=SCRIPT: run("f.test", list(records(script)), ours, oracle)


def test_plain_sqlite_has_no_failures(check: Callable[..., Outcome]) -> None:
    outcome = check(Faulty())
    assert (outcome.run, outcome.outdated, outcome.report()) == (5, 0, "")


@pytest.mark.parametrize(
    ("ours", "failed_lines"),
    [
        (Faulty(rows=lambda rows: rows[:-1]), [11, 21, 21]),
        (Faulty(rows=lambda rows: [(float(row[0]), *row[1:]) for row in rows]), [11, 21]),  # written alike
        (Faulty(rows=lambda rows: rows[::-1]), [21]),  # only the order of the table
        (Faulty(error=lambda message: ""), [8]),
        (Faulty(error=str.upper), [8]),
    ],
    ids=["a row less", "another type", "another order", "no error", "another message"],
)
def test_what_differs_from_sqlite_is_a_failure(
    check: Callable[..., Outcome], ours: Sqlite, failed_lines: list[int]
) -> None:
    assert [failure.line for failure in check(ours).failures] == failed_lines


def test_a_report_names_file_line_sql_expected_and_got(check: Callable[..., Outcome]) -> None:
    report = check(Faulty(rows=lambda rows: rows[:-1])).report().splitlines()
    assert report[0] == "3 of 5 records of f.test failed"
    assert report[1] == "f.test, line 11: SELECT a, b FROM t"
    assert report[2].startswith("  expected (['1', 'x', '2', 'y', '3', 'NULL'], ")
    assert report[3].startswith("  got      (['1', 'x', '2', 'y'], ")


def test_a_report_shows_the_first_failures_only(check: Callable[..., Outcome]) -> None:
    script = "\n\n".join(f"query I\nSELECT {number}" for number in range(20))
    report = check(Faulty(rows=lambda rows: []), script).report()
    assert report.count("\nf.test, line") == SHOWN
    assert report.startswith("20 of 20 records")


def test_what_only_the_file_has_otherwise_is_no_failure(check: Callable[..., Outcome]) -> None:
    script = "statement error\nSELECT 1\n\nstatement ok\nnonsense\n\nquery I\nSELECT 1\n----\n2\n\nquery I\nSELECT x"
    outcome = check(Faulty(), script)
    assert (outcome.run, outcome.outdated, outcome.failures) == (4, 3, [])


class Forgetful(Faulty):
    """Plain SQLite that runs no INSERT, and says that it did."""

    def execute(self, sql: str) -> None:
        if not sql.startswith("INSERT"):
            super().execute(sql)


def test_tables_that_no_query_reads_are_compared_at_the_end(check: Callable[..., Outcome]) -> None:
    script = "statement ok\nCREATE TABLE t(a)\n\nstatement ok\nINSERT INTO t VALUES(1)\n"
    (failure,) = check(Forgetful(), script).failures
    assert (failure.sql, failure.expected, failure.got) == (
        'SELECT rowid, * FROM "t" -- at the end',
        [(1, 1)],
        [],
    )


def test_queries_with_one_label_must_agree(check: Callable[..., Outcome]) -> None:
    script = "query I nosort a\nSELECT 1\n\nquery I nosort b\nSELECT 2\n\nquery I nosort a\nSELECT 3\n"
    assert [failure.line for failure in check(Faulty(), script).failures] == [7]


@pytest.mark.parametrize("load_first", [False, True])
def test_in_column_format_the_queries_read_frozen_tables(
    load_first: bool, check: Callable[..., Outcome]
) -> None:
    with closing(Colonnade("column", load_first=load_first)) as ours:
        assert check(ours).report() == ""
        assert ours.frozen == {"t": 4}  # the two queries, and those of the comparison at the end
        assert ours.tables_in_column_format() == ["t"]


def test_a_batch_size_makes_row_groups_of_few_rows() -> None:
    with closing(Colonnade("column", batch_size=2)) as ours:
        ours.execute("CREATE TABLE t(a)")
        ours.execute("INSERT INTO t VALUES(1), (2), (3), (4), (5)")
        ((groups, left),) = [row[3:5] for row in ours.query("PRAGMA storage_report")]
        assert (groups, left) == (2, 1)


def test_a_table_left_in_row_format_does_not_pass_as_frozen() -> None:
    with closing(Colonnade("column", load_first=True)) as ours:
        ours.execute("CREATE TABLE t(a)")
        ours.execute("INSERT INTO t VALUES(1)")
        with pytest.raises(AssertionError, match="t is in row format"):
            ours.tables_in_column_format()

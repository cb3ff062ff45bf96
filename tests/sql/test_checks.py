"""sql.checks against SQLite: the same rows refused, with the same message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql.affinity import apply_affinity
from colonnade.sql.checks import bulk_reason, check_batch, row_problems
from colonnade.sql.objects import TableDef
from colonnade.sql.predicates import compile_check
from colonnade.sql.schema import read_schema
from colonnade.store.values import Column, Kind, RowBatch, from_python, to_mixed


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


def table_of(db: apsw.Connection, ddl: str) -> TableDef:
    db.execute(ddl)
    table = read_schema(db).table("t")
    assert table is not None
    assert table.exact
    return table


def batch_of(table: TableDef, rows: list[tuple[Any, ...]], *, mixed: bool = False) -> RowBatch:
    columns = []
    for at, definition in enumerate(table.columns):
        column = apply_affinity(from_python([row[at] for row in rows]), definition.affinity)
        columns.append(to_mixed(column) if mixed else column)
    return RowBatch(len(rows), tuple(columns))


def by_sqlite(db: apsw.Connection, table: TableDef, rows: list[tuple[Any, ...]]) -> dict[int, str]:
    """Position and message of each row that SQLite refuses, if it is inserted alone."""
    refused = {}
    marks = ",".join("?" * len(table.columns))
    for at, row in enumerate(rows):
        db.execute("SAVEPOINT one")
        try:
            db.execute(f"INSERT INTO t VALUES({marks})", row)
        except (apsw.ConstraintError, apsw.MismatchError) as error:
            refused[at] = str(error)
        db.execute("ROLLBACK TO one; RELEASE one")
    return refused


def by_us(db: apsw.Connection, table: TableDef, batch: RowBatch) -> dict[int, str]:
    """The same by row_problems: of a row's problems the first counts."""
    refused: dict[int, str] = {}
    for problem in row_problems(db, table, batch):
        assert (np.diff(problem.rows) > 0).all()
        for row in problem.rows.tolist():
            refused.setdefault(row, problem.message)
    return refused


def assert_same(db: apsw.Connection, table: TableDef, rows: list[tuple[Any, ...]]) -> dict[int, str]:
    theirs = by_sqlite(db, table, rows)
    for mixed in (False, True):
        batch = batch_of(table, rows, mixed=mixed)
        assert by_us(db, table, batch) == theirs
        first = check_batch(db, table, batch)
        if theirs:
            assert first is not None
            assert (first.row, first.message) == min(theirs.items())
        else:
            assert first is None
    return theirs


VALUES = [
    None,
    0,
    1,
    -5,
    5,
    6,
    2**53 + 1,
    2**63 - 1,
    0.5,
    1.5,
    5.0,
    -0.0,
    1e300,
    float("inf"),
    "",
    "a",
    "A",
    "abc",
    "5",
    "05",
    " 5",
    "5.0",
    "0x5",
    "1995-01-01",
    "é",
    "a\0b",
    b"",
    b"\x00",
    b"a",
    b"5",
]
EXPRESSIONS = [
    "a > 5",
    "5 < a",
    "a >= -5",
    "a = 5",
    "a <> 5",
    "a != 5.0",
    "a == '5'",
    "a > 'a'",
    "a BETWEEN 0 AND 5.5",
    "a NOT BETWEEN 0 AND 5",
    "a IN (1, 5, 6)",
    "a IN ('a', 'abc', '5')",
    "a NOT IN ('a', 5)",
    "a IS NULL",
    "a IS NOT NULL",
    "a NOTNULL",
    "a > 0 AND a < 100",
    "a < 0 OR a > 4",
    "(a > 0 AND (a < 100 OR a IS NULL))",
    "a < 9007199254740993",
    "a < 9007199254740992.5",
    "a <= 9223372036854775807",
    "a > b",
    "a = b",
    "a <= b OR b IS NULL",
    "a >= '1995-01-01'",
    "t.a > 5",
    '"a" > 5',
    "[A] > 5",
    "\"nosuch\" = 'nosuch' AND a > 5",
    "+a > '4'",
    "a > +5",
    "NOT a > 5",
    "a COLLATE NOCASE = 'A'",
    "a LIKE 'a%'",
    "length(a) < 3",
    "typeof(a) = 'integer'",
    "a",
    "NOT a",
    "a IS 5",
    "a IS NOT 5",
    "a + 0 > 4",
    "a > 1e1",
    "a > 0x4",
    "a > 1_0",
    "CASE WHEN a THEN b ELSE 1 END",
    "a = 'A'",
    "a = 5 = 1",
    "a < 5 < 10",
    "a = NULL",
    "a IN (5, NULL)",
    "abs(a) > 4",
    "a > 5 -- why",
    "a > 5 /* why */",
    "a IN ()",
    "a IN (b, 5)",
    "(a, b) = (5, 6)",
    "a || '' = '5'",
    "a IS TRUE",
    "a = true",
    "a IS NOT DISTINCT FROM 5",
    "a GLOB '5*'",
    "- a < -4",
    "a > - -4",
    "a = 'it''s'",
    "a < 'b' AND b > 'a'",
    "a > b AND b > 0",
    "a IN (5) IS NULL",
    "a > 99999999999999999999",
    "a > .5",
    "a > 5.",
]
DECLARATIONS = [
    "INTEGER",
    "REAL",
    "TEXT",
    "NUMERIC",
    "BLOB",
    "",
    "TEXT COLLATE NOCASE",
    "TEXT COLLATE RTRIM",
    "DATE",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_check_refuses_the_rows_that_sqlite_refuses(expression: str) -> None:
    rows = [(value, other) for value in VALUES for other in (None, 5, "a", 5.5)]
    for declaration in DECLARATIONS:
        db = apsw.Connection(":memory:")
        table = table_of(db, f"CREATE TABLE t(a {declaration}, b {declaration}, CHECK ({expression}\n))")
        assert_same(db, table, rows)
        one_class = [row for row in rows if isinstance(row[0], int | None) and isinstance(row[1], int | None)]
        assert_same(db, table, one_class)
        text = [row for row in rows if isinstance(row[0], str | None) and isinstance(row[1], str | None)]
        assert_same(db, table, text)
        db.close()


@pytest.mark.parametrize(
    "expression",
    ["a > 5", "a IN (1, 2)", "a BETWEEN 1 AND 6", "a IS NULL OR b = 'x'", "a >= 0 AND b <> ''", "b >= 'a'"],
)
def test_simple_checks_need_no_query(db: apsw.Connection, expression: str) -> None:
    table = table_of(db, f"CREATE TABLE t(a INTEGER, b TEXT, CHECK ({expression}))")
    failing = compile_check(table.checks[0].expr, table)
    assert failing is not None
    assert failing(batch_of(table, [(1, "x"), (None, None)])) is not None


@pytest.mark.parametrize(
    "expression", ["+a > 5", "a COLLATE NOCASE = 'x'", "abs(a) > 5", "a = 5 = 1", "NOT a = 5"]
)
def test_other_checks_are_left_to_sqlite(db: apsw.Connection, expression: str) -> None:
    table = table_of(db, f"CREATE TABLE t(a INTEGER, CHECK ({expression}))")
    assert compile_check(expression, table) is None


scalars = st.one_of(
    st.sampled_from(VALUES), st.integers(-10, 10), st.floats(-10, 10), st.text("ab5 .", max_size=3)
)
leaves = st.sampled_from(
    [
        "a > 2",
        "a <= 5.5",
        "b = 'a'",
        "b < 'b'",
        "a IN (1,2,5)",
        "b NOT IN ('a','5')",
        "a IS NULL",
        "a BETWEEN 1 AND 5",
        "b BETWEEN 'a' AND 'b'",
        "a = b",
        "c >= a",
        "c < 2.5",
        "c IS NOT NULL",
        "length(b) = 1",
        "5 > c",
        "a <> c",
    ]
)
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map(
        lambda p: f"({''.join(p)})"
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    trees,
    st.tuples(*[st.sampled_from(DECLARATIONS)] * 3),
    st.lists(st.tuples(scalars, scalars, scalars), min_size=1, max_size=8),
)
def test_combined_checks_agree_with_sqlite(
    tree: str, declarations: tuple[str, str, str], rows: list[tuple[Any, ...]]
) -> None:
    db = apsw.Connection(":memory:")
    a, b, c = declarations
    table = table_of(
        db, f"CREATE TABLE t(a {a} NOT NULL, b {b}, c {c} NOT NULL, CHECK ({tree}), CHECK (a <> 7))"
    )
    assert_same(db, table, rows)
    db.close()


STRICT_TYPES = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY", "int not null"]


@pytest.mark.parametrize("declaration", STRICT_TYPES)
def test_strict_tables_refuse_what_sqlite_refuses(db: apsw.Connection, declaration: str) -> None:
    table = table_of(db, f"CREATE TABLE t(a {declaration}, b TEXT NOT NULL, CHECK (a <> 1)) STRICT")
    theirs = assert_same(db, table, [(value, other) for value in VALUES for other in (None, "x")])
    assert "NOT NULL constraint failed: t.b" in theirs.values()
    assert_same(db, table, [(0.5, "x"), (1.0, "x"), (2, "x"), (None, "x")])


@pytest.mark.parametrize("strict", ["", "STRICT"])
def test_an_integer_primary_key_takes_integers_and_null(db: apsw.Connection, strict: str) -> None:
    table = table_of(db, f"CREATE TABLE t(id INTEGER PRIMARY KEY NOT NULL, b TEXT NOT NULL) {strict}")
    theirs = assert_same(db, table, [(value, other) for value in VALUES for other in (None, "x")])
    assert "datatype mismatch" in theirs.values()


def test_a_check_sees_the_rowid_that_null_stands_for(db: apsw.Connection) -> None:
    table = table_of(db, "CREATE TABLE t(id INTEGER PRIMARY KEY CHECK (id < 3), b, CHECK (abs(rowid) <> 1))")
    batch = RowBatch(3, (from_python([None, 2, None]), from_python(["x"] * 3)), np.array([1, 2, 3]))
    assert by_us(db, table, batch) == {
        0: "CHECK constraint failed: abs(rowid) <> 1",
        2: "CHECK constraint failed: id < 3",
    }


def test_messages_say_what_sqlite_says(db: apsw.Connection) -> None:
    table = table_of(
        db,
        """CREATE TABLE t(a CHECK(  a   <>2 /* two */ ) CONSTRAINT "my check" CHECK (a<>1) CHECK (a<>5), b,
        CONSTRAINT another CHECK (a <> 6),
        CHECK("a" <> 3), CONSTRAINT other CHECK (b IS NULL
        OR b > 0))""",
    )
    theirs = assert_same(db, table, [(1, 1), (2, 1), (3, 1), (4, 0), (5, 1), (6, 1)])
    assert theirs == {
        0: "CHECK constraint failed: my check",
        1: "CHECK constraint failed: a   <>2 /* two */",
        2: "CHECK constraint failed: a",
        3: "CHECK constraint failed: other",
        4: "CHECK constraint failed: my check",  # a name holds until the next column or constraint
        5: "CHECK constraint failed: another",
    }


def test_checks_call_functions_and_collations_of_the_connection(db: apsw.Connection) -> None:
    db.create_scalar_function("half", lambda x: x // 2, 1, deterministic=True)
    db.create_collation("backwards", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
    table = table_of(
        db, "CREATE TABLE t(a INT CHECK (half(a) < 5), b TEXT COLLATE backwards CHECK (b < 'az'))"
    )
    assert assert_same(db, table, [(4, "zb"), (40, "ax"), (4, "ab"), (4, "zz")])


def test_no_trace_of_the_query_is_left(db: apsw.Connection) -> None:
    table = table_of(db, 'CREATE TABLE t(a INT CHECK (length(a) < 3), "position" CHECK ("position" <> "x"))')
    assert_same(db, table, [(1, "y"), (1000, "y"), (1, "x")])
    assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["t"]
    with pytest.raises(apsw.SQLError):
        db.execute("SELECT * FROM colonnade_batch_0")


def test_text_in_double_quotes_is_text_even_where_queries_forbid_it(db: apsw.Connection) -> None:
    table = table_of(db, 'CREATE TABLE t(a CHECK (upper(a) IN ("X", "Y")))')
    db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    assert assert_same(db, table, [("x",), ("z",)])
    assert db.config(apsw.SQLITE_DBCONFIG_DQS_DML, -1) == 0


def test_switched_off_checks_are_not_evaluated(db: apsw.Connection) -> None:
    table = table_of(db, "CREATE TABLE t(a CHECK (a > 5), b NOT NULL)")
    db.pragma("ignore_check_constraints", 1)
    assert_same(db, table, [(1, 1), (1, None)])
    again = read_schema(db).table("t")
    assert again is not None
    assert again.checks == table.checks


def test_a_batch_of_the_wrong_width_is_refused(db: apsw.Connection) -> None:
    table = table_of(db, "CREATE TABLE t(a, b)")
    with pytest.raises(ValueError, match="1 columns for the 2 of t"):
        row_problems(db, table, RowBatch(1, (from_python([1]),)))


def test_no_rows_have_no_problems(db: apsw.Connection) -> None:
    table = table_of(db, "CREATE TABLE t(a NOT NULL CHECK (length(a)))")
    assert check_batch(db, table, RowBatch(0, (from_python([]),))) is None


def test_dictionaries_and_dates_are_compared_as_text(db: apsw.Connection) -> None:
    table = table_of(
        db, "CREATE TABLE t(a TEXT CHECK (a >= '1995-06-01'), b DATE CHECK (b > '1995-06-01' AND a < b))"
    )
    days = ["1995-01-01", None, "1995-06-01", "1996-01-01"]
    rows = [(a, b) for a in days for b in days]
    plain = batch_of(table, rows)
    words = Column(Kind.TEXT, plain.columns[0].data.dictionary_encode())
    dates = Column(Kind.DATE, plain.columns[1].data.cast("date32"))
    theirs = by_sqlite(db, table, rows)
    assert by_us(db, table, RowBatch(len(rows), (words, dates))) == theirs
    assert by_us(db, table, RowBatch(len(rows), (plain.columns[0], dates))) == theirs


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(a PRIMARY KEY, b CHECK (b > 5), c NOT NULL UNIQUE)", None),
        ("(a PRIMARY KEY ON CONFLICT REPLACE)", "PRIMARY KEY (a) ON CONFLICT REPLACE"),
        ("(a INTEGER PRIMARY KEY ON CONFLICT ABORT)", None),
        ("(a, b, UNIQUE (a, b) ON CONFLICT IGNORE)", "UNIQUE (a, b) ON CONFLICT IGNORE"),
        ("(a NOT NULL ON CONFLICT FAIL)", "NOT NULL ON CONFLICT FAIL on a"),
        ("(a, b AS (a + 1))", "generated column b"),
        ("(a PRIMARY KEY) WITHOUT ROWID", "WITHOUT ROWID"),
        ("(a CHECK (a < datetime('NOW')))", "CHECK (a < datetime('NOW')) asks for the time"),
        ("(a CHECK (a < current_date))", "CHECK (a < current_date) asks for the time"),
        ("(a CHECK (a < date()))", "CHECK (a < date()) asks for the time"),
        ("(a CHECK (date(a) IS NOT NULL))", None),
        ("(a CHECK (main.t.a > 5))", "CHECK (main.t.a > 5) names its schema"),
        ("(a CHECK (t.a > 5.0))", None),
    ],
)
def test_a_table_says_why_it_takes_no_rows_in_bulk(
    db: apsw.Connection, body: str, reason: str | None
) -> None:
    assert bulk_reason(table_of(db, f"CREATE TABLE t{body}")) == reason


@pytest.mark.parametrize("index", ["t(a + 1)", "t(a) WHERE b > 0"])
def test_odd_unique_indexes_keep_a_table_from_bulk_appends(db: apsw.Connection, index: str) -> None:
    db.execute(f"CREATE TABLE t(a, b); CREATE UNIQUE INDEX odd ON {index}")
    table = read_schema(db).table("t")
    assert table is not None
    assert table.odd_keys == ("odd",)
    assert "odd" in str(bulk_reason(table))

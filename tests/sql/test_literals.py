"""Literals in INSERTs mean what SQLite takes them for: one row as values, many as columns."""

from __future__ import annotations

import sqlite3
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql import literals, literalscan
from colonnade.store.values import to_python

SQLITE = apsw.Connection(":memory:")


def by_sqlite(literal: str) -> Any:
    return SQLITE.execute(f"VALUES({literal})").get


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b) and str(a) == str(b)


def scanned(text: str) -> literalscan.Rows | None:
    head = literals.head(text)
    assert head is not None
    assert head.start == 0
    return literalscan.scan(text.encode(), len(head.text.encode()))


def one(literal: str) -> Any:
    """The value by literals.row, in a list; None where SQLite must be asked."""
    return literals.row(f"INSERT INTO t VALUES({literal})", len("INSERT INTO t VALUES"))


PLAIN = [
    *("1", "-1", "+5", "0", "-0", "007", "9223372036854775807", "-9223372036854775808"),
    *("1.0", "1.", ".5", "-.5", "1e5", "1E-5", "1e999", "-1e999", "-0.0", "0.1", "5.e3", "1.5e300"),
    *("3.14159265358979312", "123456789012345678", "0.30000000000000004", "2.2250738585072011e-308"),
    *(
        "''",
        "'it''s'",
        "''''",
        "'a;b'",
        "'a,b),('",
        "'--'",
        "'/*'",
        "'\n'",
        "'\u00e9\U0001f600'",
        "'NULL'",
        "'1'",
    ),
    *("NULL", "null", "Null", "x''", "X'00fF'", "x'0aBc'"),
]
LEFT_TO_SQLITE = [
    *("0x10", "1_000", "true", "CURRENT_TIMESTAMP", "1+1", "-(1)", "- 5", "'a'||'b'", "(1)", "abs(1)", '"a"'),
    *(
        "'a' 'b'",
        "x'0'",
        "x'zz'",
        "1 2",
        "--5\n1",
        "/* c */ 1",
        "'a' COLLATE NOCASE",
        "?",
        "1e",
        ".",
        "NULLIF(1,1)",
        "12a",
    ),
]


@pytest.mark.parametrize("literal", PLAIN)
def test_a_literal_has_the_value_and_the_class_that_sqlite_gives_it(literal: str) -> None:
    expected = by_sqlite(literal)
    values = one(literal)
    assert values is not None
    assert same(values[0], expected)
    text = f"INSERT INTO t VALUES({literal}, 7);\nINSERT INTO t VALUES( {literal} ,8);\n"
    rows = scanned(text)
    assert rows is not None
    assert rows.row_count == 2
    assert rows.stop == len(text.encode()) - 1
    first, second = (to_python(column) for column in rows.columns)
    assert same(first[0], expected)
    assert same(first[1], expected)
    assert second == [7, 8]


@pytest.mark.parametrize("literal", ["9223372036854775808", "-9223372036854775809", "99999999999999999999"])
def test_an_integer_out_of_range_is_a_double_that_sqlite_reads(literal: str) -> None:
    values = one(literal)
    assert values is not None
    assert same(values[0], by_sqlite(literal))
    assert scanned(f"INSERT INTO t VALUES({literal});") is None


@pytest.mark.parametrize("value", LEFT_TO_SQLITE)
def test_what_is_no_plain_literal_is_left_to_sqlite(value: str) -> None:
    assert one(value) is None
    good = "INSERT INTO t VALUES(1,'x');\n"
    rows = scanned(good * 3 + f"INSERT INTO t VALUES({value},'y');\n" + good)
    assert rows is None or rows.stop <= len(good) * 3
    assert scanned(f"INSERT INTO t VALUES({value},'y');\n" + good) is None


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t(a, b) VALUES (1, 'x');\nINSERT INTO t(a, b) VALUES (2, 'y');",
        'INSERT INTO "t t"(a,"b,c") VALUES (1, \'x\');\nINSERT INTO "t t"(a,"b,c") VALUES (2, \'y\');',
        "insert into main.t values(1,'x'); insert into main.t values(2,'y');",
        "INSERT INTO t VALUES (1,'x'),\n  (2,'y');",
        "INSERT INTO t VALUES (1,'x'),(2,'y');INSERT INTO t VALUES (3,'z)');SELECT 1",
    ],
)
def test_heads_and_lists_of_rows(text: str) -> None:
    rows = scanned(text)
    assert rows is not None
    numbers, letters = (to_python(column) for column in rows.columns)
    assert numbers == list(range(1, rows.row_count + 1))
    assert rows.row_count >= 2
    assert [letter[0] for letter in letters] == ["x", "y", "z"][: rows.row_count]
    assert text[: rows.stop].count(";") == len(rows.first_rows)


def test_a_run_ends_where_the_head_or_the_number_of_values_changes() -> None:
    for other in (
        "INSERT INTO u VALUES(2);",
        "INSERT INTO t VALUES(2,3);",
        "INSERT INTO t VALUES(2) ;",
        "INSERT INTO t VALUES(2) RETURNING 1;",
        "-- c\nINSERT INTO t VALUES(2);",
        "INSERT INTO t VALUES(2",
        "INSERT INTO t VALUES((2));",
    ):
        rows = scanned("INSERT INTO t VALUES(1);\nINSERT INTO t VALUES(1);\n" + other)
        assert rows is not None, other
        assert rows.row_count == 2, other


def test_a_keyword_is_no_table_name() -> None:
    head = literals.head("INSERT INTO select VALUES(1)")
    assert head is not None
    assert head.insert(1) is None
    quoted = literals.head('INSERT INTO "select" VALUES(1)')
    assert quoted is not None
    assert quoted.insert(1) is not None


def test_rows_of_dumps_with_functions_are_cut_out_for_sqlite() -> None:
    row = "(1,replace(replace('a\\r\\nb','\\r',char(13)),'\\n',char(10)),NULL)"
    text = f"INSERT INTO t VALUES{row};\nINSERT INTO t VALUES{row};\nINSERT INTO t VALUES((SELECT 1),2,3);\n"
    head = literals.head(text)
    assert head is not None
    rows, stop = literals.computed_rows(text, head, len(text))
    assert rows == [row, row]
    assert text[stop:].startswith("INSERT INTO t VALUES((SELECT")


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["'", "''", "),(", ";\nINSERT INTO t VALUES(", "--", "x'00'", "NULL"]),
)


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[values] * n), min_size=1, max_size=12)),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_values_written_as_sqlite_quotes_them_come_back_the_same(
    rows: list[tuple[Any, ...]], data: Any
) -> None:
    quoted = [[apsw.format_sql_value(value) for value in row] for row in rows]
    lists = data.draw(st.booleans())
    texts = ["(" + ", ".join(row) + ")" for row in quoted]
    if lists:
        script = "INSERT INTO t VALUES" + ",\n".join(texts) + ";"
    else:
        script = "".join(f"INSERT INTO t VALUES{text};\n" for text in texts)
    found = scanned(script)
    assert found is not None
    assert found.row_count == len(rows)
    read = list(zip(*(to_python(column) for column in found.columns), strict=True))
    expected = [tuple(by_sqlite(literal) for literal in row) for row in quoted]
    for got, wanted in zip(read, expected, strict=True):
        assert all(map(same, got, wanted))
    for literal_row, wanted in zip(texts, expected, strict=True):
        single = literals.row(literal_row, 0)
        assert single is not None
        assert all(map(same, single, wanted))


@given(st.text(alphabet=st.sampled_from("'(),;1aNX- \n\"/*x."), max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_text_is_read_other_than_sqlite_reads_it(tail: str) -> None:
    script = f"INSERT INTO t VALUES(1,'a');\nINSERT INTO t VALUES({tail}"
    found = scanned(script)
    assert found is not None
    assert found.row_count >= 1
    text = script.encode()[: found.stop].decode()
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t(a, b)")
    db.executescript(text)
    stored = db.execute("SELECT * FROM t").fetchall()
    db.close()
    read = list(zip(*(to_python(column) for column in found.columns), strict=True))
    assert [list(map(repr, row)) for row in read] == [list(map(repr, row)) for row in stored]

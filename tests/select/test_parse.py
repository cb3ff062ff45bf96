"""SQLite's grammar of SELECT: what binds tighter than what, and what is left to SQLite."""

from __future__ import annotations

import apsw
import pytest

from colonnade.sql.select import tree
from colonnade.sql.select.parse import parse_select
from colonnade.sql.select.vector import NotVectorizable

# Pairs of texts that mean the same; the second has all parentheses.
SAME = {
    "1 + 2 * 3": "1 + (2 * 3)",
    "1 - 2 - 3": "(1 - 2) - 3",
    "2 * 3 || 4": "2 * (3 || 4)",
    "1 || 2 * 3": "(1 || 2) * 3",
    "1 < 2 = 1": "(1 < 2) = 1",
    "1 = 2 < 3": "1 = (2 < 3)",
    "6 & 3 | 8 << 1": "((6 & 3) | 8) << 1",
    "1 << 2 + 1": "1 << (2 + 1)",
    "2 = 2 & 3": "2 = (2 & 3)",
    "NOT 1 = 2": "NOT (1 = 2)",
    "NOT 1 AND 0": "(NOT 1) AND 0",
    "1 OR 0 AND 0": "1 OR (0 AND 0)",
    "- 2 || 'x'": "(- 2) || 'x'",
    "1 IN (2) = 0": "(1 IN (2)) = 0",
    "2 BETWEEN 1 AND 3 = 1": "(2 BETWEEN 1 AND 3) = 1",
    "1 BETWEEN 0 AND 2 AND 0": "(1 BETWEEN 0 AND 2) AND 0",
    "'a' LIKE 'A' = 1": "('a' LIKE 'A') = 1",
    "'a' = 'A' COLLATE NOCASE": "'a' = ('A' COLLATE NOCASE)",
    "NULL IS NULL = 1": "(NULL IS NULL) = 1",
    "1 IS NOT NULL": "NOT (1 IS NULL)",
    "1 NOTNULL": "NOT (1 ISNULL)",
}


def only(text: str) -> tree.Node:
    term = parse_select(f"SELECT {text}").cores[0].items[0].term
    assert term is not None
    return term


@pytest.mark.parametrize("text", [text for text in SAME if "NOTNULL" not in text and "IS NOT" not in text])
def test_operators_bind_as_in_sqlite(text: str) -> None:
    assert only(text) == only(SAME[text])


@pytest.mark.parametrize("text", SAME)
def test_sqlite_agrees(text: str) -> None:
    db = apsw.Connection("")
    assert db.execute(f"SELECT {text}").get == db.execute(f"SELECT {SAME[text]}").get


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000", 1000),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 2.0**63),
        ("'a''b'", "a'b"),
    ],
)
def test_literals_are_values(text: str, value: object) -> None:
    assert only(text) == tree.Literal(value)


def test_parameters_have_the_numbers_that_sqlite_gives_them() -> None:
    items = parse_select("SELECT ?, ?3, ?, :a, :b, :a, ?2").cores[0].items
    numbers = [item.term.number for item in items if isinstance(item.term, tree.Parameter)]
    assert numbers == [1, 3, 4, 5, 6, 5, 2]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT (1, 2) = (1, 2)",
        "SELECT * FROM t INDEXED BY i",
        "SELECT * FROM json_each('[]')",
        "WITH RECURSIVE t(a) AS (SELECT 1) SELECT * FROM t",
        "SELECT a -> 'x' FROM t",
        "SELECT CURRENT_DATE",
        "SELECT 0x10",
        "SELECT 1 = NOT 2",
        "SELECT * FROM (t JOIN u)",
        "SELECT " + "(" * 300 + "1" + ")" * 300,
    ],
)
def test_what_is_not_known_is_left_to_sqlite(text: str) -> None:
    with pytest.raises(NotVectorizable):
        parse_select(text)


def test_clauses_are_where_they_belong() -> None:
    select = parse_select(
        "WITH c(x) AS (SELECT 1) SELECT DISTINCT a.b AS d, t.* FROM main.t AS a LEFT JOIN c USING (x), u"
        " WHERE e GROUP BY 1 HAVING f UNION ALL VALUES (1), (2) ORDER BY 1 DESC NULLS FIRST LIMIT 2, 3;"
    )
    core, values = select.cores
    assert core.distinct
    assert [item.alias for item in core.items] == ["d", None]
    assert [(s.name, s.schema, s.alias, s.kind, s.using) for s in core.sources] == [
        ("t", "main", "a", "inner", ()),
        ("c", None, None, "left", ("x",)),
        ("u", None, None, "inner", ()),
    ]
    assert values.rows == ((tree.Literal(1),), (tree.Literal(2),))
    assert select.operators == ("UNION ALL",)
    assert (select.limit, select.offset) == (tree.Literal(3), tree.Literal(2))
    assert select.ordering == (tree.Ordering(tree.Literal(1), True, True),)
    assert [(table.name, table.columns) for table in select.tables] == [("c", ("x",))]

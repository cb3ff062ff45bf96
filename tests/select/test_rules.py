"""The rule table against SQLite: each operator and function on columns of each class, and on constants.

A rule may leave operands to SQLite; what it gives is SQLite's value, with its class.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.select import Context, NotVectorizable, answer
from colonnade.sql.select.rules import RULES
from colonnade.sql.select.rules.asked import python_values

COLUMNS = {
    "i": "INTEGER",
    "big": "INTEGER",
    "r": "REAL",
    "d": "DECIMAL(10,2)",
    "s": "TEXT",
    "c": "TEXT COLLATE NOCASE",
    "day": "DATE",
    "b": "BLOB",
    "empty": "INTEGER",
}
VALUES: dict[str, list[Any]] = {
    "i": [0, 1, -7, 12, None, 3, 12, 1000],
    "big": [2**62, -(2**63), 2**53 + 1, None, 5, 2**63 - 1, -1, 0],
    "r": [0.0, 1.0, -2.5, None, 1e300, 12.0, 0.1, -1e-9],
    "d": [0, 1.5, 12, -7.25, None, 3, 99.99, 1000],
    "s": ["", "a", "A", "zebra", None, "12", "wörd", "a%b_c"],
    "c": ["Zebra", "a", "A ", "zebra", None, "12", "1998-09-02", ""],
    "day": [
        "1998-09-02",
        "1992-01-01",
        "1998-09-02",
        None,
        "1995-06-17",
        "1998-12-31",
        "1992-01-01",
        "1996-02-29",
    ],
    "b": [b"", b"a", None, b"zebra", b"\x00", b"12", b"a", b"\x7f"],
    "empty": [None] * 8,
}
CONSTANTS = ["0", "12", "-2.5", "1e300", "'a'", "'12'", "'1998-09-02'", "x'61'", "NULL", "9007199254740993"]
BINARY = ["+", "-", "*", "/", "%", "||", "=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT", "AND", "OR"]
_MANY = (
    "0, 12, 3, 5, -2.5, 12.5, 0.1, 1.5, '12', 'a', '1998-09-02', x'61', 'A ', -1, 99.99, 1000, 7.0, ' 3 ', ''"
)
UNARY = [
    "-{0}",
    "+{0}",
    "NOT {0}",
    "{0} IS NULL",
    "{0} COLLATE NOCASE = 'ZEBRA'",
    "{0} COLLATE RTRIM = 'A'",
    "abs({0})",
    "length({0})",
    "lower({0})",
    "upper({0})",
    "substr({0}, 1, 4)",
    "substr({0}, 2)",
    "substr({0}, -2, 1)",
    "round({0}, 1)",
    "typeof({0})",
    "CAST({0} AS INTEGER)",
    "CAST({0} AS TEXT)",
    "CAST({0} AS REAL)",
    "CAST({0} AS NUMERIC)",
    "CAST({0} AS BLOB)",
    "strftime('%Y', {0})",
    "date({0}, '+1 month')",
    "coalesce({0}, 7)",
    "coalesce({0}, 'x')",
    "nullif({0}, 12)",
    "iif({0}, 1, 2)",
    "CASE {0} WHEN 12 THEN 'twelve' WHEN 'a' THEN 'A' ELSE 'other' END",
    "CASE WHEN {0} > 1 THEN {0} ELSE 0 END",
    "CASE WHEN {0} > 1 THEN {0} * 1.5 END",
    "{0} IN (12, 3, 'a')",
    "{0} NOT IN (0, NULL)",
    "{0} IN ('a', '1998-09-02')",
    f"{{0}} IN ({_MANY})",
    f"{{0}} IN ({_MANY}, NULL)",
    f"{{0}} NOT IN ({_MANY}, 9007199254740993, 4611686018427387904)",
    f"{{0}} IN ({_MANY}, 9007199254740994.0)",
    "{0} = 12 OR {0} = 3 OR {0} = 'a' OR 1 = {0}",
    "{0} = 12 OR {0} = 3 OR {0} = NULL",
    "{0} = '12' COLLATE NOCASE OR {0} = 'ZEBRA' COLLATE NOCASE",
    "{0} BETWEEN 0 AND 12",
    "{0} BETWEEN 'a' AND 'b'",
    "{0} LIKE 'a%'",
    "{0} LIKE '%e%r%'",
    "{0} LIKE '%a'",
    "{0} LIKE '1'",
    "{0} LIKE 'a!%%' ESCAPE '!'",
    "{0} NOT LIKE '%_'",
    "{0} GLOB 'z*'",
    "min({0}, 3)",
    "max({0}, 1.5)",
    "instr({0}, 'a')",
    "replace({0}, 'a', 'b')",
    "{0} & 3",
    "~ {0}",
]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[apsw.Connection, Any]]:
    ddl = f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
    rows = list(zip(*VALUES.values(), strict=True))
    insert = f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})"
    plain, ours = apsw.Connection(""), colonnade.connect(":memory:", isolation_level=None)
    for db in (plain, ours):
        db.execute(ddl)
    ours.execute("PRAGMA storage_format = column")
    for db in (plain, ours):
        db.executemany(insert, rows)
    yield plain, ours
    ours.close()


def compared(both: tuple[apsw.Connection, Any], expression: str) -> bool:
    """Whether an expression was vectorised; then its values were SQLite's."""
    plain, ours = both
    session = ours._session
    context = Context(session.store, {"main": session.router.schema("main")}, lambda: None)
    text = f"SELECT {expression} FROM t"
    try:
        expected = [value for (value,) in plain.execute(text)]
    except apsw.SQLError:
        with pytest.raises(NotVectorizable):
            answer(context, text, ())
        return False
    try:
        found = answer(context, text, ())
        values = [value for batch in found.batches for value in python_values(batch[0])]
    except NotVectorizable:
        return False
    assert list(map(repr, values)) == list(map(repr, expected)), expression
    return True


@pytest.mark.parametrize("op", BINARY)
def test_binary_operators_on_each_pair_of_classes(both: tuple[apsw.Connection, Any], op: str) -> None:
    taken = [compared(both, f"{one} {op} {other}") for one, other in product(COLUMNS, COLUMNS)]
    taken += [compared(both, f"{one} {op} {value}") for one, value in product(COLUMNS, CONSTANTS)]
    taken += [compared(both, f"{value} {op} {one}") for one, value in product(COLUMNS, CONSTANTS)]
    assert sum(taken) > len(taken) / 4


@pytest.mark.parametrize("shape", UNARY)
def test_functions_on_each_class(both: tuple[apsw.Connection, Any], shape: str) -> None:
    taken = [compared(both, shape.format(column)) for column in COLUMNS]
    assert any(taken)


@pytest.mark.parametrize("shape", UNARY)
def test_functions_of_constants(both: tuple[apsw.Connection, Any], shape: str) -> None:
    for value in CONSTANTS:
        compared(both, shape.format(value))


@pytest.mark.parametrize("shape", UNARY)
def test_functions_of_results(both: tuple[apsw.Connection, Any], shape: str) -> None:
    for inner in ("(i + 1)", "(r * 2)", "(d * 2)", "(d / 4)", "(s || 'x')", "(i > 1)", "(i / 4)", "lower(s)"):
        compared(both, shape.format(inner))


AGGREGATES = [
    "count({0})",
    "sum({0})",
    "avg({0})",
    "total({0})",
    "min({0})",
    "max({0})",
    "count(DISTINCT {0})",
]


@pytest.mark.parametrize("shape", AGGREGATES)
@pytest.mark.parametrize("groups", ["", "i > 5", "s", "d", "day"])
def test_aggregates_of_each_class(both: tuple[apsw.Connection, Any], shape: str, groups: str) -> None:
    plain, ours = both
    session = ours._session
    context = Context(session.store, {"main": session.router.schema("main")}, lambda: None)
    taken = 0
    for operand in (*COLUMNS, "i + d", "d * 2", "r - i", "-d"):
        head, tail = (f"{groups}, ", f" GROUP BY {groups}") if groups else ("", "")
        text = f"SELECT {head}{shape.format(operand)} FROM t{tail}"
        try:
            expected = plain.execute(text).fetchall()
        except apsw.SQLError:
            continue
        try:
            batches = answer(context, text, ()).batches
            found = [row for batch in batches for row in zip(*map(python_values, batch), strict=True)]
        except NotVectorizable:
            continue
        taken += 1
        assert len(found) == len(expected), text
        for ours_row, row in zip(found, expected, strict=True):
            for value, wanted in zip(ours_row, row, strict=True):
                assert type(value) is type(wanted), text
                assert (
                    value == pytest.approx(wanted, rel=1e-12)
                    if isinstance(wanted, float)
                    else value == wanted
                ), text
    assert taken > 3


def test_every_rule_is_tried_here() -> None:
    shapes = " ".join(UNARY) + " " + " ".join(BINARY)
    spelt = {"negate": "-{0}", "plus": "+{0}", "not": "NOT", "case": "CASE", "in": " IN ", "like": "LIKE"}
    known = {"substring()": "substr()", "is true": "AND", "is not true": "AND"}
    for name in RULES:
        wanted = spelt.get(name, known.get(name, name)).removesuffix(")").upper()
        assert wanted in shapes.upper(), name

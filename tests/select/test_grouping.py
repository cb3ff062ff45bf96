"""Groups by a key of a table and by what follows from it; columns that only scans need; texts of few rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.sql.select import aggregate, reading
from colonnade.sql.select.rules.asked import python_values
from colonnade.sql.select.vector import Vector, concat
from colonnade.store.values import Column, Kind, from_python, to_python
from tests.select.test_found import assert_equal, vectorised

SETUP = (
    "CREATE TABLE c(k INTEGER PRIMARY KEY, name TEXT, u INT NOT NULL UNIQUE, w INT UNIQUE)",
    "CREATE TABLE o(i INTEGER PRIMARY KEY, k INT, v INT)",
    "INSERT INTO c VALUES(1, 'a', 10, NULL), (2, 'a', 20, NULL), (3, 'b', 30, 5), (4, NULL, 40, 6)",
    "INSERT INTO o VALUES(1, 1, 5), (2, 1, 7), (3, 3, 1), (4, 2, 2), (5, 3, 3), (6, 9, 4), (7, NULL, 8)",
)


@pytest.mark.parametrize(
    "groups",
    [
        "c.k, name",
        "name, c.k",
        "name, u",
        "u, name, c.k",
        "name, w",
        "w, name",
        "name, c.k, o.k",
        "c.k + 0, name",
    ],
)
@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN"])
def test_groups_by_a_key_and_what_follows_from_it(groups: str, join: str) -> None:
    assert_equal(f"SELECT {groups}, sum(v), count(*) FROM o {join} c ON o.k = c.k GROUP BY {groups}", *SETUP)


@pytest.mark.parametrize(
    ("groups", "coded"),
    [("c.k, name", 1), ("name, u", 1), ("name, w", 2), ("c.k, name, o.k", 2), ("name, name || 'x'", 2)],
)
def test_only_the_key_makes_codes(groups: str, coded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that may be NULL is no key: it does not tell which row it is of."""
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in ("PRAGMA storage_format = column", *SETUP):
        database.execute(statement)
    seen: list[int] = []
    grouped = aggregate.grouped

    def counted(vectors: Any, count: int) -> Any:
        seen.append(len(vectors))
        return grouped(vectors, count)

    monkeypatch.setattr(aggregate, "grouped", counted)
    vectorised(database, f"SELECT {groups}, sum(v) FROM o JOIN c ON o.k = c.k GROUP BY {groups}")
    assert seen[0] == coded
    database.close()


def test_columns_of_conditions_alone_are_not_read_out(monkeypatch: pytest.MonkeyPatch) -> None:
    database = colonnade.connect(":memory:", isolation_level=None)
    for statement in ("PRAGMA storage_format = column", *SETUP):
        database.execute(statement)
    wanted: list[list[int]] = []
    scan = reading.Reader._scan

    def noted(self: reading.Reader, table: Any, columns: Any, filters: Any) -> Any:
        wanted.append([column.position for column in columns])
        return scan(self, table, columns, filters)

    monkeypatch.setattr(reading.Reader, "_scan", noted)
    assert vectorised(database, "SELECT sum(v) FROM o WHERE i < 6 AND k > 1") == [(6,)]
    assert wanted == [[2]]
    wanted.clear()
    sql = "SELECT sum(v) FROM o JOIN c ON o.k = c.k AND w > 5 WHERE u <> 20 AND v + u > 0 AND i < 6"
    assert vectorised(database, sql) == [(None,)]
    assert sorted(map(sorted, wanted)) == [[0, 2], [1, 2]]  # k and u of c, k and v of o
    database.close()


def texts(column: Column) -> Vector:
    return Vector(column.kind, column.data)


def test_few_strings_become_what_all_others_are() -> None:
    days = Vector(Kind.DATE, pa.array([0, 1, None] * 10, pa.int32()).cast(pa.date32()))
    words = Vector(Kind.TEXT, pa.array(["a", "b", None] * 10).dictionary_encode())
    for vector, string, kind, dictionary in (
        (days, "1995-01-01", Kind.DATE, False),
        (days, "1995-02-30", Kind.TEXT, False),
        (words, "new", Kind.TEXT, True),
        (words, None, Kind.TEXT, True),
    ):
        few = Vector(Kind.TEXT, pa.array([string], pa.string()))
        for parts in ([vector, few], [few, vector, Vector(Kind.NULL, pa.nulls(2))]):
            found = concat(parts)
            assert found.kind is kind
            assert pa.types.is_dictionary(found.data.type) == dictionary
            expected = [value for part in parts for value in to_python(Column(part.kind, part.data))]
            assert to_python(Column(found.kind, found.data)) == expected
    many = texts(from_python([f"t{n}" for n in range(30)]))
    assert pa.types.is_string(concat([words, many]).data.type)


@pytest.mark.parametrize(("value", "stored"), [(0.25, True), (1e300, True), (2.0, False), (-0.0, False)])
def test_few_reals_beside_decimals(value: float, stored: bool) -> None:
    """They are decimals like others, unless one is a REAL where a decimal would be an INTEGER."""
    decimals = Vector(Kind.NUMERIC, pa.array([1.5, 2.0, None]))
    found = concat([decimals, Vector(Kind.REAL, pa.array([value, None]))])
    assert (found.kind, found.stored) == (Kind.NUMERIC, stored)
    assert python_values(found) == [1.5, 2, None, value, None]
    assert list(map(type, python_values(found)))[3] is float

"""INSERTs of many rows with an offending one, bulk load off: what is left and what is said is sqlite3's."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.driver.test_batches import BREAKS, INSERT, Sides, good_child

ROWS = 80
NAMES = "id, p, pname, qa, qb, qc, up, u, n"
IN_SQL = sorted(set(BREAKS) - {"too large", "no value", "too few"})  # the others no query can give

pytestmark = pytest.mark.storage_format("auto", "row", reason="some of its tables are to be in row format")


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def rows_with(what: str, place: int, start: int = 0) -> list[list[Any]]:
    choose = random.Random(f"{what} {place}")
    rows = [good_child(choose, start + number) for number in range(ROWS)]
    BREAKS[what](choose, rows[place])
    return rows


@pytest.fixture(params=["pqc", "pq"])
def sides(request: pytest.FixtureRequest) -> Any:
    return Sides(request.param, batch_size=30)


@pytest.mark.parametrize("place", [0, 30, ROWS - 1])
@pytest.mark.parametrize("what", IN_SQL)
def test_values_of_many_rows_are_all_in_or_none(sides: Sides, what: str, place: int) -> None:
    texts = ["(" + ", ".join(map(literal, row)) + ")" for row in rows_with(what, place)]
    outcome = sides.both(lambda c: c.execute(f"INSERT INTO c({NAMES}) VALUES {', '.join(texts)}"))
    sides.check()
    if what != "deferred":
        assert outcome != "cursor"
    sides.both(lambda c: c.connection.rollback())
    sides.done()


@pytest.mark.parametrize("place", [29])
@pytest.mark.parametrize("what", IN_SQL)
def test_parameters_of_many_rows_are_all_in_or_none(sides: Sides, what: str, place: int) -> None:
    rows = rows_with(what, place)
    marks = ", ".join(["(" + ", ".join("?" * 9) + ")"] * ROWS)
    values = [value for row in rows for value in row]
    sides.both(lambda c: c.execute(f"INSERT INTO c({NAMES}) VALUES {marks}", values))
    sides.check()
    sides.both(lambda c: c.connection.rollback())
    sides.done()


@pytest.mark.parametrize("place", [0, 30, ROWS - 1])
@pytest.mark.parametrize("what", IN_SQL)
def test_the_rows_of_a_query_are_all_in_or_none(sides: Sides, what: str, place: int) -> None:
    rows = [(number, *row) for number, row in enumerate(rows_with(what, place))]
    sides.both(lambda c: c.execute(f"CREATE TEMP TABLE given(place INTEGER PRIMARY KEY, {NAMES})"))
    sides.both(lambda c: c.executemany(f"INSERT INTO given VALUES ({', '.join('?' * 10)})", rows))
    sides.both(lambda c: c.execute(f"INSERT INTO c({NAMES}) SELECT {NAMES} FROM given ORDER BY place"))
    sides.check()
    sides.both(lambda c: c.connection.rollback())
    sides.done()


@pytest.mark.parametrize("place", [0, 30, ROWS - 1])
@pytest.mark.parametrize("isolation_level", ["", None])
@pytest.mark.parametrize("what", ["taken id", "no parent", "check", "not null", "taken text", "no row above"])
def test_the_rows_before_the_bad_one_of_an_executemany_are_in(
    what: str, isolation_level: str | None, place: int
) -> None:
    sides = Sides("pqc", batch_size=30, isolation_level=isolation_level)
    before = sides.theirs.execute("SELECT count(*) FROM c").fetchone()[0]
    assert sides.many(INSERT, rows_with(what, place))[0] == "IntegrityError"
    sides.check()
    assert sides.ours.execute("SELECT count(*) FROM c").fetchone() == (before + place,)
    sides.both(lambda c: c.connection.commit())
    sides.done()

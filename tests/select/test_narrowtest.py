"""Conditions that are tested on narrowed values give what SQLite gives; constants are computed once."""

from __future__ import annotations

import datetime
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.select import Context, answer
from colonnade.sql.select.narrowtest import NarrowTest
from colonnade.sql.select.rules.asked import Ask, python_values
from colonnade.store.narrowcolumn import BoolArray, NarrowColumn
from tests.select.test_found import vectorised

DDL = "CREATE TABLE t(k INTEGER PRIMARY KEY, n INTEGER, d DECIMAL(8,2), r REAL, day DATE, word TEXT)"
WORDS = ["MAIL", "SHIP", "air", "AIR", "x"]


def rows_of(first: int) -> list[tuple[Any, ...]]:
    """Rows of one row group, whose columns are all narrowed."""
    start = datetime.date(1995, 1, 1)
    return [
        (
            k,
            k * 7 % 50 - 3,
            round(k * 37 % 1000 / 100, 2),
            k * 11 % 64 / 8,
            (start + datetime.timedelta(k * 13 % 800)).isoformat(),
            WORDS[k * 3 % len(WORDS)],
        )
        for k in range(first, first + 3000)
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The rows in SQLite, and loaded, so that days and decimals are known as such."""
    folder = tmp_path_factory.mktemp("narrow")
    rows = [row for first in (1, 3001, 6001) for row in rows_of(first)]
    (folder / "t.tbl").write_text("".join("|".join(map(str, row)) + "|\n" for row in rows))
    plain, database = apsw.Connection(":memory:"), colonnade.connect(":memory:", isolation_level=None)
    plain.execute(DDL)
    plain.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?)", rows)
    database.execute("PRAGMA batch_size = 3000")
    assert database.load(folder, script=DDL).committed
    yield plain, database
    plain.close()
    database.close()


CONDITIONS = [
    "n < 5",
    "5 >= n",
    "n = 5.0",
    "n <> 5.5",
    "n > 1e300",
    "n < -9e18",
    "d < 3",
    "d = 3.07",
    "d BETWEEN 0.05 - 0.01 AND 3.0700000001",
    "d >= 9007199254740993",
    "d > '3'",
    "d < 'x'",
    "r <= 2.5",
    "r <> 2",
    "r = 2.499999999999",
    "day < '1995-03-15'",
    "day >= date('1995-03-15', '+1 month') AND day < date('1995-03-15', '+3 month')",
    "day = '1995-3-15'",
    "day < 5",
    "day > '1995'",
    "'1995-05-05' < day",
    "word = 'AIR'",
    "word = 'air' COLLATE NOCASE",
    "word IN ('MAIL', 'SHIP', 'none')",
    "word LIKE 'a%'",
    "word NOT LIKE '%I%'",
    "word IS NULL",
    "substr(word, 1, 1) || 'y' = 'xy'",
    "length(word) > 3 AND n = 5",
    "word > 5",
    "n < NULL",
    "n < 5 AND day > '1995-03-15' AND word <> 'x'",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_on_narrowed_values_find_what_sqlite_finds(both: Any, condition: str) -> None:
    plain, database = both
    sql = f"SELECT k, n, d, r, day, word FROM t WHERE {condition} ORDER BY k"
    for _ in range(2):  # out of the file, and as it was kept
        assert vectorised(database, sql) == list(plain.execute(sql))


@pytest.mark.parametrize("value", [5, 5.5, "1995-03-15", "AIR", None, 2**62, -(2**63)])
@pytest.mark.parametrize("column", ["n", "r", "d", "day", "word"])
def test_parameters_are_constants(both: Any, column: str, value: Any) -> None:
    plain, database = both
    sql = f"SELECT k FROM t WHERE {column} <= ? ORDER BY k"
    assert database.execute(sql, (value,)).fetchall() == list(plain.execute(sql, (value,)))


def test_constants_are_asked_of_sqlite_once(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a row group, which would have to be on the connection's own thread."""
    asked: list[str] = []
    ask = Ask.__call__

    def counted(self: Ask, operands: Any) -> Any:
        asked.append(operands.term.name)
        return ask(self, operands)

    monkeypatch.setattr(Ask, "__call__", counted)
    plain, database = both
    sql = "SELECT count(*), sum(n) FROM t WHERE day < date('1995-03-15', '+1 month')"
    assert vectorised(database, sql) == list(plain.execute(sql))
    assert asked == ["date()"]


def test_such_conditions_are_tested_on_narrowed_values(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[int] = []
    mask = NarrowTest.mask

    def counted(self: NarrowTest, column: NarrowColumn) -> BoolArray | None:
        tested.append(len(column))
        return mask(self, column)

    monkeypatch.setattr(NarrowTest, "mask", counted)
    for condition in ("n < 5", "d < 3.07", "r < 2.5", "day < '1995-03-15'", "word LIKE 'a%'"):
        tested.clear()
        vectorised(both[1], f"SELECT count(*) FROM t WHERE {condition}")
        assert sum(tested) >= 8_999, condition


def test_a_whole_table_is_given_out_as_it_is_read(both: Any) -> None:
    """Though the row part has days as texts, and decimals as integers or reals."""
    plain, database = both
    session = database._session
    schemas = {name: session.router.schema(name) for name in ("temp", "main")}
    batches = list(answer(Context(session.store, schemas, lambda: None), "SELECT day, d FROM t", ()).batches)
    assert len(batches) > 1
    rows = [row for batch in batches for row in zip(*map(python_values, batch), strict=True)]
    assert rows == list(plain.execute("SELECT day, d FROM t ORDER BY k"))
